# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Picture files, decoded upright and with 8 bits: one way for training, tests and cameras."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from dynamic_dnn_ros.pictures.errors import PictureError
from dynamic_dnn_ros.pictures.input import Picture
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.pictures.value_range import ALL_16_BITS, ValueRange, needs_range

if TYPE_CHECKING:
    from typing_extensions import Buffer

#: What picture files may be. Pillow knows more, some of it by programs that it starts.
FILE_FORMATS = ('BMP', 'GIF', 'JPEG', 'PNG', 'PPM', 'TIFF', 'WEBP')

#: A picture of more pixels is refused before any memory is taken: 8192x8192.
MOST_PIXELS = 2**26

#: Pixels that one byte of a JPEG or PNG file can stand for, at most: deflate makes 1,032 bytes of
#: one, and a byte holds 8 pixels of one bit. A file that announces more is cut, or made to harm.
_MOST_PIXELS_PER_BYTE = 8 * 1032

#: The tag of EXIF that says how a camera was held, 1..8.
_ORIENTATION = 0x0112

#: Pillow 9.0, which Ubuntu 22.04 ships, has no `Transpose` yet.
_TRANSPOSE = getattr(Image, 'Transpose', Image)

#: What makes a picture upright that was stored with an orientation (CIPA DC-008, table 6).
_TURNS = {
    2: _TRANSPOSE.FLIP_LEFT_RIGHT,
    3: _TRANSPOSE.ROTATE_180,
    4: _TRANSPOSE.FLIP_TOP_BOTTOM,
    5: _TRANSPOSE.TRANSPOSE,
    6: _TRANSPOSE.ROTATE_270,
    7: _TRANSPOSE.TRANSVERSE,
    8: _TRANSPOSE.ROTATE_90,
}

_JPEG = ('JPEG', 'MPO')


def upright_picture(
    source: Image.Image | Buffer | str | os.PathLike[str],
    value_range: ValueRange | None = None,
    name: str | None = None,
) -> Picture:
    """
    Return a picture as a network is to see it: upright, RGB, 8 bits a channel.

    The orientation of its EXIF data is applied. Values of 16 bits are scaled by their range; those
    of 32 bits and floats need `value_range`.

    :param source: a file's path or content, or a picture of Pillow
    :param value_range: values that become black and white, where there are more than 8 bits
    :param name: what to call it in an error; by default its path
    :return: shape (height, width, 3), contiguous
    :raises PictureError: when it cannot be read, is absurdly large, or needs a range
    """
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        with readable(f'picture {name or path}', 'Replace or remove it.'):
            source = path.read_bytes()
        name = name or str(path)
    what = f'picture {name}' if name else 'picture'
    with readable(what, 'Replace or remove it.'):
        if isinstance(source, Image.Image):
            image = source
        else:
            image = opened(source, FILE_FORMATS, what)
        return np.array(decoded(image, what, value_range).convert('RGB'), np.uint8)


@contextmanager
def readable(what: str, remedy: str) -> Iterator[None]:
    """
    Turn whatever Pillow raises of a picture into an error that names it.

    :raises PictureError: in place of all that it raises of what cannot be read
    """
    try:
        yield
    except PictureError:
        raise
    except UnidentifiedImageError as error:
        raise PictureError(f'{what}: it is no picture that can be decoded. {remedy}') from error
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise PictureError(f'{what}: it cannot be decoded ({error}). {remedy}') from error


def opened(data: Buffer, formats: tuple[str, ...], what: str) -> Image.Image:
    """
    Return a picture that is not decoded yet; no memory is taken for its pixels.

    :param formats: those of Pillow that it may have
    :raises PictureError: when it announces an absurd size
    """
    image = Image.open(io.BytesIO(data), formats=formats)
    pixels, size = image.width * image.height, memoryview(data).nbytes
    few = image.format in (*_JPEG, 'PNG') and pixels > size * _MOST_PIXELS_PER_BYTE
    if pixels > MOST_PIXELS or few:
        limit = f'{size} bytes cannot hold them' if few else f'{MOST_PIXELS} are the most'
        raise PictureError(
            f'{what}: it announces {image.width}x{image.height} pixels, but {limit}. '
            'Check where it comes from.'
        )
    return image


def upright_size(image: Image.Image) -> Size | None:
    """Return the size that a JPEG picture has when it is upright; None for other formats."""
    if image.format not in _JPEG:
        return None
    if _orientation(image) >= 5:
        return Size(image.width, image.height)
    return Size(image.height, image.width)


def decoded(
    image: Image.Image,
    what: str,
    value_range: ValueRange | None = None,
    least: Size | None = None,
) -> Image.Image:
    """
    Decode a picture, upright, mode RGB or L.

    :param value_range: values that become black and white, where there are more than 8 bits
    :param least: a JPEG picture may be decoded at 1/2, 1/4 or 1/8 of its scale while it is no
        smaller, upright
    :raises PictureError: when its range must be known
    """
    orientation = _orientation(image) if image.format in _JPEG else None
    if least is not None:
        turned = orientation is not None and orientation >= 5
        image.draft(None, (least.height, least.width) if turned else (least.width, least.height))
    image.load()
    # Pillow turns some formats itself when it loads them, and some have no EXIF before.
    turn = _TURNS.get(_orientation(image) if orientation is None else orientation)
    image = _eight_bits(image, what, value_range)
    return image if turn is None else image.transpose(turn)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF data raises errors of any type; the pixels may be well
        return 1


def _eight_bits(image: Image.Image, what: str, value_range: ValueRange | None) -> Image.Image:
    if image.mode in ('L', 'RGB'):
        # To convert a picture to the mode that it has would copy it.
        return image
    if image.mode == 'F' or image.mode.startswith('I'):
        # What Pillow reads of PNG and PNM as 32 bits has 16 in the file.
        sixteen = image.mode.startswith('I;16') or image.format in ('PNG', 'PPM')
        if value_range is None:
            if not sixteen:
                raise needs_range(what, 'floats' if image.mode == 'F' else '32 bits')
            value_range = ALL_16_BITS
        return Image.fromarray(value_range.eight_bits(np.asarray(image)))
    return image.convert('RGB')
