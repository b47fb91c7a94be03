# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From the content of a picture file to upright pixels, as everywhere else."""

from __future__ import annotations

from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.pictures import upright
from dynamic_dnn_ros.pictures.errors import PictureError
from dynamic_dnn_ros.pictures.input import Picture
from dynamic_dnn_ros.pictures.placement import Size


def decoded(content: bytes, name: str) -> Picture:
    """
    Return the pixels of a picture file: upright, RGB, (height, width, 3).

    :param name: what to call it in an error
    :raises DataError: when it cannot be read
    """
    try:
        return upright.upright_picture(content, name=name)
    except PictureError as error:
        raise DataError(str(error)) from error


def size_of(content: bytes, name: str) -> Size:
    """
    Return the size of a picture file, upright; a JPEG file is not decoded for it.

    :param name: what to call it in an error
    :raises DataError: when it cannot be read
    """
    what = f'picture {name}'
    try:
        with upright.readable(what, 'Replace or remove it.'):
            image = upright.opened(content, upright.FILE_FORMATS, what)
            size = upright.upright_size(image)
            if size is not None:
                return size
            picture = upright.decoded(image, what)
            return Size(picture.height, picture.width)
    except PictureError as error:
        raise DataError(str(error)) from error
