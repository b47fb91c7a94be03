# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures that a trained bundle was not trained on: to calibrate with, and to test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dynamic_dnn_ros.bundles.manifest import Manifest
from dynamic_dnn_ros.datasets.labelled_set import LabelledSet
from dynamic_dnn_ros.datasets.registry import open_dataset
from dynamic_dnn_ros.datasets.splits import held_out
from dynamic_dnn_ros.training.configuration import TrainingConfiguration


def halves(data: LabelledSet[Any]) -> tuple[LabelledSet[Any], LabelledSet[Any]]:
    """Return two sets of pictures, every other one by its name: to calibrate with, and to test."""
    by_name = sorted(range(len(data)), key=lambda index: data.names[index])
    return data.take(sorted(by_name[::2])), data.take(sorted(by_name[1::2]))


def held_out_pictures(
    configuration: TrainingConfiguration, manifest: Manifest, say: Callable[[str], None]
) -> tuple[LabelledSet[Any], LabelledSet[Any]]:
    """
    Return the training pictures that a training held out, and its test pictures.

    :param configuration: that the bundle was trained with
    :param manifest: of the bundle
    :param say: is told what was left out
    :raises DataError: when the pictures cannot be read, or are of other classes
    """
    task, labels = manifest.task.name, manifest.labels
    training = open_dataset(configuration.training_data, task, labels, say, 'train')
    if step := configuration.test_every:
        places = range(len(training))
        test = training.take([index for index in places if index % step == step - 1])
        training = training.take([index for index in places if index % step != step - 1])
    else:
        part = None if task == 'classification' else 'test'
        test = open_dataset(configuration.test_data, task, labels, say, part)
    _, held = held_out(len(training), configuration.held_out, configuration.seed)
    return training.take(held.tolist()), test
