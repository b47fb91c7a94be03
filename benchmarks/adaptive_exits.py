# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Rows of the suite `adaptive`: early exits that ship, against the whole network that they are in.

Thresholds were calibrated on pictures that the training held out, and are not touched here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from report import Figure, figure

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.datasets.labelled_set import LabelledSet
from dynamic_dnn_ros.engines.contract import PreparedSubNetwork
from dynamic_dnn_ros.engines.registry import create_engine

BUNDLE = Path(__file__).parents[1] / 'models' / 'cifar10_exits'

PROMISES = {0.002: None, 0.005: None, 0.01: 1.8, 0.02: None}
"""Losses of accuracy that were promised, each with the speed that was asked for at that loss."""

KEPT_TO = 0.3
"""Points by which a promise may be missed on test pictures."""

Timed = Callable[
    [Bundle, Sequence[PreparedSubNetwork], LabelledSet[Any], int],
    tuple[dict[str, list[float]], dict[str, float]],
]
"""Returns seconds for all pictures, one a run, and the accuracy, by sub-network."""


def promises_of(bundle: Bundle) -> dict[str, float]:
    """Return what was promised of each sub-network with exits, by the rows of its model card."""
    lines = bundle.other_files['MODEL_CARD.md'].decode().splitlines()
    names = {entry.id for entry in bundle.manifest.sub_networks if entry.stages}
    found = {}
    for line in lines:
        cells = [cell.strip() for cell in line.strip('|').split('|')]
        if cells[0] in names and len(cells) == 7:
            found[cells[0]] = float(cells[5].removesuffix(' points')) / 100
    return found


def figures(engine: str, test: LabelledSet[Any], runs: int, timed: Timed) -> list[Figure]:
    """Return the figures of early exits."""
    bundle = read_bundle(BUNDLE)
    made = create_engine(engine, bundle, 1)
    prepared = [made.prepare(entry, 'cpu') for entry in bundle.manifest.sub_networks]
    times, right = timed(bundle, prepared, test, runs)
    promises = promises_of(bundle)
    whole = max(
        (entry for entry in bundle.manifest.sub_networks if not entry.stages),
        key=lambda entry: entry.accuracy,
    )
    rows = [
        figure(f'{BUNDLE.name}, {whole.id} whole: accuracy', right[whole.id], '0..1'),
        figure(
            f'{BUNDLE.name}, {whole.id} whole: throughput',
            [len(test) / seconds for seconds in times[whole.id]],
            'pictures / s',
        ),
    ]
    staged = [entry for entry in bundle.manifest.sub_networks if entry.stages]
    for entry in sorted(staged, key=lambda each: promises[each.id]):
        rows += _figures_of(entry, whole, promises[entry.id], times, right)
    return rows


def _figures_of(
    entry: SubNetwork,
    whole: SubNetwork,
    promise: float,
    times: dict[str, list[float]],
    right: dict[str, float],
) -> list[Figure]:
    points = promise * 100
    stages = ' > '.join(stage.name for stage in entry.stages)
    title = f'exits {stages}, promised {points:g} points'
    below = 100 * (right[whole.id] - right[entry.id])
    bar = PROMISES.get(promise)
    return [
        figure(
            f'{title}: below {whole.id}',
            below,
            'points',
            None if bar is None else f'<= {points:g}',
        ),
        figure(f'{title}: missed its promise by', below - points, 'points', f'<= {KEPT_TO}'),
        figure(
            f'{title}: throughput against {whole.id} alone',
            [slow / fast for slow, fast in zip(times[whole.id], times[entry.id])],
            'ratio',
            None if bar is None else f'>= {bar}',
        ),
    ]
