# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import array
from collections.abc import Iterator
from dataclasses import replace
import io
from pathlib import Path
import resource
from typing import Any

import numpy as np
from PIL import Image
import psutil
import pytest

from dynamic_dnn_ros.pictures import compressed
from dynamic_dnn_ros.pictures.fitting import Fit
from dynamic_dnn_ros.pictures.input import Interpolation, Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.pictures.scaling import (
    CameraPicture,
    CompressedPicture,
    PictureError,
    RawPicture,
    fitted,
)

HEIGHT, WIDTH = 6, 8
RGB = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


STRETCH = Preprocessing(Resize.STRETCH, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))


def square(
    picture: CameraPicture, side: int, preprocessing: Preprocessing, **options: Any
) -> np.ndarray:
    return fitted(picture, Size(side, side), preprocessing, **options)[0]


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


def test_a_step_beyond_all_rows_costs_no_memory() -> None:
    row = RGB[:1, :, :1]
    picture = RawPicture('mono8', WIDTH, 1, 2**31 - 1, row.tobytes())
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, before[1]))
    try:
        result = square(picture, 4, STRETCH)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    expected = Image.fromarray(row[..., 0]).resize((4, 4), Image.Resampling.BILINEAR)
    assert np.array_equal(result[..., 0], np.array(expected))


def test_sums_of_many_rows_do_not_overflow() -> None:
    white = RawPicture('mono8', 8, 4096, 8, bytes([255]) * 8 * 4096)
    assert np.all(square(white, 8, replace(STRETCH, interpolation=Interpolation.BOX)) == 255)


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


def training_transform(
    image: Image.Image, resolution: int, preprocessing: Preprocessing
) -> np.ndarray:
    """Scale all pixels of a picture with one filter, as torchvision does with Pillow pictures."""
    width, height = image.size
    resampling = Image.Resampling[preprocessing.interpolation.name]
    if preprocessing.resize is Resize.LETTERBOX:
        scale = resolution / max(image.size)
        small = (round(width * scale), round(height * scale))
        canvas = Image.new('RGB', (resolution, resolution), (114, 114, 114))
        place = ((resolution - small[0]) // 2, (resolution - small[1]) // 2)
        canvas.paste(image.resize(small, resampling), place)
        return np.asarray(canvas).astype(int)
    if preprocessing.resize is Resize.CENTER_CROP:
        side = min(image.size)
        left, upper = (width - side) / 2, (height - side) / 2
        box = (left, upper, left + side, upper + side)
    else:
        box = (0, 0, width, height)
    scaled = image.resize((resolution, resolution), resampling, box)
    return np.asarray(scaled.convert('RGB')).astype(int)


def photographs() -> Iterator[Image.Image]:
    """Photographs that a development machine has: those of scikit-image, and of a drive."""
    data = pytest.importorskip('skimage').__path__[0]
    for name in ('rocket.jpg', 'coffee.png', 'chelsea.png'):
        file = Path(data) / 'data' / name
        if file.exists():
            with Image.open(file) as image:
                yield image.convert('RGB')


@pytest.fixture(scope='module')
def pictures() -> list[tuple[Image.Image, RawPicture]]:
    """Photographs in several sizes, as Pillow has them and as a camera sends them."""
    sizes = [(640, 480), (480, 640), (1920, 1080), (333, 251)]
    found = []
    for index, photograph in enumerate(photographs()):
        for width, height in (*sizes[index:], *sizes[:index])[:2]:
            image = photograph.resize((width, height), Image.Resampling.BICUBIC)
            data, step = padded(np.asarray(image)[..., ::-1], 3)
            found.append((image, RawPicture('bgr8', width, height, step, data)))
    assert found
    return found


@pytest.mark.parametrize('resize', Resize)
@pytest.mark.parametrize('interpolation', Interpolation)
def test_real_pictures_are_within_one_grey_level_of_the_training_transform(
    pictures: list[tuple[Image.Image, RawPicture]], interpolation: Interpolation, resize: Resize
) -> None:
    preprocessing = replace(STRETCH, resize=resize, interpolation=interpolation)
    for image, picture in pictures:
        for resolution in (24, 32, 160):
            expected = training_transform(image, resolution, preprocessing)
            difference = square(picture, resolution, preprocessing) - expected
            assert np.abs(difference).max() <= 1, (image.size, resolution)


@pytest.mark.parametrize('seed', [28, 41, 47, 94])
def test_a_small_picture_enlarged_is_within_one_grey_level(seed: int) -> None:
    """Smooth as it is, what several roundings do to it adds up: with these seeds to two levels."""
    small = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    image = Image.fromarray(small).resize((32, 32), Image.Resampling.BICUBIC)
    image = image.resize((1280, 720), Image.Resampling.BICUBIC)
    picture = RawPicture('rgb8', 1280, 720, 1280 * 3, image.tobytes())
    preprocessing = replace(STRETCH, interpolation=Interpolation.HAMMING)
    expected = training_transform(image, 32, preprocessing)
    assert np.abs(square(picture, 32, preprocessing) - expected).max() <= 1


@pytest.mark.parametrize('resize', Resize)
@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8', 'rgba8', 'bgra8', 'mono8'])
def test_averaged_rows_of_every_encoding(encoding: str, resize: Resize) -> None:
    """A large picture takes the way over blocks, with padding, cropping and without a tail."""
    small = np.random.default_rng(1).integers(80, 176, (6, 8, 3), np.uint8)
    pixels = np.array(Image.fromarray(small).resize((256, 192), Image.Resampling.BICUBIC))
    alpha = np.full((192, 256, 1), 9, np.uint8)
    arrived = {
        'rgb8': pixels,
        'bgr8': pixels[..., ::-1],
        'rgba8': np.concatenate([pixels, alpha], axis=2),
        'bgra8': np.concatenate([pixels[..., ::-1], alpha], axis=2),
        'mono8': pixels[..., :1],
    }[encoding]
    data, step = padded(arrived, 5)
    picture = RawPicture(encoding, 256, 192, step, data[:-5])
    image = Image.fromarray(pixels[..., 0] if encoding == 'mono8' else pixels)
    preprocessing = replace(STRETCH, resize=resize)
    for resolution in (8, 100):
        expected = training_transform(image, resolution, preprocessing)
        assert np.abs(square(picture, resolution, preprocessing) - expected).max() <= 1


def test_writes_into_the_buffer_that_it_is_given() -> None:
    out = np.zeros((4, 4, 3), np.uint8)
    picture = RawPicture('bgr8', WIDTH, HEIGHT, WIDTH * 3, RGB.tobytes())
    result = square(picture, 4, STRETCH, out=out)
    assert result is out
    assert np.array_equal(out, square(picture, 4, STRETCH))


def test_a_buffer_of_another_size_is_refused() -> None:
    picture = RawPicture('bgr8', WIDTH, HEIGHT, WIDTH * 3, RGB.tobytes())
    with pytest.raises(ValueError, match=r'has the shape \(5, 5, 3\), \(4, 4, 3\) is needed'):
        square(picture, 4, STRETCH, out=np.zeros((5, 5, 3), np.uint8))


def decoded_sizes(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], resolution: int, resize: Resize
) -> tuple[int, int]:
    """Return the size that a JPEG picture is decoded in for a network's input."""
    sizes: list[tuple[int, int]] = []
    original = compressed.decoded

    def spy(*arguments: Any) -> Image.Image:
        image = original(*arguments)
        sizes.append(image.size)
        return image

    monkeypatch.setattr(compressed, 'decoded', spy)
    file = io.BytesIO()
    Image.fromarray(RGB).resize(size).save(file, 'JPEG')
    preprocessing = replace(STRETCH, resize=resize)
    square(CompressedPicture(file.getvalue()), resolution, preprocessing, reduced_decoding=True)
    return sizes[0]


@pytest.mark.parametrize('resize', [Resize.STRETCH, Resize.CENTER_CROP])
@pytest.mark.parametrize(
    ('size', 'resolution', 'decoded'),
    [
        ((1920, 1080), 32, (480, 270)),
        ((1280, 720), 32, (640, 360)),
        ((640, 480), 32, (640, 480)),
        ((640, 480), 224, (640, 480)),
        ((1920, 1080), 224, (1920, 1080)),
        ((1920, 1080), 112, (1920, 1080)),
        ((1023, 1024), 32, (512, 512)),
        ((1024, 1024), 32, (256, 256)),
    ],
)
def test_jpeg_is_decoded_no_larger_than_needed_and_at_least_eight_times_the_input(
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
    resolution: int,
    decoded: tuple[int, int],
    resize: Resize,
) -> None:
    assert decoded_sizes(monkeypatch, size, resolution, resize) == decoded
    assert min(decoded) >= min(8 * resolution, *size)


def test_reduced_decoding_is_close_and_off_by_default() -> None:
    for photograph in photographs():
        file = io.BytesIO()
        photograph.resize((1280, 720)).save(file, 'JPEG', quality=90)
        picture = CompressedPicture(file.getvalue())
        with Image.open(file) as image:
            expected = training_transform(image, 32, STRETCH)
        assert np.abs(square(picture, 32, STRETCH) - expected).max() <= 1
        reduced = square(picture, 32, STRETCH, reduced_decoding=True)
        assert np.abs(reduced - expected).mean() < 1.0


def test_native_size_is_not_touched_and_result_is_contiguous() -> None:
    pixels = np.ascontiguousarray(RGB[:, :6])
    result = square(RawPicture('rgb8', 6, 6, 18, pixels.tobytes()), 6, STRETCH)
    assert np.array_equal(result, pixels)
    assert result.flags.c_contiguous and result.flags.writeable


@pytest.mark.parametrize('file_format', ['JPEG', 'PNG', 'TIFF'])
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
        ('8SC1', 8, 6, 32, 192, 'the encoding is not read.*rgb8'),
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


def test_what_pillow_would_run_another_program_for_is_no_picture() -> None:
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, 'EPS')
    with pytest.raises(PictureError, match='no picture that can be decoded'):
        CompressedPicture(file.getvalue()).open()


@pytest.mark.parametrize('resize', Resize)
@pytest.mark.parametrize('interpolation', Interpolation)
@pytest.mark.parametrize('size', [(2448, 2049), (1279, 719), (3, 4000), (5000, 7)])
def test_odd_sizes_and_slivers_are_within_one_grey_level(
    size: tuple[int, int], interpolation: Interpolation, resize: Resize
) -> None:
    """Blocks that are averaged first are whole ones: a last one of fewer pixels would weigh more.

    What a sliver is enlarged from must not have been rounded before.
    """
    width, height = size
    generator = np.random.default_rng(0)
    noise = Image.fromarray(generator.integers(0, 256, (height, width, 3), np.uint8))
    images = [noise]
    photograph = next(photographs(), None)
    if photograph is not None:
        images.append(photograph.resize(size, Image.Resampling.BICUBIC))
    preprocessing = replace(STRETCH, resize=resize, interpolation=interpolation)
    target = Size(24, 32)
    fit = Fit.of(Size(height, width), target, preprocessing)
    for image in images:
        file = io.BytesIO()
        image.save(file, 'PNG', compress_level=0)
        expected = image.resize(
            (fit.size.width, fit.size.height), Image.Resampling[interpolation.name], fit.box
        )
        raw = RawPicture('rgb8', width, height, width * 3, image.tobytes())
        for picture in (raw, CompressedPicture(file.getvalue())):
            found, _ = fitted(picture, target, preprocessing)
            part = found[fit.upper :, fit.left :][: fit.size.height, : fit.size.width]
            assert np.abs(part.astype(int) - np.asarray(expected)).max() <= 1
