# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Annotated pictures of a run on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
import io
import math
from pathlib import Path

from PIL import Image, ImageDraw

WIDTH = 480
"""Pixels of each picture."""

_MARGIN, _CAPTION = 8, 20


def draw_sheet(pictures: Sequence[tuple[str, bytes]], path: Path) -> None:
    """
    Draw pictures with their captions, two or three a row.

    :param pictures: captions and JPEG files, at least one
    """
    opened = [(caption, Image.open(io.BytesIO(data))) for caption, data in pictures]
    columns = min(3, max(1, math.ceil(math.sqrt(len(opened)))))
    tiles = []
    for caption, picture in opened:
        height = max(1, round(picture.height * WIDTH / picture.width))
        tiles.append((caption, picture.convert('RGB').resize((WIDTH, height))))
    tallest = max(tile.height for _, tile in tiles) + _CAPTION
    rows = math.ceil(len(tiles) / columns)
    size = (
        columns * (WIDTH + _MARGIN) + _MARGIN,
        rows * (tallest + _MARGIN) + _MARGIN,
    )
    sheet = Image.new('RGB', size, 'white')
    pen = ImageDraw.Draw(sheet)
    for place, (caption, tile) in enumerate(tiles):
        left = _MARGIN + place % columns * (WIDTH + _MARGIN)
        upper = _MARGIN + place // columns * (tallest + _MARGIN)
        pen.text((left, upper + 2), caption, fill='black')
        sheet.paste(tile, (left, upper + _CAPTION))
    sheet.save(path)
