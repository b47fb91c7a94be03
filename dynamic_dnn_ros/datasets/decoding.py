# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From the content of a picture file to upright pixels."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.pictures.placement import Size

#: What Pillow raises of a file that it cannot read, or that is too large to be a picture.
_UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
_ORIENTATION = 0x0112


def decoded(content: bytes, name: str) -> NDArray[np.uint8]:
    """
    Return the pixels of a picture file: upright, RGB, (height, width, 3).

    :param name: what to call it in an error
    :raises DataError: when it cannot be read
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            return np.array(ImageOps.exif_transpose(image).convert('RGB'), np.uint8)
    except _UNREADABLE as error:
        raise unreadable(name, error) from error


def size_of(content: bytes, name: str) -> Size:
    """
    Return the size of a picture file, upright, without decoding it.

    :param name: what to call it in an error
    :raises DataError: when it cannot be read
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            turned = image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
            return Size(*image.size) if turned else Size(image.height, image.width)
    except _UNREADABLE as error:
        raise unreadable(name, error) from error


def unreadable(name: str, error: Exception) -> DataError:
    """Return what to say of a picture that cannot be read."""
    return DataError(f'picture {name} cannot be read ({error}): replace or remove it')
