# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
from pathlib import Path
import resource
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps
import psutil
import pytest

from dynamic_dnn_ros.pictures.errors import PictureError
from dynamic_dnn_ros.pictures.input import Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.pictures.scaling import CompressedPicture, fitted
from dynamic_dnn_ros.pictures.upright import upright_picture
from dynamic_dnn_ros.pictures.value_range import ValueRange

WAY = Preprocessing(Resize.CENTER_CROP, (0.0,) * 3, (1.0,) * 3)
#: Smooth, and no two corners alike.
PIXELS = np.asarray(
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (3, 4, 3), np.uint8)).resize(
        (400, 300), Image.Resampling.BICUBIC
    )
)


def file(image: Image.Image, file_format: str, orientation: int | None = None) -> bytes:
    stream = io.BytesIO()
    options = {}
    if orientation is not None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options['exif'] = exif
    image.save(stream, file_format, **options)
    return stream.getvalue()


@pytest.mark.parametrize('file_format', ['JPEG', 'PNG', 'TIFF', 'WEBP'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_every_orientation_of_every_format_is_turned_upright(
    file_format: str, orientation: int, tmp_path: Path
) -> None:
    data = file(Image.fromarray(PIXELS), file_format, orientation)
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        expected = np.array(ImageOps.exif_transpose(image).convert('RGB'))
    assert expected.shape == ((400, 300, 3) if orientation >= 5 else (300, 400, 3))
    path = tmp_path / 'picture'
    path.write_bytes(data)
    for source in (path, str(path), data):
        assert np.array_equal(upright_picture(source), expected)
    assert np.array_equal(np.array(CompressedPicture(data).open().convert('RGB')), expected)


@pytest.mark.parametrize('reduced', [False, True])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_a_turned_camera_frame_is_fitted_as_the_upright_one(
    orientation: int, reduced: bool
) -> None:
    stored = Image.fromarray(PIXELS)
    turned = CompressedPicture(file(stored, 'JPEG', orientation))
    upright = CompressedPicture(file(turned.open(), 'JPEG'))
    size = Size(12, 20)
    found, placement = fitted(turned, size, WAY, reduced_decoding=reduced)
    expected, same = fitted(upright, size, WAY, reduced_decoding=reduced)
    assert placement == same
    assert placement.picture == (Size(400, 300) if orientation >= 5 else Size(300, 400))
    # The upright one has gone through JPEG twice.
    assert np.abs(found.astype(int) - expected).max() <= 6


def test_damaged_exif_data_costs_no_picture() -> None:
    data = file(Image.fromarray(PIXELS), 'JPEG', 6)
    begin = data.index(b'Exif')
    damaged = data[: begin + 6] + b'\xff' * 20 + data[begin + 26 :]
    assert upright_picture(damaged).shape == (300, 400, 3)


GRADIENT = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)


@pytest.mark.parametrize('file_format', ['PNG', 'TIFF'])
def test_pictures_of_16_bits_are_scaled_by_their_range(file_format: str) -> None:
    data = file(Image.fromarray(GRADIENT), file_format)
    for found in (upright_picture(data), np.array(CompressedPicture(data).open().convert('RGB'))):
        assert np.abs(found[..., 0] - GRADIENT / 257.0).max() <= 0.5
    low = ValueRange(0, 4095)
    found = upright_picture(data, low)[..., 0]
    assert np.abs(found - np.minimum(GRADIENT / 4095.0, 1.0) * 255).max() <= 0.5


@pytest.mark.parametrize(
    ('values', 'named'),
    [(np.ones((4, 5), np.float32), 'floats'), (np.ones((4, 5), np.int32), '32 bits')],
)
def test_floats_and_32_bits_need_a_range(values: np.ndarray, named: str) -> None:
    image = Image.fromarray(values)
    with pytest.raises(PictureError, match=f'picture x.tif: values of {named}.*picture_range'):
        upright_picture(image, name='x.tif')
    with pytest.raises(PictureError, match=f'values of {named}.*picture_range'):
        CompressedPicture(file(image, 'TIFF')).open()
    assert (upright_picture(image, ValueRange(0.0, 2.0)) == 128).all()


def test_what_is_no_number_is_black_and_infinity_white() -> None:
    values = np.array([[np.nan, -np.inf, np.inf, 1.0]], np.float32)
    found = upright_picture(Image.fromarray(values), ValueRange(0.0, 2.0))
    assert found[0, :, 0].tolist() == [0, 0, 255, 128]


@pytest.mark.parametrize('mode', ['1', 'P', 'LA', 'RGBA', 'CMYK', 'L', 'RGB'])
def test_every_mode_of_8_bits_becomes_rgb(mode: str) -> None:
    image = Image.fromarray(PIXELS).convert(mode)
    assert np.array_equal(upright_picture(image), np.array(image.convert('RGB')))


def png_of(width: int, height: int) -> bytes:
    """Return the beginning of a PNG file that announces a size."""
    header = b'IHDR' + struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    body = b'IDAT' + zlib.compress(bytes(200))
    chunks = [
        struct.pack('>I', len(part) - 4) + part + struct.pack('>I', zlib.crc32(part))
        for part in (header, body)
    ]
    return b'\x89PNG\r\n\x1a\n' + b''.join(chunks)


@pytest.mark.parametrize(
    ('width', 'height', 'named'),
    [
        (60_000, 60_000, '3600000000 pixels'),
        (6_000, 6_000, '6000x6000 pixels, but .* bytes cannot hold them'),
        (2**31 - 1, 2**31 - 1, 'pixels'),
    ],
)
def test_an_absurd_size_is_refused_before_memory_is_taken(
    width: int, height: int, named: str
) -> None:
    data = png_of(width, height)
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**25, before[1]))
    try:
        for read in (lambda: CompressedPicture(data).open(), lambda: upright_picture(data)):
            with pytest.raises(PictureError, match=named):
                read()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_an_even_picture_is_not_taken_for_a_bomb() -> None:
    image = Image.new('1', (4000, 3000))
    assert upright_picture(file(image, 'PNG')).shape == (3000, 4000, 3)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / 'cat.jpg'
    with pytest.raises(PictureError, match=r'picture .*cat.jpg: it cannot be decoded .*No such'):
        upright_picture(path)
    path.write_text('no picture')
    with pytest.raises(PictureError, match=r'picture .*cat.jpg: it is no picture.*Replace'):
        upright_picture(path)
    path.write_bytes(file(Image.fromarray(PIXELS), 'JPEG')[:3000])
    with pytest.raises(PictureError, match=r'picture .*cat.jpg: it cannot be decoded .*truncated'):
        upright_picture(path)
