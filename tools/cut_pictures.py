#!/usr/bin/env python3
# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cut photographs that scikit-image brings into pieces: a folder a photograph, to train with."""

from __future__ import annotations

import argparse
from pathlib import Path
import random

from PIL import Image
from skimage import data_dir

PHOTOGRAPHS = (
    'astronaut.png',
    'chelsea.png',
    'coffee.png',
    'motorcycle_left.png',
    'retina.jpg',
    'rocket.jpg',
)
PIECES = 120
SIDE = 96
"""Of a piece as it is written, pixels; it shows a third to two thirds of the photograph's side."""


def main() -> None:
    """Write the pieces."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=Path, help='where the folders of pieces are made')
    folder: Path = parser.parse_args().folder
    draw = random.Random(0)
    for name in PHOTOGRAPHS:
        photograph = Image.open(Path(data_dir) / name).convert('RGB')
        pieces = folder / Path(name).stem
        pieces.mkdir(parents=True)
        for number in range(PIECES):
            side = round(draw.uniform(1 / 3, 2 / 3) * min(photograph.size))
            left = draw.randint(0, photograph.width - side)
            top = draw.randint(0, photograph.height - side)
            box = (left, top, left + side, top + side)
            photograph.resize((SIDE, SIDE), box=box).save(pieces / f'{number:03}.jpg')


if __name__ == '__main__':
    main()
