# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The encodings of uncompressed pictures that are read.

Those of 8 bits a channel are *plain*: they are scaled where they lie. All others are converted to
a plain one first. Names are those of sensor_msgs/image_encodings.hpp, and `nv12`, which Jetson
cameras send.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import functools
import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.pictures.errors import PictureError
from dynamic_dnn_ros.pictures.value_range import ALL_16_BITS, ValueRange

#: Rows of bytes as they came, shape (rows, bytes), perhaps strided.
Rows = NDArray[np.uint8]


@dataclass(frozen=True)
class Plain:
    """
    An encoding of 8 bits a channel, in Pillow's names.

    `unordered` is the mode in which Pillow takes the channels as they come, `order` theirs.
    """

    channels: int
    mode: str
    raw_mode: str
    unordered: str
    order: tuple[int, int, int]


@dataclass(frozen=True)
class Layout:
    """What a conversion needs to know beside the bytes."""

    height: int
    width: int
    big_endian: bool
    value_range: ValueRange | None


@dataclass(frozen=True)
class Converted:
    """
    An encoding that is converted to a plain one.

    :param convert: from rows of bytes to shape (height, width), grey, or (height, width, 3)
    :param to: the plain encoding that it becomes
    :param bytes_per_pixel: in a row
    :param rows: how many rows of bytes come for so many rows of pixels
    :param block: pixels that share a value: height and width have to be multiples
    :param uses_opencv: OpenCV is needed
    :param value_range: of the values; None where nobody can know it
    """

    convert: Callable[[Rows, Layout], NDArray[np.uint8]]
    to: str = 'rgb8'
    bytes_per_pixel: int = 1
    rows: Callable[[int], int] = int
    block: tuple[int, int] = (1, 1)
    uses_opencv: bool = True
    value_range: ValueRange | None = ALL_16_BITS


_RGB = Plain(3, 'RGB', 'RGB', 'RGB', (0, 1, 2))
_BGR = Plain(3, 'RGB', 'BGR', 'RGB', (2, 1, 0))
_BGRA = Plain(4, 'RGB', 'BGRX', 'RGBX', (2, 1, 0))
_GREY = Plain(1, 'L', 'L', 'L', (0, 0, 0))

#: Where only channels are named, they are those of OpenCV, as image_view shows them.
PLAIN = {
    'rgb8': _RGB,
    'bgr8': _BGR,
    'rgba8': Plain(4, 'RGB', 'RGBX', 'RGBX', (0, 1, 2)),
    'bgra8': _BGRA,
    'mono8': _GREY,
    '8UC1': _GREY,
    '8UC3': _BGR,
    '8UC4': _BGRA,
}


@functools.cache
def _opencv() -> Any:
    """Return OpenCV, or the error of its import: a failed one would be tried for each frame."""
    try:
        return importlib.import_module('cv2')
    except ImportError as error:
        return error


def check_opencv(what: str) -> None:
    """
    Check that OpenCV is there.

    :raises PictureError: naming the packages that have it
    """
    if isinstance(_opencv(), ImportError):
        raise PictureError(
            f'{what}: OpenCV is needed to read it, and cannot be imported ({_opencv()}). Install '
            '`python3-opencv` with apt or `opencv-python-headless` with pip, or have the camera '
            f'publish one of: {", ".join(PLAIN)}.'
        )


def _by_opencv(rows: Rows, code: str) -> NDArray[np.uint8]:
    cv2 = _opencv()
    found: NDArray[np.uint8] = cv2.cvtColor(rows, getattr(cv2, f'COLOR_{code}'))
    return found


def _packed_yuv(code: str) -> Converted:
    """Return an encoding in which two pixels share their colour, in two bytes a pixel."""

    def convert(rows: Rows, layout: Layout) -> NDArray[np.uint8]:
        return _by_opencv(rows.reshape(layout.height, layout.width, 2), code)

    return Converted(convert, bytes_per_pixel=2, block=(1, 2))


def _planar_yuv(code: str) -> Converted:
    """Return an encoding with the colours of four pixels each below the brightness of all."""

    def convert(rows: Rows, layout: Layout) -> NDArray[np.uint8]:
        return _by_opencv(rows, code)

    return Converted(convert, rows=lambda height: height * 3 // 2, block=(2, 2))


def _nv24(rows: Rows, layout: Layout) -> NDArray[np.uint8]:
    """Convert a plane of brightness and one of colours, which has two bytes for each pixel."""
    height, width = layout.height, layout.width
    colours = np.ascontiguousarray(rows[height:]).reshape(height, width, 2)
    # OpenCV knows it with a colour for four pixels only.
    halved = np.empty((height // 2, width // 2, 2), np.uint8)
    _opencv().resize(colours, halved.shape[1::-1], halved, interpolation=_opencv().INTER_AREA)
    planes = np.concatenate([rows[:height], halved.reshape(height // 2, width)])
    return _by_opencv(planes, 'YUV2RGB_NV12')


def _bayer(pattern: str, bits: int) -> Converted:
    """
    Return an encoding with one colour a pixel.

    :param pattern: OpenCV's name, of the second and third pixel of the second row
    """

    def convert(rows: Rows, layout: Layout) -> NDArray[np.uint8]:
        mosaic = rows if bits == 8 else _of_16_bits(rows, layout, 1)
        return _by_opencv(mosaic, f'Bayer{pattern}2RGB')

    return Converted(convert, bytes_per_pixel=bits // 8, block=(2, 2))


def _of_16_bits(rows: Rows, layout: Layout, channels: int) -> NDArray[np.uint8]:
    values = _values(rows, layout, 'u2', channels)
    found = (layout.value_range or ALL_16_BITS).eight_bits(values)
    return found if channels > 1 else found[..., 0]


def _values(rows: Rows, layout: Layout, kind: str, channels: int) -> NDArray[Any]:
    """Return numbers of several bytes, shape (height, width, channels)."""
    dtype = np.dtype(f'{">" if layout.big_endian else "<"}{kind}')
    return np.ascontiguousarray(rows).view(dtype).reshape(layout.height, layout.width, channels)


def _grey_of_16_bits(rows: Rows, layout: Layout) -> NDArray[np.uint8]:
    return _of_16_bits(rows, layout, 1)


def _colours_of_16_bits(rows: Rows, layout: Layout) -> NDArray[np.uint8]:
    return _of_16_bits(rows, layout, 3)


def _floats(rows: Rows, layout: Layout) -> NDArray[np.uint8]:
    assert layout.value_range is not None
    return layout.value_range.eight_bits(_values(rows, layout, 'f4', 1)[..., 0])


_GREY_16 = Converted(_grey_of_16_bits, 'mono8', 2, uses_opencv=False)

CONVERTED = {
    'yuv422': _packed_yuv('YUV2RGB_UYVY'),
    'uyvy': _packed_yuv('YUV2RGB_UYVY'),
    'yuv422_yuy2': _packed_yuv('YUV2RGB_YUY2'),
    'yuyv': _packed_yuv('YUV2RGB_YUY2'),
    'nv12': _planar_yuv('YUV2RGB_NV12'),
    'nv21': _planar_yuv('YUV2RGB_NV21'),
    'nv24': Converted(_nv24, rows=lambda height: height * 3, block=(2, 2)),
    **{
        f'bayer_{name}{bits}': _bayer(pattern, bits)
        for name, pattern in (('rggb', 'BG'), ('bggr', 'RG'), ('gbrg', 'GR'), ('grbg', 'GB'))
        for bits in (8, 16)
    },
    'mono16': _GREY_16,
    'rgb16': Converted(_colours_of_16_bits, 'rgb8', 6, uses_opencv=False),
    'bgr16': Converted(_colours_of_16_bits, 'bgr8', 6, uses_opencv=False),
    # Mostly distances: in mm, and in m.
    '16UC1': Converted(_grey_of_16_bits, 'mono8', 2, uses_opencv=False, value_range=None),
    '32FC1': Converted(_floats, 'mono8', 4, uses_opencv=False, value_range=None),
}

#: All names, in the order in which errors list them.
NAMES = (*PLAIN, *CONVERTED)
