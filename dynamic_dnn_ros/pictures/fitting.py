# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which part of a picture a network sees, and how that is scaled with little work."""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dynamic_dnn_ros.pictures.input import Interpolation, Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Size, letterboxed

#: Left, upper, right, lower, pixels.
Box = tuple[float, float, float, float]

#: Pillow 9.0, which Ubuntu 22.04 ships, has no `Resampling` yet.
_FILTERS = {
    entry: getattr(getattr(Image, 'Resampling', Image), entry.name) for entry in Interpolation
}

#: Rows may be averaged by blocks before a picture is filtered, while at least this many blocks
#: remain for each row of the result; where they are not, columns, while `_COLUMNS_PER_PIXEL` do.
#: Then it departs by no more than one grey level, measured on photographs (with half as many, by
#: up to 4).
#: docs/camera.md has what it saves.
_ROWS_PER_PIXEL = {
    Interpolation.BILINEAR: 7.0,
    Interpolation.HAMMING: 7.0,
    Interpolation.BICUBIC: 12.0,
    Interpolation.LANCZOS: 16.0,
}
_COLUMNS_PER_PIXEL = 10.0

#: How far a filter reaches beyond the pixel of the result, in such pixels. Where the border of a
#: box falls on the middle of a pixel, rounding decides, so its picture keeps its origin.
_REACH = {
    Interpolation.BOX: math.inf,
    Interpolation.BILINEAR: 1.0,
    Interpolation.HAMMING: 1.0,
    Interpolation.BICUBIC: 2.0,
    Interpolation.LANCZOS: 3.0,
}

#: The sums of so many rows fit 16 bits.
_MOST_ROWS = 256

#: Pillow rounds halves up when it averages columns: pairs would become a quarter of a grey level
#: brighter.
_FEWEST_COLUMNS = 3

#: Rows are averaged only while columns become fewer by this factor, and the other way round: then
#: what was rounded averages out. A sliver of 3x4000 pixels would be up to 3 grey levels off.
_LEAST_ACROSS = 4.0


@dataclass(frozen=True)
class Fit:
    """
    How a picture is fitted into the input of a network.

    :param picture: size of the picture
    :param box: the part of it that the network sees
    :param size: what that part becomes, whole pixels
    :param upper: row of the input where it begins
    :param left: column of the input where it begins
    """

    picture: Size
    box: Box
    size: Size
    upper: int = 0
    left: int = 0

    @classmethod
    def of(cls, picture: Size, target: Size, preprocessing: Preprocessing) -> Fit:
        """Return the fit of a picture into an input of a size, as its placement has it."""
        height, width = float(picture.height), float(picture.width)
        if preprocessing.resize is Resize.LETTERBOX:
            placed = letterboxed(picture, target, preprocessing.alignment)
            return cls(picture, (0.0, 0.0, width, height), *placed)
        if preprocessing.resize is Resize.CENTER_CROP:
            # Quotients of whole numbers: exact wherever the result is a whole number.
            if target.height * picture.width >= target.width * picture.height:
                width = target.width * picture.height / target.height
            else:
                height = target.height * picture.width / target.width
        left, upper = (picture.width - width) / 2, (picture.height - height) / 2
        return cls(picture, (left, upper, left + width, upper + height), target)

    def for_decoded(self, decoded: Size) -> Fit:
        """Return the same fit of a picture that was decoded at a reduced scale."""
        if decoded == self.picture:
            return self
        if self.box == (0.0, 0.0, float(self.picture.width), float(self.picture.height)):
            box = (0.0, 0.0, float(decoded.width), float(decoded.height))
            return Fit(decoded, box, self.size, self.upper, self.left)
        crop = Preprocessing(Resize.CENTER_CROP, (0.0,) * 3, (1.0,) * 3)
        return Fit.of(decoded, self.size, crop)


def reached(begin: float, end: float, side: int, target: int, filter_: Interpolation) -> range:
    """
    Return the pixels of a side that count for a part of it.

    :param begin: of the part, pixels
    :param end: of the part, pixels
    :param side: pixels of the picture
    :param target: pixels that the part becomes
    """
    pixel = (end - begin) / target
    if pixel < 1.0:
        # Enlarged: such pictures are small, and Pillow's result depends on where the part lies.
        return range(side)
    reach = _REACH[filter_] * pixel + 1
    return range(int(max(0.0, begin - reach)), math.ceil(min(side, end + reach)))


def rows_per_block(height: int, box: Box, target: Size, filter_: Interpolation) -> int:
    """
    Return how many rows may be averaged: a power of two that divides the height, or 1.

    :param height: of the picture, pixels
    :param box: the part of it that is seen
    :param target: what this part becomes
    """
    box_height = box[3] - box[1]
    pixel = box_height / target.height
    if (box[2] - box[0]) / target.width < _LEAST_ACROSS:
        return 1
    if filter_ is Interpolation.BOX:
        # All pixels under this filter weigh the same, so blocks have to lie inside its borders.
        whole = pixel.is_integer() and box_height == height
        most, divided = (pixel, math.gcd(int(pixel), height)) if whole else (1.0, 1)
    else:
        most, divided = pixel / _ROWS_PER_PIXEL[filter_], height
    rows = 1
    while 2 * rows <= min(most, _MOST_ROWS) and divided % (2 * rows) == 0:
        rows *= 2
    return rows


def means(blocks: NDArray[np.uint8]) -> memoryview:
    """
    Return the rounded means over the second axis.

    :param blocks: shape (blocks, rows, bytes of a row); rows a power of two, 256 at most
    :return: the bytes of (blocks, bytes of a row)
    """
    rows = blocks.shape[1]
    sums = np.add.reduce(blocks, axis=1, dtype=np.uint16)
    # Halves are rounded up and down in turn: the mean of the picture stays what it is.
    sums[0::2] += rows // 2 - 1
    sums[1::2] += rows // 2
    found = np.empty(sums.shape, np.uint8)
    np.right_shift(sums, rows.bit_length() - 1, out=found, casting='unsafe')
    return found.data.cast('B')


def resized(
    image: Image.Image, size: Size, filter_: Interpolation, box: Box, may_average: bool = True
) -> Image.Image:
    """
    Return a part of an image, scaled; columns averaged before where they may be.

    :param size: of the result
    :param box: the part
    """
    if image.size == (size.width, size.height) and box == (0.0, 0.0, *map(float, image.size)):
        return image
    across, down = (box[2] - box[0]) / size.width, (box[3] - box[1]) / size.height
    pillow_filter = _FILTERS[filter_]
    gap = None
    if (
        may_average
        and filter_ is not Interpolation.BOX
        and across >= _FEWEST_COLUMNS * _COLUMNS_PER_PIXEL
        and down >= _LEAST_ACROSS
    ):
        gap = _COLUMNS_PER_PIXEL
        columns, rows = max(1, int(across / gap)), max(1, int(down / gap))
        if not (
            _whole_blocks(image.width, box[0], box[2], across, columns, filter_)
            and _whole_blocks(image.height, box[1], box[3], down, rows, filter_)
        ):
            # Pillow would weigh the last block, of fewer pixels, as all others.
            least = max(gap, _ROWS_PER_PIXEL[filter_])
            factors = (
                _largest_divisor(image.width, max(1, int(across / least))),
                _largest_divisor(image.height, max(1, int(down / least))),
            )
            image, gap = image.reduce(factors), None
            box = (
                box[0] / factors[0],
                box[1] / factors[1],
                box[2] / factors[0],
                box[3] / factors[1],
            )
    return image.resize((size.width, size.height), pillow_filter, box, gap)


def _whole_blocks(
    side: int, begin: float, end: float, pixel: float, factor: int, filter_: Interpolation
) -> bool:
    """Tell whether all blocks of a side that count are whole, as Pillow lays them."""
    reach = (_REACH[filter_] - 0.5) * pixel
    return end + reach <= side or (side - max(0, int(begin - reach))) % factor == 0


def _largest_divisor(side: int, most: int) -> int:
    """Return the largest number up to `most` that divides a side."""
    return next(factor for factor in range(most, 0, -1) if side % factor == 0)
