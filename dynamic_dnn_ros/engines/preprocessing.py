# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a camera's picture, in whatever encoding, to the square picture a sub-network takes."""

from __future__ import annotations

from dataclasses import dataclass
import io
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from dynamic_dnn_ros.bundles.manifest import Interpolation, Preprocessing, Resize
from dynamic_dnn_ros.engines.contract import Picture

if TYPE_CHECKING:
    from typing_extensions import Buffer


class PictureError(ValueError):
    """A camera's picture cannot be read. The text names it, the problem and the remedy."""


@dataclass(frozen=True)
class _Encoding:
    channels: int
    mode: str
    raw_mode: str


#: Pillow 9.0, which Ubuntu 22.04 ships, has no `Resampling` yet.
_FILTERS = {
    entry: getattr(getattr(Image, 'Resampling', Image), entry.name) for entry in Interpolation
}

#: Encodings of sensor_msgs/image_encodings.hpp that are read, with Pillow's names for them.
_ENCODINGS = {
    'rgb8': _Encoding(3, 'RGB', 'RGB'),
    'bgr8': _Encoding(3, 'RGB', 'BGR'),
    'rgba8': _Encoding(4, 'RGB', 'RGBX'),
    'bgra8': _Encoding(4, 'RGB', 'BGRX'),
    'mono8': _Encoding(1, 'L', 'L'),
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

    def open(self) -> Image.Image:
        """Return the picture as Pillow has it, mode RGB or L."""
        encoding = _ENCODINGS[self.encoding]
        size = (self.width, self.height)
        data = memoryview(self.data).cast('B')
        if len(data) < self.step * self.height:
            data = memoryview(bytes(data).ljust(self.step * self.height, b'\0'))
        # Any buffer will do, whatever Pillow's annotations say.
        buffer: Any = data
        return Image.frombuffer(
            encoding.mode, size, buffer, 'raw', encoding.raw_mode, self.step, 1
        )


@dataclass(frozen=True)
class CompressedPicture:
    """A picture as a compressed file: JPEG, PNG, or whatever else Pillow decodes."""

    data: Buffer

    def open(self) -> Image.Image:
        """
        Decode the picture.

        :raises PictureError: when it is no picture, truncated, or absurdly large
        """
        size = memoryview(self.data).nbytes
        what = f'compressed image of {size} bytes'
        try:
            image = Image.open(io.BytesIO(self.data))
            return image.convert('L' if image.mode == 'L' else 'RGB')
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


CameraPicture = RawPicture | CompressedPicture


def square(picture: CameraPicture, resolution: int, preprocessing: Preprocessing) -> Picture:
    """
    Scale a camera's picture to a sub-network's input, as its bundle says.

    :param resolution: height and width of the input, pixels
    :return: red, green, blue, shape (resolution, resolution, 3), contiguous
    :raises PictureError: when the picture cannot be decoded
    """
    image = picture.open()
    box = (0.0, 0.0, float(image.width), float(image.height))
    if preprocessing.resize is Resize.CENTER_CROP:
        side = min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        box = (left, top, left + side, top + side)
    if image.size != (resolution, resolution):
        image = image.resize((resolution, resolution), _FILTERS[preprocessing.interpolation], box)
    if image.mode != 'RGB':
        image = image.convert('RGB')
    return np.array(image, np.uint8)
