# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys

import cv2
import numpy as np
from PIL import Image
import pytest

from dynamic_dnn_ros.pictures import encodings
from dynamic_dnn_ros.pictures.input import Interpolation, Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.pictures.scaling import PictureError, RawPicture, fitted
from dynamic_dnn_ros.pictures.value_range import ValueRange

HEIGHT, WIDTH = 144, 192
#: So smooth that what pixels share, or take from their neighbours, changes little.
RGB = cv2.resize(
    np.random.default_rng(0).integers(0, 256, (3, 4, 3), np.uint8),
    (WIDTH, HEIGHT),
    interpolation=cv2.INTER_LINEAR,
)
WAY = Preprocessing(Resize.LETTERBOX, (0.0,) * 3, (1.0,) * 3)


def planes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return brightness of all pixels and two colours, a quarter as large (BT.601)."""
    i420 = cv2.cvtColor(RGB, cv2.COLOR_RGB2YUV_I420).reshape(-1)
    pixels = HEIGHT * WIDTH
    y, u, v = np.split(i420, [pixels, pixels * 5 // 4])
    half = (HEIGHT // 2, WIDTH // 2)
    return y.reshape(HEIGHT, WIDTH), u.reshape(half), v.reshape(half)


def packed(order: str) -> np.ndarray:
    """Return four bytes for two pixels: `y`, `Y` their brightness, `u` and `v` their colours."""
    y, u, v = planes()
    parts = {'y': y[:, 0::2], 'Y': y[:, 1::2]}
    parts |= {'u': u.repeat(2, axis=0), 'v': v.repeat(2, axis=0)}
    return np.stack([parts[letter] for letter in order], axis=2).reshape(HEIGHT, -1)


def planar(first: str) -> np.ndarray:
    y, u, v = planes()
    colours = np.stack([u, v] if first == 'u' else [v, u], axis=2)
    return np.concatenate([y, colours.reshape(HEIGHT // 2, WIDTH)])


def nv24() -> np.ndarray:
    y, u, v = planes()
    colours = np.stack([plane.repeat(2, 0).repeat(2, 1) for plane in (u, v)], axis=2)
    # Twice as many bytes a row, in rows of the same step.
    return np.concatenate([y, colours.reshape(HEIGHT * 2, WIDTH)])


def mosaic(pattern: str) -> np.ndarray:
    """Return the one colour that each pixel has, two letters for each of two rows."""
    found = np.empty((HEIGHT, WIDTH), np.uint8)
    for index, letter in enumerate(pattern):
        rows, columns = slice(index // 2, None, 2), slice(index % 2, None, 2)
        found[rows, columns] = RGB[rows, columns, 'rgb'.index(letter)]
    return found


def picture(encoding: str, rows: np.ndarray, padding: int = 0, **options: object) -> RawPicture:
    """Return a picture whose rows are followed by bytes that are none, but for the last."""
    data = rows.reshape(len(rows), -1).view(np.uint8)
    step = data.shape[1] + padding
    padded = np.pad(data, ((0, 0), (0, padding)), constant_values=77).tobytes()
    return RawPicture(encoding, WIDTH, HEIGHT, step, padded[: len(padded) - padding], **options)


def opened(found: RawPicture) -> np.ndarray:
    return np.array(found.open().convert('RGB')).astype(int)


@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize(
    ('encoding', 'rows'),
    [
        ('yuv422', packed('uyvY')),
        ('uyvy', packed('uyvY')),
        ('yuv422_yuy2', packed('yuYv')),
        ('yuyv', packed('yuYv')),
        ('nv12', planar('u')),
        ('nv21', planar('v')),
        ('nv24', nv24()),
    ],
)
def test_brightness_and_colours_become_the_picture(
    encoding: str, rows: np.ndarray, padding: int
) -> None:
    difference = opened(picture(encoding, rows, padding)) - RGB
    assert np.abs(difference).max() <= 24
    assert np.abs(difference).mean() <= 2.5


@pytest.mark.parametrize('padding', [0, 3])
@pytest.mark.parametrize('bits', [8, 16])
@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_every_bayer_pattern_becomes_the_picture(pattern: str, bits: int, padding: int) -> None:
    rows = mosaic(pattern) if bits == 8 else mosaic(pattern).astype('<u2') * 257
    difference = opened(picture(f'bayer_{pattern}{bits}', rows, padding)) - RGB
    # At its border there are no neighbours on one side.
    assert np.abs(difference[2:-2, 2:-2]).max() <= 10
    assert np.abs(difference).mean() <= 2


@pytest.mark.parametrize(
    ('encoding', 'code', 'rows'),
    [
        ('uyvy', cv2.COLOR_YUV2RGB_UYVY, packed('uyvY').reshape(HEIGHT, WIDTH, 2)),
        ('yuyv', cv2.COLOR_YUV2RGB_YUYV, packed('yuYv').reshape(HEIGHT, WIDTH, 2)),
        ('nv12', cv2.COLOR_YUV2RGB_NV12, planar('u')),
        ('nv21', cv2.COLOR_YUV2RGB_NV21, planar('v')),
        ('bayer_rggb8', cv2.COLOR_BayerRGGB2RGB, mosaic('rggb')),
        ('bayer_grbg8', cv2.COLOR_BayerGRBG2RGB, mosaic('grbg')),
    ],
)
def test_equal_to_opencv(encoding: str, code: int, rows: np.ndarray) -> None:
    assert np.array_equal(opened(picture(encoding, rows, 7)), cv2.cvtColor(rows, code))


@pytest.mark.parametrize(
    ('encoding', 'rows'),
    [
        ('8UC1', RGB[..., :1]),
        ('8UC3', RGB[..., ::-1]),
        ('8UC4', np.dstack([RGB[..., ::-1], RGB[..., 0]])),
    ],
)
def test_names_that_tell_channels_only(encoding: str, rows: np.ndarray) -> None:
    expected = RGB[..., :1].repeat(3, axis=2) if encoding == '8UC1' else RGB
    assert np.array_equal(opened(picture(encoding, np.ascontiguousarray(rows))), expected)


@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize('big_endian', [False, True])
@pytest.mark.parametrize('encoding', ['mono16', 'rgb16', 'bgr16', '16UC1'])
def test_16_bits_are_scaled_by_their_range(encoding: str, big_endian: bool, padding: int) -> None:
    channels = 1 if encoding in ('mono16', '16UC1') else 3
    values = np.random.default_rng(1).integers(0, 65536, (HEIGHT, WIDTH, channels), np.uint16)
    rows = values.astype('>u2' if big_endian else '<u2')
    ordered = values[..., ::-1] if encoding == 'bgr16' else values
    if encoding != '16UC1':
        found = opened(picture(encoding, rows, padding, big_endian=big_endian))
        assert np.abs(found - ordered / 257.0).max() <= 0.5
    narrow = ValueRange(1000.0, 3000.0)
    found = opened(picture(encoding, rows, padding, big_endian=big_endian, value_range=narrow))
    expected = np.clip((ordered - 1000.0) / 2000.0, 0.0, 1.0) * 255.0
    assert np.abs(found - expected).max() <= 0.5


@pytest.mark.parametrize('big_endian', [False, True])
def test_floats_are_scaled_by_their_range(big_endian: bool) -> None:
    values = np.random.default_rng(1).random((HEIGHT, WIDTH), np.float32) * 6.0
    values[0, :3] = np.nan, np.inf, -np.inf
    rows = values.astype('>f4' if big_endian else '<f4')
    found = opened(
        picture('32FC1', rows, 2, big_endian=big_endian, value_range=ValueRange(0.5, 4.5))
    )
    expected = np.clip((values - 0.5) / 4.0, 0.0, 1.0) * 255.0
    assert found[0, :3, 0].tolist() == [0, 255, 0]
    assert np.abs(found[1:, :, 0] - expected[1:]).max() <= 0.51


@pytest.mark.parametrize('encoding', ['16UC1', '32FC1'])
def test_what_may_be_a_distance_needs_a_range(encoding: str) -> None:
    with pytest.raises(PictureError, match=f"'{encoding}'.*picture_range.*0, 4095"):
        RawPicture(encoding, 2, 2, 8, bytes(16))


@pytest.mark.parametrize(
    ('encoding', 'width', 'height', 'step', 'size', 'named'),
    [
        ('yuyv', 47, 36, 96, 9999, 'width of 2'),
        ('nv12', 48, 35, 48, 9999, 'height has to be a multiple of 2'),
        ('bayer_rggb8', 47, 36, 47, 9999, 'width of 2'),
        ('yuyv', 48, 36, 95, 9999, 'step 95 bytes cannot hold 48 pixels of 2 bytes'),
        ('rgb16', 48, 36, 144, 99999, 'step 144 bytes cannot hold 48 pixels of 6 bytes'),
        ('nv12', 48, 36, 48, 48 * 36, 'has 1728 bytes, 54 rows x step is 2592'),
        ('mono16', 48, 36, 96, 96 * 35, 'has 3360 bytes, height x step is 3456'),
        ('yuyv', 0, 0, 0, 0, 'no pixels'),
        ('bayer_rggb12', 48, 36, 96, 9999, 'is not read.*yuyv.*bayer_rggb8'),
    ],
)
def test_bad_images_are_named(
    encoding: str, width: int, height: int, step: int, size: int, named: str
) -> None:
    with pytest.raises(PictureError, match=f"{width}x{height} '{encoding}'.*{named}"):
        RawPicture(encoding, width, height, step, bytes(size))


@pytest.mark.parametrize('encoding', encodings.CONVERTED)
def test_the_smallest_picture_of_every_encoding(encoding: str) -> None:
    raw = RawPicture(encoding, 2, 2, 12, bytes(12 * 6), value_range=ValueRange(0, 1))
    found, _ = fitted(raw, Size(4, 4), WAY)
    assert found.shape == (4, 4, 3)


@pytest.mark.parametrize('encoding', encodings.NAMES)
def test_large_frames_are_averaged_in_every_encoding(encoding: str) -> None:
    """Rows may be averaged before the filter: equal to the filter over all pixels to one level."""
    width, height = 512, 384
    converted = encodings.CONVERTED.get(encoding)
    pixel = converted.bytes_per_pixel if converted else encodings.PLAIN[encoding].channels
    rows = converted.rows(height) if converted else height
    small = np.random.default_rng(2).integers(40, 216, (12, 16), np.uint8)
    data = cv2.resize(small, (width * pixel, rows), interpolation=cv2.INTER_CUBIC)
    if encoding == '32FC1':
        data = (data[:, ::4] / np.float32(255)).view(np.uint8)
    raw = RawPicture(
        encoding,
        width,
        height,
        width * pixel,
        data.tobytes(),
        value_range=ValueRange(0, 65535) if encoding != '32FC1' else ValueRange(0, 1),
    )
    way = Preprocessing(Resize.STRETCH, (0.0,) * 3, (1.0,) * 3, Interpolation.HAMMING)
    found, _ = fitted(raw, Size(16, 20), way)
    image = raw.open().convert('RGB')
    expected = np.asarray(image.resize((20, 16), Image.Resampling.HAMMING))
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_without_opencv_the_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'cv2', None)
    encodings._opencv.cache_clear()
    try:
        for encoding in ('yuyv', 'nv12', 'bayer_rggb8'):
            with pytest.raises(PictureError, match=r'OpenCV is needed.*python3-opencv.*rgb8'):
                RawPicture(encoding, 2, 2, 4, bytes(16))
        # What Pillow and numpy read needs no OpenCV.
        RawPicture('mono16', 2, 2, 4, bytes(8)).open()
    finally:
        encodings._opencv.cache_clear()
