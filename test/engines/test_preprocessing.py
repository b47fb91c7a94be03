# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import array
from dataclasses import replace
import io

import numpy as np
from PIL import Image
import pytest

from dynamic_dnn_ros.bundles.manifest import Interpolation, Preprocessing, Resize
from dynamic_dnn_ros.engines.preprocessing import (
    CompressedPicture,
    PictureError,
    RawPicture,
    square,
)

HEIGHT, WIDTH = 6, 8
RGB = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


STRETCH = Preprocessing(Resize.STRETCH, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))


def encoded(encoding: str) -> np.ndarray:
    opaque = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
    return {
        'rgb8': RGB,
        'bgr8': RGB[..., ::-1],
        'rgba8': np.concatenate([RGB, opaque], axis=2),
        'bgra8': np.concatenate([RGB[..., ::-1], opaque], axis=2),
        'mono8': RGB[..., :1],
    }[encoding]


def padded(pixels: np.ndarray, padding: int) -> tuple[array.array, int]:
    rows = pixels.reshape(pixels.shape[0], -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    return array.array('B', rows.tobytes()), rows.shape[1]


@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8', 'rgba8', 'bgra8', 'mono8'])
def test_every_encoding_and_padding_gives_the_same_picture(encoding: str, padding: int) -> None:
    data, step = padded(encoded(encoding), padding)
    picture = RawPicture(encoding, WIDTH, HEIGHT, step, data)
    expected = np.repeat(RGB[..., :1], 3, axis=2) if encoding == 'mono8' else RGB
    assert np.array_equal(np.array(picture.open().convert('RGB')), expected)
    scaled = Image.fromarray(expected).resize((4, 4), Image.Resampling.BILINEAR)
    assert np.array_equal(square(picture, 4, STRETCH), np.array(scaled))


def test_last_row_may_lack_its_padding() -> None:
    data, step = padded(RGB, 5)
    picture = RawPicture('rgb8', WIDTH, HEIGHT, step, data[:-5])
    assert np.array_equal(np.array(picture.open()), RGB)


def test_center_crop_takes_the_largest_square_at_the_centre() -> None:
    picture = RawPicture('rgb8', WIDTH, HEIGHT, WIDTH * 3, RGB.tobytes())
    result = square(picture, HEIGHT, replace(STRETCH, resize=Resize.CENTER_CROP))
    assert np.array_equal(result, RGB[:, 1:7])


@pytest.mark.parametrize('interpolation', Interpolation)
def test_scales_with_the_filter_of_the_bundle(interpolation: Interpolation) -> None:
    picture = RawPicture('rgb8', WIDTH, HEIGHT, WIDTH * 3, RGB.tobytes())
    expected = Image.fromarray(RGB).resize((4, 4), Image.Resampling[interpolation.name])
    result = square(picture, 4, replace(STRETCH, interpolation=interpolation))
    assert np.array_equal(result, np.array(expected))


def test_native_size_is_not_touched_and_result_is_contiguous() -> None:
    pixels = np.ascontiguousarray(RGB[:, :6])
    result = square(RawPicture('rgb8', 6, 6, 18, pixels.tobytes()), 6, STRETCH)
    assert np.array_equal(result, pixels)
    assert result.flags.c_contiguous and result.flags.writeable


@pytest.mark.parametrize('file_format', ['JPEG', 'PNG'])
@pytest.mark.parametrize('mode', ['RGB', 'L'])
def test_compressed_pictures(file_format: str, mode: str) -> None:
    image = Image.fromarray(RGB).convert(mode)
    file = io.BytesIO()
    image.save(file, file_format)
    result = square(CompressedPicture(file.getvalue()), 4, STRETCH)
    with Image.open(file) as decoded:
        expected = decoded.resize((4, 4), Image.Resampling.BILINEAR).convert('RGB')
    assert np.array_equal(result, np.array(expected))


@pytest.mark.parametrize(
    ('encoding', 'width', 'height', 'step', 'size', 'named'),
    [
        ('rgb8', 8, 6, 24, 143, 'the data has 143 bytes, height x step is 144'),
        ('rgb8', 8, 6, 24, 0, 'the data has 0 bytes'),
        ('rgb8', 0, 6, 0, 0, 'it has no pixels'),
        ('rgb8', 8, 0, 24, 0, 'it has no pixels'),
        ('rgb8', 8, 6, 23, 144, 'step 23 bytes cannot hold 8 pixels'),
        ('32FC1', 8, 6, 32, 192, 'the encoding is not read.*rgb8'),
        ('', 8, 6, 24, 144, 'the encoding is not read'),
    ],
)
def test_bad_images_are_named(
    encoding: str, width: int, height: int, step: int, size: int, named: str
) -> None:
    with pytest.raises(PictureError, match=named):
        RawPicture(encoding, width, height, step, bytes(size))


def test_pictures_that_cannot_be_decoded() -> None:
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, 'JPEG')
    with pytest.raises(PictureError, match='no picture that can be decoded'):
        CompressedPicture(b'not a picture').open()
    with pytest.raises(PictureError, match='cannot be decoded'):
        CompressedPicture(file.getvalue()[:-40]).open()
