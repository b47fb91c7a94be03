# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How long the parts of a network between its exits take with an engine, and the heads."""

from __future__ import annotations

import dataclasses
import math
import time

import numpy as np

from dynamic_dnn_ros.bundles.manifest import SubNetwork, SuperNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, Weights
from dynamic_dnn_ros.bundles.stages import Stage
from dynamic_dnn_ros.bundles.writer import weights_content
from dynamic_dnn_ros.engines.automatic import open_engine
from dynamic_dnn_ros.engines.contract import Picture, PreparedSubNetwork
from dynamic_dnn_ros.networks.contract import Arrays
from dynamic_dnn_ros.networks.exits import ExitConfiguration, ExitNetwork
from dynamic_dnn_ros.search.settings import SearchSettings

#: Of a turn; the first is not timed: the caches hold another network's weights.
_RUNS_EACH_TURN = 4


class StageMeter:
    """Measures the stages of networks with exits, on one thread or more of one engine."""

    def __init__(self, bundle: Bundle, settings: SearchSettings) -> None:
        """
        Take what all networks have in common.

        :param bundle: that they come from
        :param settings: engine, processor, threads and turns
        """
        self._bundle = bundle
        self._settings = settings

    def seconds(
        self, network: ExitNetwork, configuration: ExitConfiguration, statistics: Arrays
    ) -> tuple[float, ...]:
        """
        Return the latency of each part of the trunk, then of each head.

        Both the network with all its exits and the one without any have their turns. What the
        first takes longer is that of the heads, and each is given its share of it.

        :param configuration: with all exits that are asked about
        :raises EngineError: when the engine cannot run it
        """
        with_exits, whole = self._prepared(network, configuration, statistics)
        picture = np.full((*configuration.size, 3), 127, np.uint8)
        stages, alone = [], []
        for _ in range(self._settings.turns):
            stages.append(_stages(with_exits, picture))
            alone.append(_whole(whole, picture))
        found = np.median(np.array(stages), axis=0)
        heads = len(found) - 1
        head = max(float(found.sum()) - float(np.median(alone)), 0.0) / heads
        # No part takes less than a twentieth of its stage, whatever noise says of heads.
        trunk = [*(max(each - head, 0.05 * each) for each in found[:-1].tolist()), found[-1]]
        return (*map(float, trunk), *[head] * heads)

    def _prepared(
        self, network: ExitNetwork, configuration: ExitConfiguration, statistics: Arrays
    ) -> list[PreparedSubNetwork]:
        count = sum(configuration.exits)
        stages = tuple(
            Stage(f'part_{index}', '', None if index == count else 1.0, 1.0, float(index == count))
            for index in range(count + 1)
        )
        none = ExitConfiguration(configuration.network, (0,) * len(configuration.exits))
        entries = tuple(
            SubNetwork(
                id=name,
                configuration=each.to_mapping(),
                size=each.size,
                accuracy=0.0,
                multiply_adds=network.multiply_adds(each),
                parameters=network.parameter_count(each),
                layers=network.layer_count(each),
                stages=parts,
            )
            for name, each, parts in (('exits', configuration, stages), ('whole', none, ()))
        )
        manifest = dataclasses.replace(
            self._bundle.manifest,
            source=SuperNetwork(network.family, network.layout_mapping()),
            sub_networks=entries,
            profiles=(),
        )
        content = weights_content(
            Weights(network.state(), {entry.id: statistics for entry in entries})
        )
        candidates = dataclasses.replace(
            self._bundle, manifest=manifest, profiles=(), weights_content=content, other_files={}
        )
        settings = self._settings
        engine = open_engine(settings.engine, candidates, settings.threads, say=_quiet)
        processor = settings.processor or engine.processors[0]
        return [engine.prepare(entry, processor) for entry in entries]


def _stages(prepared: PreparedSubNetwork, picture: Picture) -> list[float]:
    """Return the shortest time of each stage in a few runs."""
    shortest = [math.inf] * len(prepared.stages)
    for run in range(_RUNS_EACH_TURN):
        execution = prepared.begin(picture)
        for index in range(len(shortest)):
            begun = time.perf_counter()
            execution.advance()
            if run:
                shortest[index] = min(shortest[index], time.perf_counter() - begun)
    return shortest


def _whole(prepared: PreparedSubNetwork, picture: Picture) -> float:
    shortest = math.inf
    for run in range(_RUNS_EACH_TURN):
        begun = time.perf_counter()
        prepared.run(picture)
        if run:
            shortest = min(shortest, time.perf_counter() - begun)
    return shortest


def _quiet(text: str) -> None:
    """Say nothing of graphs that are made for a measurement."""
