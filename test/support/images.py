# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Camera messages made of numpy arrays."""

from __future__ import annotations

import array
import io

from builtin_interfaces.msg import Time
import numpy as np
import numpy.typing as npt
from PIL import Image as Picture
from sensor_msgs.msg import CompressedImage, Image

Pixels = npt.NDArray[np.uint8]

_CHANNELS = {'rgb8': 3, 'bgr8': 3, 'rgba8': 4, 'bgra8': 4, 'mono8': 1}


def stamp_of(nanoseconds: int) -> Time:
    """Return a stamp."""
    return Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


def nanoseconds_of(stamp: Time) -> int:
    """Return the nanoseconds of a stamp."""
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def _fill(data: bytes | memoryview) -> array.array[int]:
    # Any other type than array.array makes the setter walk over every byte.
    filled = array.array('B')
    filled.frombytes(data)
    return filled


def image_message(
    pixels: Pixels,
    encoding: str = 'rgb8',
    nanoseconds: int = 0,
    frame_id: str = 'camera',
    padding: int = 0,
) -> Image:
    """
    Return an image message.

    :param pixels: height x width x 3, red green blue, whatever the encoding; they are converted.
    :param padding: bytes after each row, filled with 255 so that a reader of them is found out.
    """
    channels = _CHANNELS[encoding]
    if encoding == 'mono8':
        converted = np.asarray(Picture.fromarray(pixels).convert('L'))[..., np.newaxis]
    else:
        converted = pixels[..., ::-1] if encoding.startswith('bgr') else pixels
        if channels == 4:
            opaque = np.full(pixels.shape[:2] + (1,), 255, np.uint8)
            converted = np.concatenate([converted, opaque], axis=2)
    height, width = pixels.shape[:2]
    rows = np.full((height, width * channels + padding), 255, np.uint8)
    rows[:, : width * channels] = converted.reshape(height, width * channels)
    message = Image(height=height, width=width, encoding=encoding, step=rows.shape[1])
    message.header.stamp = stamp_of(nanoseconds)
    message.header.frame_id = frame_id
    message.data = _fill(memoryview(rows).cast('B'))
    return message


def jpeg(pixels: Pixels, quality: int = 95) -> bytes:
    """Return the JPEG file of a picture."""
    file = io.BytesIO()
    Picture.fromarray(pixels).save(file, 'JPEG', quality=quality)
    return file.getvalue()


def compressed_message(
    data: bytes,
    nanoseconds: int = 0,
    frame_id: str = 'camera',
    image_format: str = 'jpeg',
) -> CompressedImage:
    """Return a compressed image message of a JPEG or PNG file's content."""
    message = CompressedImage(format=image_format)
    message.header.stamp = stamp_of(nanoseconds)
    message.header.frame_id = frame_id
    message.data = _fill(data)
    return message


def decode(data: bytes) -> Pixels:
    """Return the pixels of a JPEG or PNG file, height x width x 3, red green blue."""
    return np.asarray(Picture.open(io.BytesIO(data)).convert('RGB'))


def resize(pixels: Pixels, width: int, height: int) -> Pixels:
    """Return a picture scaled bilinearly."""
    scaled = Picture.fromarray(pixels).resize((width, height), Picture.Resampling.BILINEAR)
    return np.asarray(scaled)


def noise(width: int, height: int, seed: int) -> Pixels:
    """Return a picture of coarse noise: two seeds look different at any resolution."""
    generator = np.random.default_rng(seed)
    blocks = generator.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return resize(blocks, width, height)
