# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Find everything that is wrong with a bundle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
import math
from pathlib import Path
from typing import Any

import numpy as np

from dynamic_dnn_ros.bundles.completeness import missing_from
from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.graphs import graph_key, graph_name, parse_graph, stage_numbers
from dynamic_dnn_ros.bundles.manifest import MANIFEST_NAME, SuperNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, inspect_bundle
from dynamic_dnn_ros.bundles.responses import probe_picture
from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.engines.automatic import open_engine
from dynamic_dnn_ros.engines.contract import EngineError, PreparedSubNetwork
from dynamic_dnn_ros.engines.registry import (
    BY_BUNDLE,
    ENGINE_NAMES,
    default_engine,
    installed_engines,
    suitable_engines,
)
from dynamic_dnn_ros.engines.verification import ResponseError, record, verify_recorded
from dynamic_dnn_ros.profiling.accuracy import measure_accuracies, open_labelled
from dynamic_dnn_ros.tasks.contract import Metric, Task, TaskError
from dynamic_dnn_ros.tasks.tensors import specs_of

#: Accuracy, 0..1, that a sub-network may lose against the figure in its bundle.
TOLERANCE = 0.02


@dataclass
class Findings:
    """The problems that a check found, each with its remedy; what is fine is only said."""

    say: Callable[[str], None] = print
    problems: list[str] = field(default_factory=list)

    def problem(self, text: object) -> None:
        """Take down something that is wrong."""
        self.problems.append(str(text))
        self.say(f'PROBLEM {text}')


def check(
    folder: Path, engine_name: str, data: Path | None, record_responses: bool, findings: Findings
) -> None:
    """
    Check a bundle; `findings` has the result.

    :param data: folder or archive with labelled pictures that accuracy is measured on
    :param record_responses: take down anew what the sub-networks answer, where nothing is wrong
    """
    bundle, problems = inspect_bundle(folder)
    for error in problems:
        findings.problem(error)
    if bundle is None:
        return
    size = len(bundle.manifest.files)
    findings.say(f'{bundle.folder}: manifest sound, {size} files whole, sha256 {bundle.sha256}')
    stray = {file.name for file in bundle.folder.iterdir()}
    stray -= {MANIFEST_NAME, *bundle.manifest.files}
    if stray:
        findings.say(
            f'{", ".join(sorted(stray))}: not of the bundle, and gone when it is written again'
        )
    _check_profiles(bundle, findings)
    of_a_super_network = isinstance(bundle.manifest.source, SuperNetwork)
    complete = _check_graphs(bundle, findings) if of_a_super_network else True
    unknown = [each.id for each in bundle.manifest.sub_networks if not each.accuracy_is_known]
    if unknown:
        findings.say(
            f'nobody knows the accuracy of {", ".join(unknown)}: a target that asks for accuracy '
            'is never served by what is not known'
        )
    prepared = _check_sub_networks(bundle, engine_name, not record_responses, findings)
    if engine_name == BY_BUNDLE and complete:
        _check_other_engines(bundle, not record_responses, findings)
    if data is not None and prepared:
        _check_accuracies(bundle, prepared, data, findings)
    if record_responses:
        if findings.problems:
            findings.say('responses are not recorded, since there are problems')
            return
        try:
            record(bundle, engine_name)
        except (BundleError, EngineError) as error:
            findings.problem(error)
        else:
            findings.say('responses recorded')


def _check_profiles(bundle: Bundle, findings: Findings) -> None:
    for profile in bundle.profiles:
        missing = missing_from(profile, bundle.manifest)
        for problem in missing:
            findings.problem(
                f"profile of {profile.platform} {problem}. Make it again with 'dynamic-dnn "
                f"profile {bundle.folder} --platform {profile.platform}'."
            )
        if not missing:
            findings.say(f'profile of {profile.platform}: complete, {len(profile)} points')
    if not bundle.profiles:
        findings.say('no profile: latencies are measured when a node starts')


def _check_graphs(bundle: Bundle, findings: Findings) -> bool:
    """
    Look whether the graphs are those of the sub-networks as they are now.

    :return: whether the bundle has those in float32 of all sub-networks
    """
    manifest = bundle.manifest
    weights_sha256 = manifest.weights_sha256
    lacking = []
    calibrations = []
    for entry in manifest.own_sub_networks:
        for quantised, stage in product((False, True), stage_numbers(entry)):
            name = graph_name(entry, quantised, stage)
            if name not in bundle.other_files:
                lacking += [] if quantised else [entry.id]
                continue
            try:
                key = graph_key(manifest, weights_sha256, entry, quantised, stage)
                graph = parse_graph(bundle.other_files[name], bundle.folder / name, key, quantised)
            except BundleError as error:
                findings.problem(error)
                continue
            if quantised:
                calibrations.append(graph.calibration)
    if calibrations:
        said = ' and '.join(sorted(set(calibrations)))
        findings.say(f'{len(calibrations)} graphs in int8, calibrated with {said}')
    if lacking:
        names = ', '.join(dict.fromkeys(lacking))
        findings.say(
            f'no graphs for ONNX Runtime and OpenVINO of {names}: where PyTorch is '
            "installed they are made when they are needed; 'dynamic-dnn bundle export' puts them "
            'into the bundle for computers without it'
        )
    return not lacking


def _check_sub_networks(
    bundle: Bundle, engine_name: str, compare: bool, findings: Findings
) -> list[PreparedSubNetwork]:
    """Prepare and run every sub-network; return those that can be."""
    try:
        engine = open_engine(engine_name, bundle, threads=1)
    except (BundleError, EngineError) as error:
        findings.problem(error)
        return []
    processor = engine.processors[0]
    task = bundle.manifest.make_task()
    all_prepared = []
    for entry in bundle.manifest.sub_networks:
        try:
            prepared = engine.prepare(entry, processor)
            _check_outputs(prepared, bundle.manifest.labels, task)
            all_prepared.append(prepared)
            said = 'no response recorded'
            departure = verify_recorded(prepared, bundle.responses, task) if compare else None
            if departure is not None:
                said = f'answers as recorded (departs by {departure:.2%})'
        except (BundleError, EngineError) as error:
            findings.problem(error)
            if isinstance(error, ResponseError):
                continue
        else:
            findings.say(f'{entry.id}: ready on {processor!r} with {engine.name}, {said}')
    if not bundle.responses and compare:
        findings.say(
            'no responses are recorded, so a node cannot notice that a sub-network has lost '
            "accuracy. 'dynamic-dnn bundle check --data ... --record' measures and records them."
        )
    return all_prepared


def _check_other_engines(bundle: Bundle, compare: bool, findings: Findings) -> None:
    """Run every sub-network with each other engine that is installed here, as a node may."""
    manifest = bundle.manifest
    task = manifest.make_task()
    for name in suitable_engines(manifest):
        if name == default_engine(manifest) or name not in installed_engines():
            continue
        try:
            engine = open_engine(name, bundle, threads=1)
        except (BundleError, EngineError) as error:
            if name in ENGINE_NAMES:
                findings.problem(error)
            else:  # One of another package need not run everything.
                findings.say(f'{name}: does not run this bundle: {error}')
            continue
        sound, furthest = 0, math.nan
        for entry in manifest.sub_networks:
            try:
                prepared = engine.prepare(entry, engine.processors[0])
                try:
                    _check_outputs(prepared, manifest.labels, task)
                    found = verify_recorded(prepared, bundle.responses, task) if compare else None
                finally:
                    prepared.close()
            except (BundleError, EngineError) as error:
                findings.problem(f'{name}: {error}')
                continue
            sound += 1
            if found is not None:
                furthest = max(found, 0.0 if math.isnan(furthest) else furthest)
        said = '' if math.isnan(furthest) else f', answer as recorded (depart by {furthest:.2%})'
        findings.say(f'{name}: {sound} sub-networks run{said}')


def _check_outputs(
    prepared: PreparedSubNetwork, labels: Sequence[str], task: Task[Any, Any]
) -> None:
    entry = prepared.sub_network
    outputs = prepared.run(probe_picture(0, entry.size))
    if any(not np.all(np.isfinite(output)) for output in outputs.values()):
        raise EngineError(
            f'sub-network {entry.id!r} gives values that are not finite. Train or import the '
            'bundle again.'
        )
    try:
        task.check(specs_of(outputs), labels, entry.size)
    except TaskError as error:
        raise EngineError(f'sub-network {entry.id!r}: {error}') from error


def _check_accuracies(
    bundle: Bundle, prepared: Sequence[PreparedSubNetwork], data: Path, findings: Findings
) -> None:
    manifest = bundle.manifest
    task = manifest.make_task()
    try:
        pictures = open_labelled(data, manifest, findings.say)
        accuracies = measure_accuracies(
            prepared, task, manifest.labels, manifest.preprocessing, pictures
        )
    except (DataError, EngineError) as error:
        findings.problem(error)
        return
    for identifier, measured in accuracies.items():
        entry = manifest.sub_network(identifier)
        said = (
            f'accuracy {measured:.2%} ({task.metric.title}) on {len(pictures)} pictures of '
            f'{data.name}, '
        )
        if not entry.accuracy_is_known:
            findings.say(f'{identifier}: {said}none in the bundle')
            continue
        said = f'{identifier}: {said}{entry.accuracy:.2%} in the bundle'
        chance = _by_chance(entry.accuracy, len(pictures), task.metric)
        if chance:
            said += f' (on that many pictures, chance alone makes {chance:.2%})'
        if entry.accuracy - measured > TOLERANCE + 2 * chance:
            findings.problem(
                f'{said}: it lost more than {TOLERANCE * 100:.0f} points'
                f'{" and what chance explains" if chance else ""}. If these are the pictures '
                "that the bundle's figures are of, have 'dynamic-dnn search' recalibrate it again."
            )
        else:
            findings.say(said)


def _by_chance(expected: float, pictures: int, metric: Metric) -> float:
    """Return the standard error of a share of independent pictures; 0 for other metrics."""
    if metric is not Metric.TOP1:
        return 0.0
    return math.sqrt(expected * (1 - expected) / pictures)
