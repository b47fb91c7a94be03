# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a camera's picture, in whatever encoding, to the square picture a sub-network takes."""

from __future__ import annotations

from dataclasses import dataclass
import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from dynamic_dnn_ros.pictures.input import Interpolation, Picture, Preprocessing, Resize

if TYPE_CHECKING:
    from typing_extensions import Buffer


class PictureError(ValueError):
    """A camera's picture cannot be read. The text names it, the problem and the remedy."""


@dataclass(frozen=True)
class _Encoding:
    """`unordered` is the mode in which Pillow takes the channels as they come, `order` theirs."""

    channels: int
    mode: str
    raw_mode: str
    unordered: str
    order: tuple[int, int, int]


#: Left, upper, right, lower, pixels.
_Box = tuple[float, float, float, float]

#: Pillow 9.0, which Ubuntu 22.04 ships, has no `Resampling` yet.
_FILTERS = {
    entry: getattr(getattr(Image, 'Resampling', Image), entry.name) for entry in Interpolation
}

#: Encodings of sensor_msgs/image_encodings.hpp that are read, with Pillow's names for them.
_ENCODINGS = {
    'rgb8': _Encoding(3, 'RGB', 'RGB', 'RGB', (0, 1, 2)),
    'bgr8': _Encoding(3, 'RGB', 'BGR', 'RGB', (2, 1, 0)),
    'rgba8': _Encoding(4, 'RGB', 'RGBX', 'RGBX', (0, 1, 2)),
    'bgra8': _Encoding(4, 'RGB', 'BGRX', 'RGBX', (2, 1, 0)),
    'mono8': _Encoding(1, 'L', 'L', 'L', (0, 0, 0)),
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

#: What cameras compress to. Pillow knows more, some of it by programs that it starts.
_FORMATS = ('JPEG', 'PNG', 'WEBP', 'TIFF')

#: Pillow rounds halves up when it averages columns: pairs would become a quarter of a grey level
#: brighter.
_FEWEST_COLUMNS = 3

#: Pixels of a picture decoded at a reduced scale for each pixel of the result, at least: with 4,
#: networks of 32x32 pixels lost 0.1 points of accuracy, with 8 none (5,000 pictures).
REDUCED_DECODING = 8


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

    def scaled(self, resolution: int, preprocessing: Preprocessing) -> Picture:
        """
        Scale the picture, without a copy of it on the way.

        Of a large one numpy averages rows while it reads them, so that Pillow has less to unpack.

        :param resolution: height and width of the result, pixels
        :return: red, green, blue, shape (resolution, resolution, 3); perhaps a view
        """
        encoding = _ENCODINGS[self.encoding]
        box = _source_box(self.width, self.height, preprocessing.resize)
        rows = _rows_per_block(self.height, box[3] - box[1], resolution, preprocessing)
        # What a filter sees of the pixels around the box counts as well.
        left, right = _reached(box[0], box[2], self.width, resolution, preprocessing)
        upper, lower = _reached(box[1], box[3], self.height, resolution, preprocessing)
        upper, lower = upper // rows * rows, -(-lower // rows) * rows
        if rows == 1 and encoding.unordered != 'RGB':
            left, right = 0, self.width  # Read where it lies: to leave columns out saves nothing.
        begin = upper * self.step + left * encoding.channels
        length = (right - left) * encoding.channels
        data, step = memoryview(self.data).cast('B')[begin:], self.step
        if rows > 1:
            shape, strides = ((lower - upper) // rows, rows, length), (rows * step, step, 1)
            data, step = _means(np.ndarray(shape, np.uint8, data, 0, strides)), length
        size = (right - left, (lower - upper) // rows)
        image = _image(encoding.unordered, size, data, encoding.unordered, step)
        inner = (box[0] - left, (box[1] - upper) / rows, box[2] - left, (box[3] - upper) / rows)
        # What both rows and columns round adds up to two grey levels now and then.
        resized = _resized(image, resolution, preprocessing.interpolation, inner, rows == 1)
        return np.asarray(resized).reshape(resolution, resolution, -1)[..., encoding.order]


@dataclass(frozen=True)
class CompressedPicture:
    """A picture as a compressed file: JPEG, PNG, WebP or TIFF."""

    data: Buffer

    def open(self, least_side: int | None = None) -> Image.Image:
        """
        Decode the picture, mode RGB or L.

        :param least_side: pixels; a JPEG picture may be decoded at 1/2, 1/4 or 1/8 of its scale
            while both of its sides keep at least these
        :raises PictureError: when it is no picture, truncated, or absurdly large
        """
        size = memoryview(self.data).nbytes
        what = f'compressed image of {size} bytes'
        try:
            image = Image.open(io.BytesIO(self.data), formats=_FORMATS)
            if least_side is not None:
                image.draft(None, (least_side, least_side))
            image.load()
            # To convert a picture to the mode that it has would copy it.
            return image if image.mode in ('L', 'RGB') else image.convert('RGB')
        except UnidentifiedImageError as error:
            raise PictureError(
                f'{what}: it is no picture that can be decoded. '
                'Have the camera publish JPEG or PNG.'
            ) from error
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise PictureError(
                f'{what}: it cannot be decoded ({error}). '
                'Check the camera driver, or the transport if frames are cut on the way.'
            ) from error

    def scaled(
        self, resolution: int, preprocessing: Preprocessing, reduced_decoding: bool = False
    ) -> Picture:
        """
        Decode and scale the picture.

        :param resolution: height and width of the result, pixels
        :param reduced_decoding: decode no more of a JPEG picture than `REDUCED_DECODING` needs
        :return: red, green, blue, shape (resolution, resolution, 3); perhaps a view
        :raises PictureError: when the picture cannot be decoded
        """
        image = self.open(REDUCED_DECODING * resolution if reduced_decoding else None)
        box = _source_box(image.width, image.height, preprocessing.resize)
        pixels = np.asarray(_resized(image, resolution, preprocessing.interpolation, box))
        order = _ENCODINGS['mono8' if image.mode == 'L' else 'rgb8'].order
        return pixels.reshape(resolution, resolution, -1)[..., order]


CameraPicture = RawPicture | CompressedPicture


def square(
    picture: CameraPicture,
    resolution: int,
    preprocessing: Preprocessing,
    out: Picture | None = None,
    reduced_decoding: bool = False,
) -> Picture:
    """
    Scale a camera's picture to a sub-network's input, as its bundle says.

    Equal to what Pillow makes of all pixels to within one grey level.

    :param resolution: height and width of the input, pixels
    :param out: where to write the result, shape (resolution, resolution, 3); a new array if None
    :param reduced_decoding: of a JPEG picture, decode no more than the result needs
    :return: red, green, blue, shape (resolution, resolution, 3), contiguous: `out` where given
    :raises PictureError: when the picture cannot be decoded
    """
    if isinstance(picture, CompressedPicture):
        pixels = picture.scaled(resolution, preprocessing, reduced_decoding)
    else:
        pixels = picture.scaled(resolution, preprocessing)
    if out is None:
        out = np.empty((resolution, resolution, 3), np.uint8)
    np.copyto(out, pixels)
    return out


def _source_box(width: int, height: int, resize: Resize) -> _Box:
    """Return the part of a picture that the network sees."""
    if resize is Resize.STRETCH:
        return 0.0, 0.0, float(width), float(height)
    side = min(width, height)
    left, upper = (width - side) / 2, (height - side) / 2
    return left, upper, left + side, upper + side


def _reached(
    begin: float, end: float, side: int, resolution: int, preprocessing: Preprocessing
) -> tuple[int, int]:
    """Return the first pixel that counts for a part of a side, and the one after the last."""
    pixel = max(1.0, (end - begin) / resolution)
    reach = _REACH[preprocessing.interpolation] * pixel + 1
    return int(max(0.0, begin - reach)), math.ceil(min(side, end + reach))


def _rows_per_block(
    height: int, box_height: float, resolution: int, preprocessing: Preprocessing
) -> int:
    """Return how many rows may be averaged: a power of two that divides the height, or 1."""
    pixel = box_height / resolution
    if preprocessing.interpolation is Interpolation.BOX:
        # All pixels under this filter weigh the same, so blocks have to lie inside its borders.
        whole = pixel.is_integer() and box_height == height
        most, divided = (pixel, math.gcd(int(pixel), height)) if whole else (1.0, 1)
    else:
        most, divided = pixel / _ROWS_PER_PIXEL[preprocessing.interpolation], height
    rows = 1
    while 2 * rows <= min(most, _MOST_ROWS) and divided % (2 * rows) == 0:
        rows *= 2
    return rows


def _means(blocks: NDArray[np.uint8]) -> memoryview:
    """Return the rounded means over the second axis: a power of two, `_MOST_ROWS` at most."""
    rows = blocks.shape[1]
    sums = np.add.reduce(blocks, axis=1, dtype=np.uint16)
    # Halves are rounded up and down in turn: the mean of the picture stays what it is.
    sums[0::2] += rows // 2 - 1
    sums[1::2] += rows // 2
    means = np.empty(sums.shape, np.uint8)
    np.right_shift(sums, rows.bit_length() - 1, out=means, casting='unsafe')
    return means.data.cast('B')


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


def _resized(
    image: Image.Image,
    resolution: int,
    interpolation: Interpolation,
    box: _Box,
    may_average: bool = True,
) -> Image.Image:
    """Return a part of an image, scaled to a square; columns averaged before where they may be."""
    size = (resolution, resolution)
    if image.size == size and box == (0.0, 0.0, *map(float, size)):
        return image
    columns = (box[2] - box[0]) / (resolution * _COLUMNS_PER_PIXEL)
    enough = interpolation is not Interpolation.BOX and columns >= _FEWEST_COLUMNS
    gap = _COLUMNS_PER_PIXEL if enough and may_average else None
    return image.resize(size, _FILTERS[interpolation], box, gap)
