# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Uncompressed pictures, as cameras send them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from dynamic_dnn_ros.pictures.encodings import (
    CONVERTED,
    NAMES,
    PLAIN,
    Converted,
    Layout,
    check_opencv,
)
from dynamic_dnn_ros.pictures.errors import PictureError
from dynamic_dnn_ros.pictures.fitting import Fit, means, reached, resized, rows_per_block
from dynamic_dnn_ros.pictures.input import Interpolation, Picture
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.pictures.value_range import ValueRange, needs_range

if TYPE_CHECKING:
    from typing_extensions import Buffer


@dataclass(frozen=True)
class RawPicture:
    """
    An uncompressed picture.

    `data` holds `height` rows of `step` bytes; the pixels of a row may be followed by padding.
    Planes of colours follow in rows of the same step. `big_endian` is the order of the bytes of a
    value that has several; `value_range` holds the values that become black and white, where there
    are more than 8 bits.
    """

    encoding: str
    width: int
    height: int
    step: int
    data: Buffer
    big_endian: bool = False
    value_range: ValueRange | None = None

    def __post_init__(self) -> None:
        """
        Check that the picture can be read, and that the data is as large as it says.

        :raises PictureError: for an encoding that is not read or needs a range or a library, a
            size of zero or one that does not fit the encoding, or too little data
        """
        what = f'image {self.width}x{self.height} {self.encoding!r}'
        plain, converted = PLAIN.get(self.encoding), CONVERTED.get(self.encoding)
        rows = self.height
        if plain is not None:
            pixel = plain.channels
        elif converted is not None:
            pixel = converted.bytes_per_pixel
            rows = converted.rows(self.height)
            self._check(converted, what)
        else:
            raise PictureError(
                f'{what}: the encoding is not read. '
                f'Have the camera publish one of: {", ".join(NAMES)}.'
            )
        if self.width < 1 or self.height < 1:
            raise PictureError(f'{what}: it has no pixels. Check the camera driver.')
        if self.step < self.width * pixel:
            raise PictureError(
                f'{what}: a row of step {self.step} bytes cannot hold {self.width} pixels of '
                f'{pixel} bytes. Check the camera driver.'
            )
        size = memoryview(self.data).nbytes
        # The padding of the last row may be missing: some drivers leave it out.
        if size < self.step * (rows - 1) + self.width * pixel:
            name = 'height' if rows == self.height else f'{rows} rows'
            raise PictureError(
                f'{what}: the data has {size} bytes, {name} x step is {rows * self.step}. '
                'Check the camera driver, or the transport if frames are cut on the way.'
            )

    def _check(self, encoding: Converted, what: str) -> None:
        down, across = encoding.block
        if self.height % down or self.width % across:
            raise PictureError(
                f'{what}: in this encoding, height has to be a multiple of {down} and width of '
                f'{across}. Check the camera driver.'
            )
        if encoding.value_range is None and self.value_range is None:
            raise needs_range(what, f'{self.encoding!r}')
        if encoding.uses_opencv:
            check_opencv(what)

    @property
    def size(self) -> Size:
        """Return height and width."""
        return Size(self.height, self.width)

    def open(self) -> Image.Image:
        """Return the picture as Pillow has it, mode RGB or L."""
        if self.encoding in CONVERTED:
            return self._converted().open()
        encoding = PLAIN[self.encoding]
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
        if self.encoding in CONVERTED:
            return self._converted().scaled(fit, interpolation)
        encoding = PLAIN[self.encoding]
        box, size = fit.box, fit.size
        rows = rows_per_block(self.height, box, size, interpolation)
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

    def _converted(self) -> RawPicture:
        """Return the picture in a plain encoding."""
        encoding = CONVERTED[self.encoding]
        value_range = self.value_range or encoding.value_range
        layout = Layout(self.height, self.width, self.big_endian, value_range)
        shape = (encoding.rows(self.height), self.width * encoding.bytes_per_pixel)
        rows = np.ndarray(shape, np.uint8, memoryview(self.data), 0, (self.step, 1))
        pixels = np.ascontiguousarray(encoding.convert(rows, layout))
        step = self.width * PLAIN[encoding.to].channels
        return RawPicture(encoding.to, self.width, self.height, step, pixels.data.cast('B'))


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
