# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The pictures that early exits are trained, calibrated and tested with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from dynamic_dnn_ros.bundles.manifest import Manifest
from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.exits.making import ExitPictures
from dynamic_dnn_ros.training.configuration import (
    Optimizer,
    TrainingConfiguration,
)
from dynamic_dnn_ros.training.heads import heads_phase
from dynamic_dnn_ros.training.pictures import Pictures
from dynamic_dnn_ros.training.tasks.registry import training_task

#: Of pictures that no training file parts: one in so many is kept to calibrate, and to test.
_HELD_OUT, _TEST_EVERY = 6, 6

_WEIGHT_DECAY = 0.01


def for_heads(configuration: TrainingConfiguration) -> TrainingConfiguration:
    """
    Return how heads are trained with the pictures of a training file.

    Few weights on features that do not change: AdamW, and hard labels, since smooth ones tell
    right answers and wrong ones apart less well.
    """
    return replace(
        configuration,
        optimizer=Optimizer.ADAMW,
        weight_decay=_WEIGHT_DECAY,
        label_smoothing=0.0,
        averaging=0.0,
    )


def plain_configuration(
    manifest: Manifest, data: Path, test: Path | None, work: Path
) -> TrainingConfiguration:
    """Return a training of heads on pictures alone, mirrored at random."""
    way = manifest.preprocessing
    source = manifest.super_network
    return TrainingConfiguration(
        name=manifest.name,
        training_data=data,
        data_name=data.name,
        output=work,
        work=work,
        family=source.family,
        layout=source.layout,
        mean=way.mean,
        standard_deviation=way.standard_deviation,
        phases=(heads_phase(1, 1.0),),
        test_data=Path() if test is None else test,
        test_every=_TEST_EVERY if test is None else 0,
        augmentation=({'RandomHorizontalFlip': {}},),
        resize=way.resize,
        held_out=1,
    )


def read_exit_pictures(
    configuration: TrainingConfiguration,
    manifest: Manifest,
    held_out: int | None,
    quiet: bool = False,
) -> ExitPictures:
    """
    Read the pictures of a training file, and hold out as many as its training did.

    :param held_out: pictures to calibrate with; None: one in six of those that are no test
        pictures
    :raises DataError: when they cannot be used
    """
    task = training_task(manifest.task.name)
    pictures, test = task.read(configuration, manifest.preprocessing, quiet)
    count = max(1, len(pictures) // _HELD_OUT) if held_out is None else held_out
    training, calibration = pictures.split(count, configuration.seed)
    return ExitPictures(
        *(_in_order(part, manifest.labels) for part in (training, calibration, test))
    )


def _in_order(pictures: Pictures, labels: tuple[str, ...]) -> Pictures:
    """Return pictures whose classes have the numbers that a bundle gives them."""
    if sorted(pictures.classes) != sorted(labels) or len(set(labels)) < len(labels):
        raise DataError(
            f'the pictures are of the classes {_few(pictures.classes)}, and the bundle is of '
            f'{_few(labels)}: give pictures of its classes'
        )
    numbers = np.array([labels.index(name) for name in pictures.classes], np.int64)
    return replace(pictures, labels=numbers[pictures.labels], classes=labels)


def _few(names: tuple[str, ...]) -> str:
    more = f' and {len(names) - 10} more' if len(names) > 10 else ''
    return f'{", ".join(names[:10])}{more}'
