# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Compressed pictures, as cameras send them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from dynamic_dnn_ros.pictures.fitting import Fit, resized
from dynamic_dnn_ros.pictures.input import Picture, Preprocessing
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.pictures.upright import decoded, opened, readable, upright_size
from dynamic_dnn_ros.pictures.value_range import ValueRange

if TYPE_CHECKING:
    from typing_extensions import Buffer

#: What cameras compress to.
_FORMATS = ('JPEG', 'PNG', 'WEBP', 'TIFF')

#: Pixels of a picture decoded at a reduced scale for each pixel of the result, at least: with 4,
#: networks of 32x32 pixels lost 0.1 points of accuracy, with 8 none (5,000 pictures).
REDUCED_DECODING = 8

_REMEDY = (
    'Have the camera publish JPEG or PNG; check its driver, and the transport if frames are cut '
    'on the way.'
)


@dataclass(frozen=True)
class CompressedPicture:
    """
    A picture as a compressed file: JPEG, PNG, WebP or TIFF.

    `value_range` holds the values that become black and white, where there are more than 8 bits.
    """

    data: Buffer
    value_range: ValueRange | None = None

    def describe(self) -> str:
        """
        Return size and format as the file's header has them, e.g. '640x480 JPEG'.

        :raises PictureError: when it is no picture, or absurdly large
        """
        with readable(self._what, _REMEDY):
            image = opened(self.data, _FORMATS, self._what)
            return f'{image.width}x{image.height} {image.format}'

    def open(self) -> Image.Image:
        """
        Decode the picture, upright, mode RGB or L.

        :raises PictureError: when it is no picture, truncated, absurdly large, or its range must
            be known
        """
        with readable(self._what, _REMEDY):
            image = opened(self.data, _FORMATS, self._what)
            return decoded(image, self._what, self.value_range)

    def scaled(
        self, target: Size, preprocessing: Preprocessing, reduced_decoding: bool = False
    ) -> tuple[Picture, Fit]:
        """
        Decode the picture and scale what a network sees of it.

        :param target: size of the network's input
        :param reduced_decoding: decode no more of a JPEG picture than `REDUCED_DECODING` needs
        :return: red, green, blue, shape (`fit.size`, 3), perhaps a view; and the fit of the
            upright picture
        :raises PictureError: as `open`
        """
        what = self._what
        fit, least = None, None
        with readable(what, _REMEDY):
            image = opened(self.data, _FORMATS, what)
            size = upright_size(image) if reduced_decoding else None
            if size is not None:
                fit = Fit.of(size, target, preprocessing)
                least = Size(*(REDUCED_DECODING * side for side in fit.size))
            image = decoded(image, what, self.value_range, least)
        found = Size(image.height, image.width)
        fit = fit or Fit.of(found, target, preprocessing)
        part = fit.for_decoded(found)
        pixels = np.asarray(resized(image, part.size, preprocessing.interpolation, part.box))
        channels = (0, 0, 0) if image.mode == 'L' else (0, 1, 2)
        return pixels.reshape(*part.size, -1)[..., channels], fit

    @property
    def _what(self) -> str:
        return f'compressed image of {memoryview(self.data).nbytes} bytes'
