# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A network whose blocks decide by the picture, beside the same one undivided and beside masks.

The bundles are those that docs/adaptive_networks.md has the commands for. All test pictures go
through each, by the function that the inference node serves a frame with, one thread, ONNX
Runtime, in turns of blocks of pictures, in an order drawn anew, on the wall clock. The latencies
of blocks that the predictor is fitted to are of the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
import tempfile
import time

import numpy as np
from report import Figure, figure
from turns import timed_in_turns

from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.bundles.writer import write_bundle
from dynamic_dnn_ros.datasets.registry import open_dataset
from dynamic_dnn_ros.engines.contract import PreparedSubNetwork
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.profiling.accuracy import fitted_inputs
from dynamic_dnn_ros.search.block_latency import fitted, mean_error
from dynamic_dnn_ros.search.block_times import cases, measured
from dynamic_dnn_ros.serving.path import follow

#: Of the sources: what the commands of docs/adaptive_networks.md write.
_BUILD = Path(__file__).resolve().parents[1] / 'build'
STATIC, ADAPTIVE = _BUILD / 'objects_static', _BUILD / 'objects_adaptive'
PICTURES = _BUILD / 'object_pictures/test'

#: Pictures that one network runs before another has its turn.
_BLOCK = 100

#: Blocks that are measured of each way of running, and turns; every fourth tests the fit.
_CASES, _TURNS, _TESTED = 40, 15, 4

_UNDIVIDED, _MASKED, _OURS = 'undivided', 'masked', 'by the picture'


def not_measured() -> list[str]:
    """Return what was not measured, and why."""
    if _trained():
        return []
    return ['blocks that decide by the picture: not trained here (docs/adaptive_networks.md)']


def _trained() -> bool:
    return all(path.exists() for path in (STATIC, ADAPTIVE, PICTURES))


def figures(runs: int) -> Iterator[Figure]:
    """Yield the figures; none of the network where it was not trained."""
    if _trained():
        yield from _network_figures(read_bundle(STATIC), read_bundle(ADAPTIVE), runs)
    yield from _predictor_figures()


def _network_figures(static: Bundle, adaptive: Bundle, runs: int) -> Iterator[Figure]:
    ours = next(entry for entry in adaptive.manifest.sub_networks if entry.stages)
    undivided = static.manifest.sub_networks[0]
    # The same weights as one piece are the published network: all computed, then masked.
    masked = replace(ours, stages=())
    with tempfile.TemporaryDirectory() as folder:
        manifest = replace(adaptive.manifest, sub_networks=(masked,))
        whole = write_bundle(Path(folder) / 'masked', manifest, adaptive.source_content)
        prepared = {
            name: create_engine('onnxruntime', bundle, 1).prepare(entry, 'cpu')
            for name, bundle, entry in (
                (_UNDIVIDED, static, undivided),
                (_MASKED, whole, masked),
                (_OURS, adaptive, ours),
            )
        }
    test = open_dataset(PICTURES, 'classification', static.manifest.labels, print)
    inputs = [
        fitted_inputs(picture, {ours.size}, static.manifest.preprocessing)[ours.size][0]
        for picture in test
    ]
    truths = np.array([test.truth_of(index) for index in range(len(test))])
    task = static.manifest.make_task()

    def served(each: PreparedSubNetwork) -> Callable[[int], tuple[np.ndarray, float]]:
        def way(index: int) -> tuple[np.ndarray, float]:
            path = follow(each, inputs[index], task)
            return path.outputs['logits'][0], path.work

        return way

    ways = {name: served(each) for name, each in prepared.items()}
    times, said = timed_in_turns(ways, len(inputs), runs, _BLOCK)
    works = [work for _, work in said[_OURS]]
    logits = {name: np.array([found for found, _ in all_of]) for name, all_of in said.items()}
    right = {name: found.argmax(1) == truths for name, found in logits.items()}
    count = len(inputs)
    title = 'blocks that decide by the picture'
    yield figure(f'{title}: accuracy undivided', float(right[_UNDIVIDED].mean()), '0..1')
    yield figure(f'{title}: accuracy', float(right[_OURS].mean()), '0..1')
    lost = right[_UNDIVIDED].astype(float) - right[_OURS]
    yield figure(f'{title}: below undivided', 100 * float(lost.mean()), 'points', '<= 1')
    error = 100 * float(lost.std()) / count**0.5
    yield figure(f'{title}: standard error of that', error, 'points')
    yield figure(
        f'{title}: undivided, a picture', [each / count for each in times[_UNDIVIDED]], 's'
    )
    for name, bar in ((_OURS, '<= 0.5'), (_MASKED, None)):
        ratios = [one / other for one, other in zip(times[name], times[_UNDIVIDED])]
        yield figure(f'{title}: time {name} against undivided', ratios, 'ratio', bar)
    yield figure(f'{title}: mean work', float(np.mean(works)), '0..1')
    scale = max(1.0, float(np.abs(logits[_MASKED]).max()))
    difference = float(np.abs(logits[_OURS] - logits[_MASKED]).max()) / scale
    yield figure(f'{title}: outputs against masked ones', difference, '', '<= 1e-3')


def _predictor_figures() -> Iterator[Figure]:
    """Yield how far the latency of blocks is off on blocks that it was not fitted to."""
    blocks = cases(_CASES)
    seconds = measured(blocks, _TURNS, time.process_time)
    known = [index for index in range(len(blocks)) if index % _TESTED]
    others = [index for index in range(len(blocks)) if index % _TESTED == 0]
    latencies = fitted([blocks[i] for i in known], [seconds[i] for i in known])
    error = mean_error(latencies, [blocks[i] for i in others], [seconds[i] for i in others])
    title = f'latency of blocks: mean error on {len(others)} that were not measured'
    yield figure(title, error, '', '<= 0.08')
