# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Little labelled pictures, and a training on them that takes a second."""

from __future__ import annotations

from pathlib import Path
import tarfile
from typing import Any

import numpy as np
from PIL import Image
import torch

from dynamic_dnn_ros.networks.ofa_mobilenet_v3 import OfaMobileNetV3
from dynamic_dnn_ros.training.configuration import Phase, Rule, TrainingConfiguration
from dynamic_dnn_ros.training.pictures import Pictures
from support.bundles import LAYOUT

CLASSES = tuple(f'class_{index}' for index in range(LAYOUT.classes))

PHASES = (
    Phase('largest', Rule.LARGEST, epochs=1, learning_rate=0.02),
    Phase('all', Rule.SANDWICH, epochs=1, learning_rate=0.02, sampled=0, sort_channels=True),
)
"""Two epochs."""


def colour_pictures(count: int = 200, seed: int = 0) -> Pictures:
    """Return noisy pictures of 32x32 whose class is their colour: easy to learn."""
    generator = np.random.default_rng(seed)
    colours = np.random.default_rng(7).integers(30, 226, (len(CLASSES), 3))
    labels = np.arange(count) % len(CLASSES)
    noise = generator.normal(0.0, 12.0, (count, 32, 32, 3))
    images = np.clip(colours[labels][:, None, None] + noise, 0, 255).astype(np.uint8)
    return Pictures(images, labels.astype(np.int64), CLASSES)


def write_folder(folder: Path, pictures: Pictures) -> Path:
    """Write pictures as PNG files, one folder a class."""
    for index, label in enumerate(pictures.labels):
        path = folder / pictures.classes[label] / f'{index:04}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pictures.images[index]).save(path)
    return folder


def write_archive(path: Path, folder: Path) -> Path:
    """Write a folder of pictures as a compressed archive."""
    with tarfile.open(path, 'w:xz') as archive:
        archive.add(folder, arcname='train')
    return path


def small_network() -> OfaMobileNetV3:
    """Return a fresh network, the same at each call."""
    torch.manual_seed(0)
    return OfaMobileNetV3(LAYOUT)


def training_mapping(folder: Path, **changes: Any) -> dict[str, Any]:
    """Return the training of `PHASES` on the smallest layout, as a YAML file has it."""
    return {
        'name': 'colours',
        'training_data': str(folder / 'train'),
        'test_data': str(folder / 'test'),
        'data_name': 'noisy colours',
        'output': str(folder / 'bundle'),
        'work': str(folder / 'work'),
        'family': 'ofa_mobilenet_v3',
        'layout': LAYOUT.to_mapping(),
        'mean': [0.5, 0.5, 0.5],
        'standard_deviation': [0.25, 0.25, 0.25],
        'phases': [phase.to_mapping() for phase in PHASES],
        'held_out': 20,
        'batch_size': 8,
        'recalibration_pictures': 20,
        'evaluation_pictures': 0,
        'threads': 1,
        'device': 'cpu',
        **changes,
    }


def training_configuration(folder: Path, **changes: Any) -> TrainingConfiguration:
    """Return the configuration of `training_mapping`."""
    return TrainingConfiguration.from_mapping(training_mapping(folder, **changes))
