# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Put graphs in int8 into a bundle, those that are near enough to the sub-networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
import random
from statistics import median
import time
from typing import Any

from dynamic_dnn_ros.bundles.graphs import graph_name
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.bundles.writer import rewrite_bundle
from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.datasets.labelled_set import LabelledSet
from dynamic_dnn_ros.engines.contract import (
    EngineError,
    Picture,
    Precision,
    PreparedSubNetwork,
)
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.engines.verification import VerifyingEngine
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.profiling.accuracy import (
    fitted_inputs,
    measure_accuracies,
    open_labelled,
)
from dynamic_dnn_ros.profiling.timing import workload

#: Pictures to calibrate with, drawn from those given; half of them where there are fewer.
CALIBRATION_PICTURES = 200

#: Pictures below which neither a calibration nor an accuracy means anything.
LEAST_PICTURES = 20

#: s for which each sub-network is timed in both precisions, and runs of each at least.
TIMED_FOR, LEAST_RUNS = 0.5, 5

#: Speed against float32 from which it counts as no slower: two of the same differ by as much.
AS_FAST = 0.97


def quantise(bundle: Bundle, data: Path, say: Callable[[str], None] = print) -> Bundle:
    """
    Quantise all sub-networks, measure them, and write those that answer as recorded.

    Accuracy is measured on the pictures that were not calibrated with, speed beside float32.

    :param data: folder or archive with labelled pictures
    :return: the bundle as it is then
    :raises BundleError: when the bundle does not fit or cannot be written
    :raises DataError: when the pictures cannot be used
    :raises EngineError: when no sub-network in int8 answers as recorded; nothing is written
    :raises ExportError: when a sub-network cannot be exported
    :raises ModuleNotFoundError: when `onnx` or `onnxruntime` is not installed
    """
    # Here, since it needs PyTorch.
    from dynamic_dnn_ros.networks.quantisation import quantised_graphs

    manifest = bundle.manifest
    pictures = open_labelled(data, manifest, say)
    if len(pictures) < LEAST_PICTURES:
        raise DataError(
            f'{data} holds {len(pictures)} pictures: at least {LEAST_PICTURES} are needed, some '
            'to calibrate with and others to measure accuracy on'
        )
    # The same pictures each time, whatever their order.
    count = min(CALIBRATION_PICTURES, len(pictures) // 2)
    by_name = sorted(range(len(pictures)), key=lambda index: pictures.names[index])
    drawn = sorted(random.Random(0).sample(by_name, count))
    calibration = f'{count} pictures of {data.name}'
    inputs = _inputs(bundle, pictures.take(drawn))
    files = {
        graph_name(manifest.sub_network(graph.sub_network), quantised=True): graph.content()
        for graph in quantised_graphs(bundle, inputs, calibration)
    }
    candidate = replace(bundle, other_files={**bundle.other_files, **files})
    engine = VerifyingEngine(
        create_engine('onnxruntime', candidate, 1, Precision.INT8),
        bundle.responses,
        manifest.make_task(),
    )
    prepared = []
    for entry in manifest.own_sub_networks:
        try:
            prepared.append(engine.prepare(entry, engine.processors[0]))
        except EngineError as error:
            say(f'{entry.id}: not written in int8. {error}')
            files.pop(graph_name(entry, quantised=True), None)
    if not prepared:
        raise EngineError(
            f'no sub-network of {manifest.name!r} can be served in int8. Nothing was written; ask '
            "for 'float32' or 'bfloat16'."
        )
    others = pictures.take(sorted(set(by_name) - set(drawn)))
    task = manifest.make_task()
    measured = measure_accuracies(prepared, task, manifest.labels, manifest.preprocessing, others)
    for name, accuracy in measured.items():
        entry = manifest.sub_network(name)
        expected = f'{entry.accuracy:.2%}' if entry.accuracy_is_known else 'none'
        say(
            f'{name}: accuracy {accuracy:.2%} ({task.metric.title}) in int8 on {len(others)} '
            f'pictures of {data.name}, {expected} in the bundle'
        )
    slower = _compared(prepared, bundle, say)
    written = rewrite_bundle(bundle, other_files=files)
    size = sum(map(len, files.values()))
    say(
        f'{written.folder}: {len(files)} graphs in int8, {size / 1e6:.2f} MB together, '
        f'calibrated with {calibration}'
    )
    if slower:
        say(
            f'{", ".join(slower)}: int8 is slower than float32 on this computer. Where they serve '
            "much, ask for 'float32'; profiles with either tell what it comes to."
        )
    return written


def _compared(
    quantised: Sequence[PreparedSubNetwork], bundle: Bundle, say: Callable[[str], None]
) -> list[str]:
    """Say how fast each is beside float32, on one thread; return the ids of those slower."""
    engine = create_engine('onnxruntime', bundle, 1)
    slower = []
    for each in quantised:
        entry = each.sub_network
        usual = engine.prepare(entry, each.processor)
        seconds = beside(workload(usual), workload(each))
        usual.close()
        speed = seconds[0] / seconds[1]
        if speed < AS_FAST:
            slower.append(entry.id)
        say(
            f'{entry.id}: {seconds[1] * 1e3:.3g} ms in int8, {seconds[0] * 1e3:.3g} ms in '
            f'float32: {speed:.2f} times the speed{", SLOWER" if speed < AS_FAST else ""} '
            '(measured, onnxruntime, one thread)'
        )
    return slower


def beside(
    one: Callable[[], object],
    other: Callable[[], object],
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[float, float]:
    """Return the median seconds of two, run in turns, so that disturbances hit both alike."""
    found: tuple[list[float], list[float]] = ([], [])
    begun = clock()
    while len(found[0]) < LEAST_RUNS or clock() - begun < TIMED_FOR:
        for run, seconds in zip((one, other), found):
            started = clock()
            run()
            seconds.append(clock() - started)
    return median(found[0]), median(found[1])


def _inputs(bundle: Bundle, pictures: LabelledSet[Any]) -> dict[Size, list[Picture]]:
    """Return pictures as sub-networks get them, by size."""
    found: dict[Size, list[Picture]] = {entry.size: [] for entry in bundle.manifest.sub_networks}
    for picture in pictures:
        inputs = fitted_inputs(picture, found, bundle.manifest.preprocessing)
        for size, (pixels, _) in inputs.items():
            found[size].append(pixels)
    return found
