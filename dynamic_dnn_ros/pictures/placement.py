# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where a camera's picture lies in the input of a network, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.pictures.input import Alignment, Preprocessing, Resize

#: Corners of boxes: left, upper, right, lower, with the shape (boxes, 4), pixels. A pixel is the
#: square from its index to the next one, so a box over all of a picture is (0, 0, width, height).
Boxes = NDArray[Any]

MaskT = TypeVar('MaskT', bound='np.integer[Any]')


class Size(NamedTuple):
    """Height and width, pixels."""

    height: int
    width: int

    def __str__(self) -> str:
        """Return width x height, as cameras name it."""
        return f'{self.width}x{self.height}'


def letterboxed(picture: Size, target: Size, alignment: Alignment) -> tuple[Size, int, int]:
    """
    Return the size of a letterboxed picture in an input, whole pixels, and its upper left pixel.

    :param target: size of the input
    :return: its size, row and column
    """
    ratio = min(target.height / picture.height, target.width / picture.width)
    height = max(1, min(target.height, round(ratio * picture.height)))
    width = max(1, min(target.width, round(ratio * picture.width)))
    if alignment is Alignment.TOP_LEFT:
        return Size(height, width), 0, 0
    return Size(height, width), (target.height - height) // 2, (target.width - width) // 2


@dataclass(frozen=True)
class Placement:
    """
    The map from a camera's picture to a network's input, for each axis: scale, then offset.

    A point x of the picture lies at `scale[1] * x + offset[1]` of the input, a point y at
    `scale[0] * y + offset[0]`. With center crop, parts of the picture lie outside the input; with
    letterbox, parts of the input lie outside the picture.
    """

    picture: Size
    input: Size
    scale: tuple[float, float]
    offset: tuple[float, float]

    @classmethod
    def of(cls, picture: Size, input_size: Size, preprocessing: Preprocessing) -> Placement:
        """
        Return the placement that a way of fitting gives.

        A letterboxed picture keeps whole pixels: its size in the input is rounded, so the two
        scales may differ a little.
        """
        if preprocessing.resize is Resize.STRETCH:
            scale = (input_size.height / picture.height, input_size.width / picture.width)
            return cls(picture, input_size, scale, (0.0, 0.0))
        ratios = (input_size.height / picture.height, input_size.width / picture.width)
        if preprocessing.resize is Resize.CENTER_CROP:
            ratio = max(ratios)
            offset = (
                (input_size.height - ratio * picture.height) / 2,
                (input_size.width - ratio * picture.width) / 2,
            )
            return cls(picture, input_size, (ratio, ratio), offset)
        size, upper, left = letterboxed(picture, input_size, preprocessing.alignment)
        scale = (size.height / picture.height, size.width / picture.width)
        return cls(picture, input_size, scale, (float(upper), float(left)))

    @property
    def content(self) -> tuple[float, float, float, float]:
        """Return left, upper, right, lower of the picture in the input, cut at its borders."""
        upper, left = self.offset
        lower = upper + self.scale[0] * self.picture.height
        right = left + self.scale[1] * self.picture.width
        return (
            max(0.0, left),
            max(0.0, upper),
            min(float(self.input.width), right),
            min(float(self.input.height), lower),
        )

    def to_picture(self, boxes: Boxes, clip: bool = True) -> NDArray[np.float32]:
        """
        Carry boxes from the input back to the picture.

        :param boxes: pixels of the input, shape (boxes, 4)
        :param clip: cut them at the picture's borders
        :return: pixels of the picture, shape (boxes, 4)
        """
        scale, offset = self._by_corner()
        found = (np.asarray(boxes, np.float64).reshape(-1, 4) - offset) / scale
        if clip:
            limit = (self.picture.width, self.picture.height) * 2
            found = np.clip(found, 0, limit)
        return found.astype(np.float32)

    def to_input(self, boxes: Boxes) -> NDArray[np.float32]:
        """
        Carry boxes from the picture to the input, uncut.

        :param boxes: pixels of the picture, shape (boxes, 4)
        :return: pixels of the input, shape (boxes, 4)
        """
        scale, offset = self._by_corner()
        found = np.asarray(boxes, np.float64).reshape(-1, 4) * scale + offset
        return found.astype(np.float32)

    def mask_to_picture(self, mask: NDArray[MaskT], outside: int) -> NDArray[MaskT]:
        """
        Carry a label map from the input back to the picture: each pixel takes that at its centre.

        :param mask: shape (rows, columns), spread evenly over the input: of its size, or coarser
        :param outside: for the pixels that the network did not see
        :return: shape of the picture, the type of the mask
        """
        # Columns first, while there are few rows; then rows are copied whole.
        columns, left, right = self._cells(1, mask.shape[1])
        rows, upper, lower = self._cells(0, mask.shape[0])
        wide = np.take(mask, columns, axis=1)
        if (upper, left, lower, right) == (0, 0, *self.picture):
            return np.take(wide, rows, axis=0)
        found = np.full(self.picture, outside, mask.dtype)
        found[upper:lower, left:right] = np.take(wide, rows, axis=0)
        return found

    def _cells(self, axis: int, count: int) -> tuple[NDArray[np.intp], int, int]:
        """Return the cells of the pixels that the network saw along an axis, first, and end."""
        centres = np.arange(self.picture[axis]) + 0.5
        points = centres * self.scale[axis] + self.offset[axis]
        seen = np.flatnonzero((points >= 0) & (points < self.input[axis]))
        if not len(seen):  # a sliver of which rounding leaves nothing
            return np.empty(0, np.intp), 0, 0
        begin, end = int(seen[0]), int(seen[-1]) + 1
        cells = (points[begin:end] * (count / self.input[axis])).astype(np.intp)
        return np.minimum(cells, count - 1), begin, end

    def _by_corner(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        scale = np.array((self.scale[1], self.scale[0]) * 2)
        return scale, np.array((self.offset[1], self.offset[0]) * 2)
