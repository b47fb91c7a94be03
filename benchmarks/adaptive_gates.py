# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Gates beside static sub-networks of the same family, and beside masks.

The gate that is held against the marks is the fastest of the bundle that loses at most so much on
the held-out pictures, without a margin. The promise that it was made with is wider by the margin.
That rule was set after a first run of this suite had shown the test figures of all gates.

All test pictures go through each, by the function that the inference node serves a frame with, one
thread, ONNX Runtime, in turns of blocks of pictures, in an order drawn anew. Times are of the CPU,
since other programs may run. A masked network computes every branch, and multiplies the answers by
ones and zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import time
from typing import Any

import numpy as np
from report import Figure, figure
from turns import fastest_as_accurate, timed_in_turns

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.datasets.registry import open_dataset
from dynamic_dnn_ros.engines.contract import PreparedSubNetwork
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.engines.staged import decision
from dynamic_dnn_ros.pictures.input import Picture
from dynamic_dnn_ros.profiling.accuracy import fitted_inputs
from dynamic_dnn_ros.serving.path import follow
from support.shared_data import CIFAR10_TEST, REPOSITORY, shared_data, shipped_bundle

BUNDLE = REPOSITORY / 'models/cifar10_gates'

PROMISED = '1 points'
"""Of the gate that is held against the marks, as the model card says it."""

#: At most so many points less than the static largest, and at least so much faster.
_POINTS, _SPEED_UP = 0.7, 1.62

#: Test pictures, and those that one network runs before another has its turn.
_PICTURES, _BLOCK = 3000, 100

_MASKED = 'masked'


def not_measured() -> list[str]:
    """Return what was not measured, and why."""
    return [] if BUNDLE.exists() else ['gates: the bundle cifar10_gates is not here']


def figures(runs: int) -> Iterator[Figure]:
    """Yield the figures; none where the bundle is not here."""
    if BUNDLE.exists():
        yield from _figures(read_bundle(BUNDLE), runs)


def _figures(bundle: Bundle, runs: int) -> Iterator[Figure]:
    manifest = bundle.manifest
    gated = [entry for entry in manifest.sub_networks if entry.stages]
    size = gated[0].size
    # The bundle has the choices alone; those that it was made from are in another one.
    whole = read_bundle(shipped_bundle())
    static = [each for each in whole.manifest.sub_networks if each.size == size]
    largest = max(static, key=lambda entry: entry.multiply_adds)
    prepared = {
        entry.id: engine.prepare(entry, 'cpu')
        for some, entries in ((whole, static), (bundle, gated))
        for engine in [create_engine('onnxruntime', some, 1)]
        for entry in entries
    }
    task = manifest.make_task()

    data = open_dataset(shared_data(CIFAR10_TEST), 'classification', manifest.labels, print)
    spread = np.linspace(0, len(data) - 1, min(_PICTURES, len(data))).round().astype(np.int64)
    test = data.take(spread.tolist())
    inputs = [fitted_inputs(each, {size}, manifest.preprocessing)[size][0] for each in test]

    def served(each: PreparedSubNetwork) -> Callable[[int], np.ndarray]:
        return lambda index: follow(each, inputs[index], task).outputs['logits'][0]

    ways = {name: served(each) for name, each in prepared.items()}
    # All gates of the bundle have the same branches, so one tells what masks cost.
    ours = gated[0]
    masked = _masked(prepared[ours.id])
    ways[_MASKED] = lambda index: masked(inputs[index])
    truths = np.array([test.truth_of(index) for index in range(len(test))])
    times, said = timed_in_turns(ways, len(inputs), runs, _BLOCK, time.process_time)
    logits = {name: np.array(found) for name, found in said.items()}
    right = {name: float((found.argmax(1) == truths).mean()) for name, found in logits.items()}
    names = [each.id for each in static]
    yield figure(f'gates: accuracy of {largest.id}, the largest, alone', right[largest.id], '0..1')
    asked = promised(bundle)
    for each in gated:
        yield from _compared(each, asked[each.id], largest, names, times, right)
    title = f'gate {ours.id}'
    yield figure(
        f'{title}: time of a masked implementation against ours',
        [one / other for one, other in zip(times[_MASKED], times[ours.id])],
        'ratio',
    )
    yield figure(
        f'{title}: time of a masked implementation against {largest.id} alone',
        [one / other for one, other in zip(times[_MASKED], times[largest.id])],
        'ratio',
    )
    difference = float(np.abs(logits[_MASKED] - logits[ours.id]).max())
    yield figure(f'{title}: largest difference of masked logits', difference, '', '<= 1e-3')


def _compared(
    ours: SubNetwork,
    asked: str,
    largest: SubNetwork,
    static: list[str],
    times: dict[str, list[float]],
    right: dict[str, float],
) -> Iterator[Figure]:
    title = f'gate {ours.id}, promised {asked}'
    marked = asked == PROMISED
    yield figure(f'{title}: accuracy', right[ours.id], '0..1')
    below = 100 * (right[largest.id] - right[ours.id])
    yield figure(
        f'{title}: below {largest.id}, the largest',
        below,
        'points',
        f'<= {_POINTS}' if marked else None,
    )
    yield figure(
        f'{title}: throughput against {largest.id} alone',
        [slow / fast for slow, fast in zip(times[largest.id], times[ours.id])],
        'ratio',
        f'>= {_SPEED_UP}' if marked else None,
    )
    rival = fastest_as_accurate(static, right[ours.id], times, right, largest.id)
    yield figure(
        f'{title}: throughput against the fastest static sub-network as accurate ({rival})',
        [slow / fast for slow, fast in zip(times[rival], times[ours.id])],
        'ratio',
    )


def promised(bundle: Bundle) -> dict[str, str]:
    """Return what was asked for of each gate, by the rows of the model card."""
    lines = bundle.other_files['MODEL_CARD.md'].decode().splitlines()
    names = {entry.id for entry in bundle.manifest.sub_networks if entry.stages}
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]
    return {row[0]: row[1] for row in rows if row[0] in names and len(row) == 7}


def _masked(prepared: PreparedSubNetwork) -> Callable[[Picture], np.ndarray]:
    """Return what computes all branches of a gate, and multiplies them by ones and zeros."""
    steps: Any = prepared._steps  # type: ignore[attr-defined]

    def run(picture: Picture) -> np.ndarray:
        scores, handed = steps[0]((picture[np.newaxis],))
        choice, _ = decision(next(iter(scores.values()))[0])
        mask = np.eye(len(steps) - 1, dtype=np.float32)[choice]
        found = [step(handed)[0]['logits'][0] for step in steps[1:]]
        total: np.ndarray = sum(one * share for one, share in zip(found, mask))
        return total

    return run
