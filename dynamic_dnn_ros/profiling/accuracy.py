# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The accuracy of prepared sub-networks on labelled pictures, of the metric of their task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
import math
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dynamic_dnn_ros.bundles.manifest import Manifest
from dynamic_dnn_ros.datasets.contract import DataError, LabelledPicture
from dynamic_dnn_ros.datasets.labelled_set import LabelledSet
from dynamic_dnn_ros.datasets.registry import open_dataset
from dynamic_dnn_ros.engines.contract import PreparedSubNetwork
from dynamic_dnn_ros.pictures.input import Picture, Preprocessing
from dynamic_dnn_ros.pictures.placement import Placement, Size
from dynamic_dnn_ros.pictures.scaling import RawPicture, fitted
from dynamic_dnn_ros.profiling.path_times import PathTimes
from dynamic_dnn_ros.serving.path import follow
from dynamic_dnn_ros.tasks.contract import MEASURING_LIMITS, Limits, Task


def open_labelled(
    path: Path,
    manifest: Manifest,
    say: Callable[[str], None] = print,
    split: str | None = None,
) -> LabelledSet[Any]:
    """
    Open labelled pictures of a bundle's task and labels.

    :param say: is told what was left out
    :param split: train, val or test; None for what is not trained on, or all without parts
    :raises DataError: when there are none, or they do not fit
    """
    return open_dataset(path, manifest.task.name, manifest.labels, say, split)


def measure_accuracies(
    prepared: Sequence[PreparedSubNetwork],
    task: Task[Any, Any],
    labels: Sequence[str],
    preprocessing: Preprocessing,
    data: LabelledSet[Any],
    limits: Limits = MEASURING_LIMITS,
    quiet: bool | None = None,
    paths: PathTimes | None = None,
) -> dict[str, float]:
    """
    Return the accuracy, 0..1, of each sub-network, pictures fitted as a node fits frames.

    A picture is decoded once for all sub-networks, and fitted once for all of a size. Of one with
    stages it takes its path, as a frame does.

    :param labels: of the network; `data` has the same
    :param limits: of what a result may hold
    :param quiet: show no progress; None: only where nobody looks
    :param paths: takes note of the paths of the pictures, and of what they take
    :return: by the sub-network's id
    :raises DataError: when a picture cannot be read, or the pictures say nothing of accuracy
    :raises EngineError: when the engine fails
    """
    along = follow if paths is None else paths.follow
    scorers = {entry.sub_network.id: task.scorer(labels) for entry in prepared}
    sizes = {entry.sub_network.size for entry in prepared}
    bar = tqdm(data, total=len(data), desc='measuring accuracy', unit='picture', disable=quiet)
    for picture in bar:
        inputs = fitted_inputs(picture, sizes, preprocessing)
        for entry in prepared:
            pixels, placement = inputs[entry.sub_network.size]
            outputs = along(entry, pixels, task).outputs
            result = task.decode(outputs, 0, placement, labels, limits)
            scorers[entry.sub_network.id].add(result, picture.truth)
    measured = {name: scorer.value() for name, scorer in scorers.items()}
    for value in measured.values():
        if not math.isfinite(value):
            raise DataError(
                f'{data.files.path}: its {len(data)} pictures have nothing to be found, so they '
                f'say nothing of {task.metric.title}: give pictures with labels'
            )
    return measured


def fitted_inputs(
    picture: LabelledPicture[Any], sizes: Iterable[Size], preprocessing: Preprocessing
) -> dict[Size, tuple[Picture, Placement]]:
    """Return a picture as the inputs of several sizes, and where it lies in each."""
    height, width, channels = picture.pixels.shape
    raw = RawPicture('rgb8', width, height, width * channels, picture.pixels.data)
    return {size: fitted(raw, size, preprocessing) for size in sizes}
