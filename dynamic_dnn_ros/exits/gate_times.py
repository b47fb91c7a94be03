# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the paths behind a gate take with an engine, and their stages in a manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
import math
import time

import numpy as np
import torch
from tqdm import tqdm

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, Weights
from dynamic_dnn_ros.bundles.responses import probe_picture
from dynamic_dnn_ros.bundles.stages import Stage
from dynamic_dnn_ros.bundles.writer import placed_bundle, weights_content
from dynamic_dnn_ros.engines.automatic import open_engine
from dynamic_dnn_ros.engines.contract import PreparedSubNetwork
from dynamic_dnn_ros.exits.errors import ExitError
from dynamic_dnn_ros.exits.gate_settings import GateSettings
from dynamic_dnn_ros.networks.contract import Arrays
from dynamic_dnn_ros.networks.gate_stages import Gate
from dynamic_dnn_ros.networks.gates import GateNetwork
from dynamic_dnn_ros.platforms.hardware import hardware_name
from dynamic_dnn_ros.training.export import manifest_entry

#: Of the accuracies, works and shares in a manifest.
DIGITS = 6

_EARLY = 'early'
_RUNS_EACH_TURN = 4


def stages_behind(
    names: Sequence[str], works: Sequence[float], taken: Sequence[float]
) -> tuple[Stage, ...]:
    """Return the stages behind a gate; `works` begins with that of the shared beginning."""
    labels = [f'as_{name}' for name in names]
    first = Stage(_EARLY, work=round(works[0], DIGITS), choices=tuple(labels))
    rest = [
        Stage(
            label,
            work=round(work, DIGITS),
            taken=round(share, DIGITS),
            last=index + 1 < len(labels),
        )
        for index, (label, work, share) in enumerate(zip(labels, works[1:], taken))
    ]
    return (first, *rest)


class PathTimes:
    """What each path takes with an engine: gates that always choose the same are timed."""

    def __init__(
        self,
        bundle: Bundle,
        network: GateNetwork,
        statistics: Sequence[Arrays],
        names: Sequence[str],
        settings: GateSettings,
        quiet: bool | None,
    ) -> None:
        count = len(names)
        with torch.no_grad():
            for index, gate in enumerate(network.gates):
                assert isinstance(gate, Gate)
                gate.score.weight.zero_()
                gate.score.bias.copy_(torch.arange(count) == index)
        own = network.together(network.gated(0), statistics)
        even = [(index + 1) / (count + 1) for index in range(count)]
        stages = stages_behind(names, [even[0] / 2, *even[:-1], 1.0], [1 / count] * count)
        entries = [
            gated_entry(network, number, f'path_{number}', 0.0, stages) for number in range(count)
        ]
        source = replace(bundle.manifest.super_network, layout=network.layout_mapping())
        manifest = replace(
            bundle.manifest, source=source, sub_networks=tuple(entries), profiles=()
        )
        content = weights_content(Weights(network.state(), {each.id: own for each in entries}))
        engine = open_engine(
            settings.engine, placed_bundle(bundle.folder, manifest, content), settings.threads
        )
        prepared = [engine.prepare(entry, engine.processors[0]) for entry in entries]
        try:
            times = _times(prepared, settings.turns, quiet)
        finally:
            for each in prepared:
                each.close()
        beginnings, paths = times[:, 0], times[:, 1]
        self.latency = float(paths[-1])
        largest = float(max(paths))
        if largest > paths[-1]:
            raise ExitError(
                f'{names[int(np.argmax(paths))]!r} takes {largest * 1e3:.3g} ms here, and '
                f'{names[-1]!r} behind it {paths[-1] * 1e3:.3g} ms: name the fastest first'
            )
        self.beginning = float(np.median(beginnings)) / largest
        self.works = tuple(float(path) / largest for path in paths)
        self.conditions = (
            f'engine {engine.name} on {engine.processors[0]}, {settings.threads} thread(s), '
            f'{hardware_name()}'
        )


def _times(prepared: Sequence[PreparedSubNetwork], turns: int, quiet: bool | None) -> np.ndarray:
    """
    Return what the shared beginning and the whole path of each takes, s, paths x 2.

    All have their turns; a time is the median over the turns of its ratio to the last path's.
    """
    generator = np.random.default_rng(0)
    found = np.empty((turns, len(prepared), 2))
    pictures = [probe_picture(0, each.sub_network.size) for each in prepared]
    for turn in tqdm(range(turns), desc='timing', unit='turn', disable=quiet):
        for index in generator.permutation(len(prepared)):
            shortest = [math.inf, math.inf]
            for _ in range(_RUNS_EACH_TURN):
                begun = time.perf_counter()
                execution = prepared[index].begin(pictures[index])
                execution.advance()
                first = time.perf_counter() - begun
                while not execution.done:
                    execution.advance()
                shortest = [min(shortest[0], first), min(shortest[1], time.perf_counter() - begun)]
            found[turn, index] = shortest
    last = found[:, -1:, 1:]
    ratios: np.ndarray = np.median(found / last, axis=0) * float(np.median(last))
    return ratios


def gated_entry(
    network: GateNetwork, number: int, identifier: str, accuracy: float, stages: tuple[Stage, ...]
) -> SubNetwork:
    """Return the entry of the sub-network behind one gate of a network."""
    entry = manifest_entry(network, network.gated(number), identifier, round(accuracy, DIGITS))
    return replace(entry, stages=stages)
