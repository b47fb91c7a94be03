# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Networks that decide by the picture, against static ones, on the clock.

Cascades of `cifar10_ofa` are made as `dynamic-dnn cascade` makes them: calibrated on the training
pictures that were held out, for several promises. Then all test pictures of CIFAR-10 (JPEG) go
through each of them and through each static sub-network, by the function that the inference node
serves a frame with (stages, confidence, decision, decoding), one thread, ONNX Runtime. Blocks of
pictures in turns, in an order drawn anew, so that all networks have the same machine.

Rows of a joint search: see `adaptive_joint`. Their energy is simulated. Rows over the clocks of
boards: see `adaptive_clocks`. Others measured their tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
import tempfile
import time
from typing import Any

import adaptive_blocks
import adaptive_clocks
import adaptive_exits
import adaptive_gates
import adaptive_joint
import numpy as np
from report import Figure, Report, figure
from turns import fastest_as_accurate, timed_in_turns

from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.bundles.responses import probe_picture
from dynamic_dnn_ros.datasets.labelled_set import LabelledSet
from dynamic_dnn_ros.datasets.registry import open_dataset
from dynamic_dnn_ros.datasets.splits import held_out
from dynamic_dnn_ros.engines.contract import PreparedSubNetwork
from dynamic_dnn_ros.engines.registry import create_engine, engine_version
from dynamic_dnn_ros.exits.calibration import MARGIN
from dynamic_dnn_ros.exits.cascades import make_cascades
from dynamic_dnn_ros.exits.report import Made, MadeCascades
from dynamic_dnn_ros.exits.settings import CascadeSettings
from dynamic_dnn_ros.profiling.accuracy import fitted_inputs
from dynamic_dnn_ros.serving.path import follow
from dynamic_dnn_ros.tasks.contract import Limits
from support.shared_data import CIFAR10_TEST, shared_data, shipped_bundle

RUNS = 3
PICTURES = 10_000
"""To test on."""

CIFAR10_TRAIN = 'cifar10_jpeg/train.tar.xz'
HELD_OUT, SEED = 5000, 0
"""As the bundle was trained: config/training/cifar10_ofa.yaml."""

ENGINE = 'onnxruntime'

PROMISES = {0.002: None, 0.005: None, 0.007: 1.62, 0.01: 1.8, 0.02: None}
"""Losses of accuracy that are promised, each with the speed that was asked for at that loss."""

KEPT_TO = 0.3
"""Points by which a promise may be missed on test pictures."""

RIVALS = 0.003
"""By how much less accurate a static sub-network may be in the manifest to be timed."""

BLOCK = 500
"""Pictures that a network runs before another one has its turn."""

_KINDS = {
    'cascade ': ('cascades', '#1f4f8f', 'o-'),
    'exits ': ('early exits', '#c2571a', 's-'),
    'gate ': ('gates', '#2e7d32', '^-'),
}
"""What is drawn: how names of figures begin, with a title, a colour and a marker."""

OVERHEAD_PICTURES = 400
OVERHEAD = 1e-4


def run(runs: int) -> Report:
    """Make cascades, and time them on all test pictures."""
    bundle = read_bundle(shipped_bundle())
    training, test = (
        open_dataset(shared_data(name), 'classification', bundle.manifest.labels, print)
        for name in (CIFAR10_TRAIN, CIFAR10_TEST)
    )
    _, held = held_out(len(training), HELD_OUT, SEED)
    report = compare(bundle, training.take(held.tolist()), _some_of(test), runs)
    added = [
        *adaptive_exits.figures(ENGINE, _some_of(test), runs, _timed),
        *adaptive_blocks.figures(runs),
        *adaptive_clocks.figures(),
        *adaptive_gates.figures(runs),
        *adaptive_joint.joint_figures(),
    ]
    return replace(report, figures=[*report.figures, *added])


def _some_of(test: LabelledSet[Any]) -> LabelledSet[Any]:
    """Return as many test pictures as are asked for, of each class its share."""
    spread = np.linspace(0, len(test) - 1, min(PICTURES, len(test)))
    return test.take(spread.round().astype(np.int64).tolist())


def compare(
    bundle: Bundle, calibration: LabelledSet[Any], test: LabelledSet[Any], runs: int
) -> Report:
    """Return the speed of cascades of a bundle against its static sub-networks."""
    with tempfile.TemporaryDirectory() as folder:
        settings = CascadeSettings(at_most_below=tuple(PROMISES), engine=ENGINE)
        found = make_cascades(bundle, settings, calibration, test, Path(folder) / 'cascades')
        chained = found.bundle
        engine = create_engine(ENGINE, chained, 1)
        # Rivals: static sub-networks that are about as accurate as some cascade.
        last = found.made[0].cascade.stages[-1]
        least = min(each.entry.accuracy for each in found.made) - RIVALS
        static = [
            entry
            for entry in chained.manifest.sub_networks
            if not entry.stages and (entry.accuracy >= least or entry.id == last)
        ]
        used = {name for each in found.made for name in each.cascade.stages}
        entries = [*static, *(each.entry for each in found.made)]
        prepared = [engine.prepare(entry, 'cpu') for entry in entries]
        times, right = _timed(chained, prepared, test, runs)
        figures = _figures(found, times, right)
        parts = [engine.prepare(chained.manifest.sub_network(name), 'cpu') for name in used]
        figures += _overheads(chained, found, [*prepared, *parts], runs)
    configuration = {
        'bundle': bundle.manifest.name,
        'engine': f'{ENGINE} {engine_version(ENGINE)}, 1 thread',
        'calibration_pictures': len(calibration),
        'test_pictures': len(test),
        'margin': f'{MARGIN} standard errors',
        'cascades': {
            each.entry.id: {
                'promise': each.at_most_below,
                'stages': each.cascade.stages,
                'thresholds': each.cascade.thresholds,
                'taken_at_calibration': each.cascade.taken,
                'work': each.cascade.work,
            }
            for each in found.made
        },
        'data': 'CIFAR-10 (JPEG)',
        'not_measured': [
            *adaptive_blocks.not_measured(),
            *adaptive_clocks.not_measured(),
            *adaptive_gates.not_measured(),
            'other engines and processors than ONNX Runtime on the CPU',
        ],
    }
    return Report('adaptive', 'measured', configuration, figures)


def _timed(
    bundle: Bundle, prepared: Sequence[PreparedSubNetwork], test: LabelledSet[Any], runs: int
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Return seconds for all pictures, one a run, and the accuracy, by sub-network."""
    manifest = bundle.manifest
    task = manifest.make_task()
    sizes = {each.sub_network.size for each in prepared}
    pictures = [fitted_inputs(picture, sizes, manifest.preprocessing) for picture in test]
    truths = np.array([test.truth_of(index) for index in range(len(test))])
    limits = Limits()

    def way(each: PreparedSubNetwork) -> Callable[[int], int]:
        size = each.sub_network.size

        def served(index: int) -> int:
            picture, placement = pictures[index][size]
            path = follow(each, picture, task)
            found = task.decode(path.outputs, 0, placement, manifest.labels, limits)
            return int(found.scores.argmax())

        return served

    ways = {each.sub_network.id: way(each) for each in prepared}
    times, labels = timed_in_turns(ways, len(pictures), runs, BLOCK)
    return times, {
        name: float((np.array(found) == truths).mean()) for name, found in labels.items()
    }


def _figures(
    found: MadeCascades, times: dict[str, list[float]], right: dict[str, float]
) -> list[Figure]:
    last = found.made[0].cascade.stages[-1]
    figures = [
        figure(f'{last} alone: accuracy', right[last], '0..1'),
        figure(
            f'{last} alone: throughput',
            [found.tested_on / seconds for seconds in times[last]],
            'pictures / s',
        ),
    ]
    static = [name for name in times if all(each.entry.id != name for each in found.made)]
    for each in found.made:
        figures += _figures_of(each, last, static, times, right)
    return figures


def _figures_of(
    each: Made,
    last: str,
    static: Sequence[str],
    times: dict[str, list[float]],
    right: dict[str, float],
) -> list[Figure]:
    name = each.entry.id
    promise = each.at_most_below * 100
    title = f'cascade {" > ".join(each.cascade.stages)}, promised {promise:g} points'
    below = 100 * (right[last] - right[name])
    bar = PROMISES.get(each.at_most_below)
    # What a user without cascades would take: the fastest that is as accurate.
    rival = fastest_as_accurate(static, right[name], times, right, last)
    return [
        figure(
            f'{title}: below {last}', below, 'points', None if bar is None else f'<= {promise:g}'
        ),
        figure(f'{title}: missed its promise by', below - promise, 'points', f'<= {KEPT_TO}'),
        figure(
            f'{title}: throughput against {last} alone',
            [slow / fast for slow, fast in zip(times[last], times[name])],
            'ratio',
            None if bar is None else f'>= {bar}',
        ),
        figure(
            f'{title}: throughput against the fastest static sub-network as accurate ({rival})',
            [slow / fast for slow, fast in zip(times[rival], times[name])],
            'ratio',
        ),
    ]


def _overheads(
    bundle: Bundle, found: MadeCascades, prepared: Sequence[PreparedSubNetwork], runs: int
) -> list[Figure]:
    """Return what a stage takes beside its networks, where a picture takes all stages."""
    by_id = {each.sub_network.id: each for each in prepared}
    longest = max((each.entry for each in found.made), key=lambda entry: len(entry.stages))
    whole = by_id[longest.id]
    parts = [by_id[stage.sub_network] for stage in longest.stages]
    task = bundle.manifest.make_task()
    pictures = [
        picture
        for picture in (probe_picture(index, longest.size) for index in range(OVERHEAD_PICTURES))
        if follow(whole, picture, task).stage == longest.stages[-1].name
    ]
    if not pictures:
        return []
    names = ' > '.join(part.sub_network.id for part in parts)
    values = []
    for _ in range(runs):
        differences = []
        for picture in pictures:
            begun = time.perf_counter()
            follow(whole, picture, task)
            between = time.perf_counter()
            for part in parts:
                part.run(picture)
            differences.append((between - begun) - (time.perf_counter() - between))
        values.append(float(np.median(differences)) / (len(parts) - 1))
    return [
        figure(
            f'what a decision between two stages takes ({names})',
            values,
            's',
            f'<= {OVERHEAD}',
        )
    ]


def draw(report: Report, path: Path) -> None:
    """Draw speed over lost accuracy, of networks of CIFAR-10."""
    from matplotlib.figure import Figure as Canvas

    rows = {row.name: row.value for row in report.figures}
    canvas = Canvas(figsize=(7.0, 4.4), dpi=110, layout='constrained')
    axes = canvas.add_subplot()
    for kind, (title, colour, marker) in _KINDS.items():
        below = {
            name.partition(': ')[0]: value
            for name, value in rows.items()
            if name.startswith(kind) and ': below ' in name
        }
        speed = {
            name.partition(': ')[0]: value
            for name, value in rows.items()
            if name.startswith(kind) and ': throughput against ' in name and ' alone' in name
        }
        drawn = sorted((below[name], speed[name], name) for name in below)
        axes.plot(*zip(*[row[:2] for row in drawn]), marker, color=colour, label=title)
        for lost, times, name in drawn:
            promise = name.partition('promised ')[2].removesuffix(' points')
            axes.annotate(promise, (lost, times), (6, -3), fontsize=8, textcoords='offset points')
    axes.set_xlabel('points of accuracy below the largest sub-network alone, test pictures')
    axes.set_ylabel('times as many pictures a second')
    axes.set_title('Numbers at the marks: points that were promised', loc='left', fontsize=12)
    axes.axhline(1.0, color='#777777', linewidth=0.8)
    axes.legend(frameon=False, loc='lower right')
    for side in ('top', 'right'):
        axes.spines[side].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path, metadata={'Software': None})
