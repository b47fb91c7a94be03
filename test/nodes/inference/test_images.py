# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import array
import io
import struct

import numpy as np
from PIL import Image as PillowImage
import pytest
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image

from dynamic_dnn_ros.nodes.inference.images import SerialisedImage, compressed_picture, raw_picture
from dynamic_dnn_ros.pictures.input import Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.pictures.scaling import (
    CameraPicture,
    CompressedPicture,
    PictureError,
    RawPicture,
    fitted,
)
from dynamic_dnn_ros.pictures.value_range import ValueRange
from support.images import compressed_message, image_message, jpeg, noise

STRETCH = Preprocessing(Resize.STRETCH, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
PIXELS = noise(61, 47, 3)


def small(picture: CameraPicture) -> np.ndarray:
    return fitted(picture, Size(24, 24), STRETCH)[0]


def big_endian(frame_id: bytes, encoding: bytes) -> bytes:
    """Return an image of 2 x 1 pixels as a computer of the other byte order serialises it."""
    body = struct.pack('>iII', -3, 7, len(frame_id) + 1) + frame_id + b'\0'
    body += b'\0' * (-len(body) % 4) + struct.pack('>III', 1, 2, len(encoding) + 1)
    body += encoding + b'\0' + b'\0'
    body += b'\0' * (-len(body) % 4) + struct.pack('>II', 6, 6) + bytes(range(6))
    return b'\0\0\0\0' + body


@pytest.mark.parametrize('frame_id', ['', 'a', 'ab', 'abc', 'abcd', 'kamera_\u00fc'])
@pytest.mark.parametrize('encoding', ['rgb8', 'mono8', 'bgra8'])
def test_reads_an_image_where_it_lies(frame_id: str, encoding: str) -> None:
    message = image_message(PIXELS, encoding, 1_234_567_890_123, frame_id, padding=3)
    data = serialize_message(message)
    serialised = SerialisedImage(data, Image)
    assert serialised.header == message.header
    picture = serialised.picture()
    assert isinstance(picture, RawPicture)
    assert (picture.encoding, picture.width, picture.height) == (encoding, 61, 47)
    assert picture.step == message.step
    assert isinstance(picture.data, memoryview) and picture.data.obj is data
    assert bytes(picture.data) == message.data.tobytes()
    assert np.array_equal(small(picture), small(raw_picture(message)))


@pytest.mark.parametrize('frame_id', ['', 'abc', 'abcd'])
def test_reads_a_compressed_image_where_it_lies(frame_id: str) -> None:
    message = compressed_message(jpeg(PIXELS), 5, frame_id)
    serialised = SerialisedImage(serialize_message(message), CompressedImage)
    assert serialised.header == message.header
    picture = serialised.picture()
    assert isinstance(picture, CompressedPicture)
    assert np.array_equal(small(picture), small(compressed_picture(message)))


@pytest.mark.parametrize('kind', [b'\0\0', b'\0\x06'])
def test_reads_the_other_byte_order(kind: bytes) -> None:
    data = kind + big_endian(b'cam', b'rgb8')[2:]
    serialised = SerialisedImage(data, Image)
    assert (serialised.header.stamp.sec, serialised.header.stamp.nanosec) == (-3, 7)
    assert serialised.header.frame_id == 'cam'
    picture = serialised.picture()
    assert isinstance(picture, RawPicture)
    assert (picture.width, picture.height, picture.step) == (2, 1, 6)
    assert bytes(picture.data) == bytes(range(6))


def test_every_cut_is_named() -> None:
    data = serialize_message(image_message(PIXELS, frame_id='camera'))
    for size in (*range(4, 70), len(data) - 10):
        with pytest.raises(PictureError, match=r'cannot be read|has 0 bytes|has \d+ bytes'):
            SerialisedImage(data[:size], Image).picture()


def test_a_string_that_is_no_text_is_named() -> None:
    data = bytearray(big_endian(b'cam', b'rgb8'))
    data[16:19] = b'\xff\xff\xff'
    with pytest.raises(PictureError, match='Image of .* cannot be read.*same definition'):
        SerialisedImage(bytes(data), Image)


def test_bytes_of_another_encapsulation_that_are_no_image_are_named() -> None:
    with pytest.raises(PictureError, match='Image of 44 serialised bytes: it cannot be read'):
        SerialisedImage(b'\x55\x55\x00\x00' + b'\xff' * 40, Image)


def test_an_image_without_data_is_named() -> None:
    empty = serialize_message(compressed_message(b''))
    with pytest.raises(PictureError, match="compressed image 'jpeg': it has no data"):
        SerialisedImage(empty, CompressedImage).picture()


@pytest.mark.parametrize('encoding', ['mono16', 'rgb16', 'bayer_rggb16', '16UC1'])
def test_the_byte_order_of_an_image_is_that_which_it_says(encoding: str) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (4, 18), np.uint16)
    found = []
    for big_endian, kind in ((False, '<u2'), (True, '>u2')):
        width = 6 if encoding == 'rgb16' else 18
        message = Image(height=4, width=width, encoding=encoding, step=36, is_bigendian=big_endian)
        message.data = array.array('B', values.astype(kind).tobytes())
        everything = ValueRange(0, 65535)
        serialised = SerialisedImage(serialize_message(message), Image).picture(everything)
        found += [small(serialised), small(raw_picture(message, everything))]
    assert all(np.array_equal(pixels, found[0]) for pixels in found)


def png_16() -> bytes:
    file = io.BytesIO()
    PillowImage.fromarray(np.linspace(0, 65535, 48, dtype=np.uint16).reshape(6, 8)).save(
        file, 'PNG'
    )
    return file.getvalue()


@pytest.mark.parametrize('kind', ['mono16; png compressed ', 'png', 'mono16;png', ''])
def test_a_compressed_picture_of_16_bits_is_scaled_by_its_range(kind: str) -> None:
    message = compressed_message(png_16(), image_format=kind)
    serialised = SerialisedImage(serialize_message(message), CompressedImage)
    for picture in (serialised.picture(), compressed_picture(message)):
        grey = np.asarray(picture.open())
        assert (grey[0, 0], grey[5, 7]) == (0, 255)
        assert len(np.unique(grey)) == 48


@pytest.mark.parametrize(
    ('kind', 'named'),
    [
        ('16UC1; png compressed ', "'16UC1' may be distances.*picture_range"),
        ('16UC1; compressedDepth png', 'holds distances.*republish.*picture_range'),
        ('32FC1; compressedDepth', 'holds distances.*republish'),
    ],
)
def test_compressed_distances_are_refused_by_name(kind: str, named: str) -> None:
    message = serialize_message(compressed_message(png_16(), image_format=kind))
    with pytest.raises(PictureError, match=named):
        SerialisedImage(message, CompressedImage).picture()


def test_compressed_distances_with_a_range_are_read() -> None:
    message = compressed_message(png_16(), image_format='16UC1; png compressed ')
    picture = compressed_picture(message, ValueRange(0, 6553.5))
    grey = np.asarray(picture.open())
    assert (grey[0, 0], grey[0, 5], grey[5, 7]) == (0, 255, 255)
