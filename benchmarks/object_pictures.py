# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Make a classification of objects in their surroundings from pictures with boxes (YOLO text).

    python benchmarks/object_pictures.py ../shared/data/labelled/doors build/object_pictures

Each box becomes the square of twice its longer side around it, scaled to 112 pixels, in a folder
of its class; a square of each picture that touches no box is `nothing`. Every fifth picture, by
name, is for `test`, so that no picture has parts in both. Of each class at most 1,000 squares are
trained with, evenly over the pictures.
"""

from __future__ import annotations

from pathlib import Path
import random
import sys

from PIL import Image

#: Pixels: the side of what is written, and below which a box is left out.
_SIDE, _SMALLEST = 112, 12

#: Of every so many pictures one is for tests.
_TEST_EVERY = 5

#: Of a class for training at most.
_MOST = 1000


def main(source: Path, target: Path) -> None:
    """Write `train` and `test`, each with a folder a class."""
    names = (source / 'names.txt').read_text(encoding='utf-8').split('\n')
    names = [name.strip().replace(' ', '_') for name in names if name.strip()]
    generator = random.Random(0)
    for number, path in enumerate(sorted((source / 'images').glob('*.jpg'))):
        part = target / ('train' if (number + 1) % _TEST_EVERY else 'test')
        with Image.open(path) as opened:
            picture = opened.convert('RGB')
        boxes = _boxes(source / 'labels' / f'{path.stem}.txt', picture.size)
        squares = [
            (names[label], _around(box)) for label, box in boxes if _longer(box) >= _SMALLEST
        ]
        free = _free(generator, picture.size, [box for _, box in boxes])
        if free is not None:
            squares.append(('nothing', free))
        for index, (name, square) in enumerate(squares):
            folder = part / name
            folder.mkdir(parents=True, exist_ok=True)
            crop = picture.crop(square).resize((_SIDE, _SIDE), Image.Resampling.BOX)
            crop.save(folder / f'{path.stem}_{index}.png')
    for folder in (target / 'train').iterdir():
        files = sorted(folder.iterdir())
        kept = {files[index * len(files) // _MOST] for index in range(min(_MOST, len(files)))}
        for path in files if len(files) > _MOST else ():
            if path not in kept:
                path.unlink()


Box = tuple[float, float, float, float]


def _boxes(path: Path, size: tuple[int, int]) -> list[tuple[int, Box]]:
    found = []
    for line in path.read_text(encoding='utf-8').splitlines() if path.exists() else ():
        label, x, y, width, height = line.split()[:5]
        half_width, half_height = float(width) * size[0] / 2, float(height) * size[1] / 2
        middle_x, middle_y = float(x) * size[0], float(y) * size[1]
        box = (
            middle_x - half_width,
            middle_y - half_height,
            middle_x + half_width,
            middle_y + half_height,
        )
        found.append((int(label), box))
    return found


def _longer(box: Box) -> float:
    return max(box[2] - box[0], box[3] - box[1])


def _around(box: Box) -> tuple[int, int, int, int]:
    x, y, side = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, _longer(box)
    return round(x - side), round(y - side), round(x + side), round(y + side)


def _free(
    generator: random.Random, size: tuple[int, int], boxes: list[Box]
) -> tuple[int, int, int, int] | None:
    for _ in range(50):
        side = generator.randint(40, 160)
        if side >= min(size):
            continue
        left, top = generator.randrange(size[0] - side), generator.randrange(size[1] - side)
        square = (left, top, left + side, top + side)
        if not any(
            square[0] < box[2] and box[0] < square[2] and square[1] < box[3] and box[1] < square[3]
            for box in boxes
        ):
            return square
    return None


if __name__ == '__main__':
    main(Path(sys.argv[1]), Path(sys.argv[2]))
