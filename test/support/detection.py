# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Little pictures with boxes that a detector learns in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

LABELS = ('red', 'green', 'blue')


def write_boxes(folder: Path, count: int = 8, seed: int = 0) -> Path:
    """Write pictures of one or two coloured squares on noise, with their boxes in YOLO text."""
    generator = np.random.default_rng(seed)
    for name in ('images', 'labels'):
        (folder / name).mkdir(parents=True)
    (folder / 'names.txt').write_text('\n'.join(LABELS) + '\n')
    for index in range(count):
        height, width = ((96, 72), (64, 96))[index % 2]
        pixels = generator.integers(90, 150, (height, width, 3)).astype(np.uint8)
        lines = []
        for place in range(1 + index % 2):
            label = int(generator.integers(3))
            side = int(generator.integers(20, 32))
            left = int(generator.integers(0, width // 2 - side + 8)) + place * width // 2
            left = min(left, width - side)
            upper = int(generator.integers(0, height - side))
            pixels[upper : upper + side, left : left + side] = 10
            pixels[upper : upper + side, left : left + side, label] = 240
            box = ((left + side / 2) / width, (upper + side / 2) / height)
            lines.append(f'{label} {box[0]} {box[1]} {side / width} {side / height}')
        Image.fromarray(pixels).save(folder / 'images' / f'{index:03}.png')
        (folder / 'labels' / f'{index:03}.txt').write_text('\n'.join(lines) + '\n')
    return folder


def detection_mapping(folder: Path, **changes: Any) -> dict[str, Any]:
    """Return a training of the small detector on the pictures of `write_boxes`."""
    return {
        'name': 'squares',
        'training_data': str(folder / 'data'),
        'test_data': str(folder / 'data'),
        'data_name': 'coloured squares',
        'output': str(folder / 'bundle'),
        'work': str(folder / 'work'),
        'family': 'ofa_detector',
        'layout': 'ofa_detector_96',
        'mean': [0.5, 0.5, 0.5],
        'standard_deviation': [0.25, 0.25, 0.25],
        'resize': 'letterbox',
        'optimizer': 'adamw',
        'averaging': 0.9,
        'canvas': 96,
        'held_out': 1,
        'batch_size': 8,
        'recalibration_pictures': 8,
        'evaluation_pictures': 0,
        'threads': 1,
        'device': 'cpu',
        'phases': [
            {'name': 'largest', 'rule': 'largest', 'epochs': 2, 'learning_rate': 2e-3},
            {
                'name': 'all',
                'rule': 'sandwich',
                'epochs': 2,
                'learning_rate': 2e-3,
                'sort_channels': True,
            },
        ],
        **changes,
    }
