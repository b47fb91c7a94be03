# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Run sub-networks over labelled pictures, each once, and in turns against the clock."""

from __future__ import annotations

from collections.abc import Sequence
import math
import time
from typing import Any

import numpy as np
from tqdm import tqdm

from dynamic_dnn_ros.bundles.manifest import Manifest
from dynamic_dnn_ros.bundles.responses import probe_picture
from dynamic_dnn_ros.datasets.labelled_set import LabelledSet
from dynamic_dnn_ros.engines.contract import PreparedSubNetwork
from dynamic_dnn_ros.exits.mixtures import Answers
from dynamic_dnn_ros.profiling.accuracy import fitted_inputs
from dynamic_dnn_ros.tasks.contract import DECIDING_LIMITS, MEASURING_LIMITS

#: Runs of a sub-network before another one has its turn; the first is not timed.
_RUNS_EACH_TURN = 6


def ask(
    prepared: Sequence[PreparedSubNetwork],
    manifest: Manifest,
    data: LabelledSet[Any],
    quiet: bool | None = None,
) -> Answers:
    """
    Return what each sub-network answers to each picture, fitted as a node fits frames.

    :param prepared: all of the same size
    :param quiet: show no progress; None: only where nobody looks
    :raises DataError: when a picture cannot be read
    :raises EngineError: when the engine fails
    """
    task = manifest.make_task()
    confidences: dict[str, list[float]] = {each.sub_network.id: [] for each in prepared}
    results: dict[str, list[Any]] = {each.sub_network.id: [] for each in prepared}
    truths = []
    size = prepared[0].sub_network.size
    for picture in tqdm(
        data, total=len(data), desc=f'asking {len(prepared)}', unit='picture', disable=quiet
    ):
        pixels, placement = fitted_inputs(picture, [size], manifest.preprocessing)[size]
        truths.append(picture.truth)
        for each in prepared:
            outputs = each.run(pixels)
            name = each.sub_network.id
            confidences[name].append(task.confidence(outputs, 0, size, DECIDING_LIMITS))
            results[name].append(
                task.decode(outputs, 0, placement, manifest.labels, MEASURING_LIMITS)
            )
    return Answers(
        {name: np.array(found, np.float64) for name, found in confidences.items()},
        results,
        truths,
    )


def measured_latencies(
    prepared: Sequence[PreparedSubNetwork], turns: int, quiet: bool | None = None
) -> dict[str, float]:
    """
    Return the latency of each sub-network in seconds.

    All have their turns, in an order redrawn, and a latency is the median over the turns of its
    ratio to that of the last sub-network: ratios stay where the machine was slower for a while.
    """
    generator = np.random.default_rng(0)
    found = np.empty((turns, len(prepared)))
    pictures = [probe_picture(0, each.sub_network.size) for each in prepared]
    for turn in tqdm(range(turns), desc='timing', unit='turn', disable=quiet):
        for index in generator.permutation(len(prepared)):
            each, picture = prepared[index], pictures[index]
            shortest = math.inf
            for run in range(_RUNS_EACH_TURN):
                begun = time.perf_counter()
                each.run(picture)
                if run:
                    shortest = min(shortest, time.perf_counter() - begun)
            found[turn, index] = shortest
    ratios = np.median(found / found[:, -1:], axis=0)
    last = float(np.median(found[:, -1]))
    return {each.sub_network.id: float(r * last) for each, r in zip(prepared, ratios)}
