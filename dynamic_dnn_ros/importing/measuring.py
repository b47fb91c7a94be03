# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The accuracy of sub-networks on labelled pictures, as a camera's pictures go through them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dynamic_dnn_ros.bundles.manifest import Manifest
from dynamic_dnn_ros.engines.contract import Engine
from dynamic_dnn_ros.pictures.scaling import RawPicture, fitted
from dynamic_dnn_ros.tasks.contract import Limits

#: As COCO measures: nearly all that was found counts, by its score, at most 100 a picture.
_LIMITS = Limits(score=0.001, number=100, overlap=0.6)


@dataclass(frozen=True)
class Measured:
    """An accuracy, 0..1, and on how many pictures it was measured."""

    accuracy: float
    pictures: int


def measure(
    engine: Engine, manifest: Manifest, data: Path, quiet: bool, say: Callable[[str], None]
) -> dict[str, Measured]:
    """
    Measure each sub-network of a bundle.

    :raises DataError: when the pictures cannot be read, or their labels do not fit
    :raises EngineError: when a sub-network cannot be run
    """
    task = manifest.make_task()
    prepared = [engine.prepare(entry, 'cpu') for entry in manifest.sub_networks]
    scorers = [task.scorer(manifest.labels) for _ in prepared]
    count = 0
    pictures = task.read(data, manifest.labels)
    for picture in tqdm(pictures, desc='measuring', unit='picture', disable=quiet):
        count += 1
        height, width = picture.pixels.shape[:2]
        raw = RawPicture(
            'rgb8', width, height, 3 * width, np.ascontiguousarray(picture.pixels).data
        )
        for each, scorer in zip(prepared, scorers):
            placed, placement = fitted(raw, each.sub_network.size, manifest.preprocessing)
            outputs = each.run(placed)
            scorer.add(task.decode(outputs, 0, placement, manifest.labels, _LIMITS), picture.truth)
    found = {}
    for each, scorer in zip(prepared, scorers):
        found[each.sub_network.id] = Measured(scorer.value(), count)
        each.close()
    if all(each.accuracy == 0 for each in found.values()):
        say(
            'accuracy: 0 of every sub-network: nothing right was found in any picture. Most often '
            'the labels have another order, or --mean, --std, --channels or --resize are not '
            'those of the training'
        )
    return found
