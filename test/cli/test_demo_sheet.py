# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
from pathlib import Path

from PIL import Image
import pytest

from dynamic_dnn_ros.cli.demo.sheet import WIDTH, draw_sheet


def picture(color: str, size: tuple[int, int] = (640, 480)) -> bytes:
    content = io.BytesIO()
    Image.new('RGB', size, color).save(content, 'JPEG')
    return content.getvalue()


@pytest.mark.parametrize(('count', 'columns', 'rows'), [(1, 1, 1), (2, 2, 1), (6, 3, 2)])
def test_every_picture_is_on_the_sheet(
    tmp_path: Path, count: int, columns: int, rows: int
) -> None:
    path = tmp_path / 'sheet.png'
    draw_sheet([(f'phase {index}', picture('red')) for index in range(count)], path)
    with Image.open(path) as sheet:
        assert WIDTH * columns < sheet.width < (WIDTH + 20) * columns
        assert 360 * rows < sheet.height < 400 * rows + 20
        red = sum(
            pixels
            for pixels, (r, g, b) in sheet.getcolors(maxcolors=1 << 24) or ()
            if r > 240 and g < 20 and b < 20
        )
    assert red == pytest.approx(count * WIDTH * 360, rel=0.02)


def test_captions_and_the_title_are_written_above_the_pictures(tmp_path: Path) -> None:
    caption = 'tight, s6, 32.1 ms, cat (42%)'

    def dark(name: str, said: str, title: str) -> tuple[int, int]:
        draw_sheet([(said, picture('white'))], tmp_path / name, title)
        with Image.open(tmp_path / name) as sheet:
            grey = sheet.convert('L').point(lambda level: 255 * (level < 160))
            return sum(grey.histogram()[255:]), sheet.height

    nothing, height = dark('nothing.png', '', '')
    assert nothing == 0
    some, same = dark('some.png', caption, '')
    assert some > 200 and same == height
    more, higher = dark('more.png', caption, 'latencies are simulated')
    assert more > some and higher > height


def test_a_caption_that_is_too_long_stays_above_its_picture(tmp_path: Path) -> None:
    long = ', '.join(f'{count} things of a kind' for count in range(40))
    draw_sheet([(long, picture('white')), ('', picture('white'))], tmp_path / 'sheet.png')
    with Image.open(tmp_path / 'sheet.png') as sheet:
        right = sheet.convert('L').crop((WIDTH + 12, 0, sheet.width, sheet.height))
    assert right.getextrema() == (255, 255)


def test_pictures_of_several_sizes(tmp_path: Path) -> None:
    path = tmp_path / 'sheet.png'
    draw_sheet([('wide', picture('blue', (1280, 200))), ('high', picture('red', (64, 96)))], path)
    assert path.stat().st_size > 0
