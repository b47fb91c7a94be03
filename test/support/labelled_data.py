# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Little labelled data in the layouts in which people keep it."""

from __future__ import annotations

from collections.abc import Mapping
import json
from pathlib import Path
import tarfile
from typing import Any
import zipfile

import numpy as np
from PIL import Image


def write_picture(path: Path, width: int = 20, height: int = 10, seed: int = 0) -> Path:
    """Write a picture of noise, in the format of its ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def write_yolo(folder: Path, lines: Mapping[str, str | None], names: str = 'cat\ncup\n') -> Path:
    """Write pictures of 20x10 in 'images' with the lines of each; None for no file of lines."""
    for name, text in lines.items():
        write_picture(folder / 'images' / f'{name}.png')
        if text is not None:
            file = folder / 'labels' / f'{name}.txt'
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    (folder / 'names.txt').write_text(names)
    return folder


def write_coco(folder: Path, content: Any, name: str = 'annotations/instances_val.json') -> Path:
    """Write annotations, and a picture of 20x10 in 'val' for 'a.png' and 'b.png'."""
    for picture in ('a', 'b'):
        write_picture(folder / 'val' / f'{picture}.png')
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content) if not isinstance(content, str) else content)
    return path


def packed(folder: Path, kind: str, inside: str = '') -> Path:
    """
    Pack a folder.

    :param kind: zip, tar, tar.gz, tar.bz2 or tar.xz
    :param inside: the folder in the archive that holds everything; empty for none
    """
    path = folder.with_name(f'{folder.name}.{kind}')
    if kind == 'zip':
        with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(folder.rglob('*')):
                archive.write(file, Path(inside) / file.relative_to(folder))
        return path
    mode = kind.partition('.')[2]
    with tarfile.open(path, f'w:{mode}') as archive:
        archive.add(folder, arcname=inside or '.')
    return path
