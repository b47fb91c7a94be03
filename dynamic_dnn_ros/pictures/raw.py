# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Uncompressed pictures, as cameras send them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from dynamic_dnn_ros.pictures.errors import PictureError
from dynamic_dnn_ros.pictures.fitting import Fit, means, reached, resized, rows_per_block
from dynamic_dnn_ros.pictures.input import Interpolation, Picture
from dynamic_dnn_ros.pictures.placement import Size

if TYPE_CHECKING:
    from typing_extensions import Buffer


@dataclass(frozen=True)
class _Encoding:
    """`unordered` is the mode in which Pillow takes the channels as they come, `order` theirs."""

    channels: int
    mode: str
    raw_mode: str
    unordered: str
    order: tuple[int, int, int]


#: Encodings of sensor_msgs/image_encodings.hpp that are read, with Pillow's names for them.
_ENCODINGS = {
    'rgb8': _Encoding(3, 'RGB', 'RGB', 'RGB', (0, 1, 2)),
    'bgr8': _Encoding(3, 'RGB', 'BGR', 'RGB', (2, 1, 0)),
    'rgba8': _Encoding(4, 'RGB', 'RGBX', 'RGBX', (0, 1, 2)),
    'bgra8': _Encoding(4, 'RGB', 'BGRX', 'RGBX', (2, 1, 0)),
    'mono8': _Encoding(1, 'L', 'L', 'L', (0, 0, 0)),
}


@dataclass(frozen=True)
class RawPicture:
    """
    An uncompressed picture.

    `data` holds `height` rows of `step` bytes; the pixels of a row may be followed by padding.
    """

    encoding: str
    width: int
    height: int
    step: int
    data: Buffer

    def __post_init__(self) -> None:
        """
        Check that the data is as large as it says.

        :raises PictureError: for an encoding that is not read, a size of zero, or too little data
        """
        what = f'image {self.width}x{self.height} {self.encoding!r}'
        encoding = _ENCODINGS.get(self.encoding)
        if encoding is None:
            raise PictureError(
                f'{what}: the encoding is not read. '
                f'Have the camera publish one of: {", ".join(_ENCODINGS)}.'
            )
        if self.width < 1 or self.height < 1:
            raise PictureError(f'{what}: it has no pixels. Check the camera driver.')
        if self.step < self.width * encoding.channels:
            raise PictureError(
                f'{what}: a row of step {self.step} bytes cannot hold {self.width} pixels of '
                f'{encoding.channels} bytes. Check the camera driver.'
            )
        size = memoryview(self.data).nbytes
        # The padding of the last row may be missing: some drivers leave it out.
        needed = self.step * (self.height - 1) + self.width * encoding.channels
        if size < needed:
            raise PictureError(
                f'{what}: the data has {size} bytes, height x step is {self.height * self.step}. '
                'Check the camera driver, or the transport if frames are cut on the way.'
            )

    @property
    def size(self) -> Size:
        """Return height and width."""
        return Size(self.height, self.width)

    def open(self) -> Image.Image:
        """Return the picture as Pillow has it, mode RGB or L."""
        encoding = _ENCODINGS[self.encoding]
        return _image(
            encoding.mode,
            (self.width, self.height),
            memoryview(self.data).cast('B'),
            encoding.raw_mode,
            self.step,
        )

    def scaled(self, fit: Fit, interpolation: Interpolation) -> Picture:
        """
        Scale what a network sees of the picture, without a copy of it on the way.

        Of a large one numpy averages rows while it reads them, so that Pillow has less to unpack.

        :return: red, green, blue, shape (`fit.size`, 3); perhaps a view
        """
        encoding = _ENCODINGS[self.encoding]
        box, size = fit.box, fit.size
        rows = rows_per_block(self.height, box[3] - box[1], size.height, interpolation)
        # What a filter sees of the pixels around the box counts as well.
        columns = reached(box[0], box[2], self.width, size.width, interpolation)
        left, right = columns.start, columns.stop
        lines = reached(box[1], box[3], self.height, size.height, interpolation)
        upper, lower = lines.start // rows * rows, -(-lines.stop // rows) * rows
        if rows == 1 and encoding.unordered != 'RGB':
            left, right = 0, self.width  # Read where it lies: to leave columns out saves nothing.
        begin = upper * self.step + left * encoding.channels
        length = (right - left) * encoding.channels
        data, step = memoryview(self.data).cast('B')[begin:], self.step
        if rows > 1:
            shape, strides = ((lower - upper) // rows, rows, length), (rows * step, step, 1)
            data, step = means(np.ndarray(shape, np.uint8, data, 0, strides)), length
        part = (right - left, (lower - upper) // rows)
        image = _image(encoding.unordered, part, data, encoding.unordered, step)
        inner = (box[0] - left, (box[1] - upper) / rows, box[2] - left, (box[3] - upper) / rows)
        # What both rows and columns round adds up to two grey levels now and then.
        pixels = np.asarray(resized(image, size, interpolation, inner, rows == 1))
        return pixels.reshape(*size, -1)[..., encoding.order]


def _image(
    mode: str, size: tuple[int, int], data: memoryview, raw_mode: str, step: int
) -> Image.Image:
    """Return pixels as an image; Pillow reads modes of 1 and 4 bytes a pixel where they lie."""
    if len(data) < step * size[1] and mode != 'RGB':
        # Where Pillow copies nothing, it wants the padding of the last row as well.
        length = size[0] * len(mode)
        rows = np.ndarray((size[1], length), np.uint8, data, 0, (step, 1))
        data, step = np.ascontiguousarray(rows).data.cast('B'), length
    # Any buffer will do, whatever Pillow's annotations say.
    buffer: Any = data
    return Image.frombuffer(mode, size, buffer, 'raw', raw_mode, step, 1)
