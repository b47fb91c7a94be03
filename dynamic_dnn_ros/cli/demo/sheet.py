# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Annotated pictures of a run on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
import io
import math
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from dynamic_dnn_ros.tasks.drawing import font_of, writable

WIDTH = 480
"""Pixels of each picture."""

_MARGIN, _CAPTION, _TEXT = 8, 24, 15


def draw_sheet(pictures: Sequence[tuple[str, bytes]], path: Path, title: str = '') -> None:
    """
    Draw pictures with their captions above, two or three a row.

    :param pictures: captions and JPEG files, at least one
    :param title: a line above all of them
    """
    opened = [(caption, Image.open(io.BytesIO(data))) for caption, data in pictures]
    columns = min(3, max(1, math.ceil(math.sqrt(len(opened)))))
    tiles = []
    for caption, picture in opened:
        height = max(1, round(picture.height * WIDTH / picture.width))
        tiles.append((caption, picture.convert('RGB').resize((WIDTH, height))))
    tallest = max(tile.height for _, tile in tiles) + _CAPTION
    rows = math.ceil(len(tiles) / columns)
    above = _MARGIN + _CAPTION * bool(title)
    size = (columns * (WIDTH + _MARGIN) + _MARGIN, rows * (tallest + _MARGIN) + above)
    sheet = Image.new('RGB', size, 'white')
    pen = ImageDraw.Draw(sheet)
    font = font_of(_TEXT)
    if title:
        _write(pen, (_MARGIN, _MARGIN), title, font, size[0] - 2 * _MARGIN, 'dimgrey')
    for place, (caption, tile) in enumerate(tiles):
        left = _MARGIN + place % columns * (WIDTH + _MARGIN)
        upper = above + place // columns * (tallest + _MARGIN)
        _write(pen, (left, upper + 2), caption, font, WIDTH, 'black')
        sheet.paste(tile, (left, upper + _CAPTION))
    sheet.save(path)


def _write(
    pen: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    text: str,
    font: Any,
    room: int,
    colour: str,
) -> None:
    """Write a line, cut with an ellipsis where it is wider than there is room, pixels."""
    text = whole = writable(text, font)
    while text and pen.textlength(text, font) > room:
        whole = whole[:-1]
        text = f'{whole.rstrip(" ,")} ...'
    pen.text(corner, text, colour, font)
