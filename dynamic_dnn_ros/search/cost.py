# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What sub-networks cost, measured with the engine that will serve them."""

from __future__ import annotations

import abc
from collections.abc import Sequence
import dataclasses
import time
from typing import Any

import numpy as np
from tqdm import tqdm

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, Weights
from dynamic_dnn_ros.bundles.writer import weights_content
from dynamic_dnn_ros.engines.automatic import open_engine
from dynamic_dnn_ros.engines.contract import Picture, PreparedSubNetwork
from dynamic_dnn_ros.networks.contract import Arrays, DynamicNetwork
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.platforms.contract import Platform
from dynamic_dnn_ros.platforms.hardware import hardware_name
from dynamic_dnn_ros.platforms.registry import AUTOMATIC, PlatformOptions, make_platform
from dynamic_dnn_ros.profiling.recorder import Recorder, has_rail
from dynamic_dnn_ros.search.errors import SearchError
from dynamic_dnn_ros.search.pareto import Values
from dynamic_dnn_ros.search.settings import CostMeasure, SearchSettings

_RUNS_EACH_TURN = 5
#: Of a turn that measures energy: long enough for a rail to be read about ten times.
_SECONDS_EACH_TURN = 0.5


class CostMeter(abc.ABC):
    """Measures several sub-networks in turns, so that disturbances hit all of them alike."""

    #: What is measured, and in which unit.
    name: str
    unit: str
    processor: str

    @property
    @abc.abstractmethod
    def conditions(self) -> str:
        """Return what the costs depend on besides the sub-network: costs compare within one."""

    @abc.abstractmethod
    def measure(
        self, entries: Sequence[tuple[Any, Arrays]], turns: int, quiet: bool = False
    ) -> Values:
        """
        Return the cost of each entry in each turn, turns x entries.

        :param entries: configurations with their batch-norm statistics.
        """


class EngineMeter(CostMeter):
    """Prepares sub-networks with an engine and gives each its turns, in an order redrawn."""

    def __init__(
        self,
        bundle: Bundle,
        network: DynamicNetwork[Any],
        settings: SearchSettings,
        machine: str,
    ) -> None:
        """
        Check that the engine can serve the bundle here.

        :param machine: names this machine in the conditions.
        :raises EngineError: for an engine that is unknown, or whose package is not installed.
        :raises SearchError: for a processor that the engine does not have here.
        """
        self._bundle = bundle
        self._network = network
        self._settings = settings
        self._shared = bundle.weights().network
        engine = open_engine(settings.engine, bundle, settings.threads)
        self.processor = settings.processor or engine.processors[0]
        if self.processor not in engine.processors:
            raise SearchError(
                f'search.processor is {settings.processor!r}: engine {settings.engine!r} has '
                f'{", ".join(engine.processors)} here'
            )
        self._conditions = (
            f'{self.name} of one picture with engine {settings.engine} on {self.processor}, '
            f'{settings.threads} thread(s), {machine}'
        )

    @property
    def conditions(self) -> str:
        """Return engine, processor, threads and machine."""
        return self._conditions

    def measure(
        self, entries: Sequence[tuple[Any, Arrays]], turns: int, quiet: bool = False
    ) -> Values:
        """Return the cost of each entry in each turn, turns x entries."""
        prepared = self._prepare(entries)
        pictures = [_picture(each.sub_network.size) for each in prepared]
        costs = np.empty((turns, len(prepared)))
        generator = np.random.default_rng(0)
        for turn in tqdm(range(turns), desc=f'  {self.name}', disable=quiet, leave=False):
            for index in generator.permutation(len(prepared)):
                prepared[index].run(pictures[index])  # The caches hold another one's weights.
                costs[turn, index] = self._turn(prepared[index], pictures[index])
        return costs

    @abc.abstractmethod
    def _turn(self, prepared: PreparedSubNetwork, picture: Picture) -> float:
        """Return the cost of one picture, from a few runs."""

    def _prepare(self, entries: Sequence[tuple[Any, Arrays]]) -> list[PreparedSubNetwork]:
        identifiers = [f'c{index}' for index in range(len(entries))]
        sub_networks = tuple(
            SubNetwork(
                id=identifier,
                configuration=configuration.to_mapping(),
                size=configuration.size,
                accuracy=0.0,
                multiply_adds=self._network.multiply_adds(configuration),
                parameters=self._network.parameter_count(configuration),
                layers=self._network.layer_count(configuration),
            )
            for identifier, (configuration, _) in zip(identifiers, entries)
        )
        statistics = {identifier: arrays for identifier, (_, arrays) in zip(identifiers, entries)}
        candidates = dataclasses.replace(
            self._bundle,
            manifest=dataclasses.replace(
                self._bundle.manifest, sub_networks=sub_networks, profiles=()
            ),
            profiles=(),
            weights_content=weights_content(Weights(self._shared, statistics)),
        )
        engine = open_engine(self._settings.engine, candidates, self._settings.threads)
        return [engine.prepare(entry, self.processor) for entry in sub_networks]


class LatencyMeter(EngineMeter):
    """Seconds of one picture; preprocessing to the network's size is not in it."""

    name = 'latency'
    unit = 's'

    def _turn(self, prepared: PreparedSubNetwork, picture: Picture) -> float:
        latencies = []
        for _ in range(_RUNS_EACH_TURN):
            start = time.perf_counter()
            prepared.run(picture)
            latencies.append(time.perf_counter() - start)
        return float(np.median(latencies))


class EnergyMeter(EngineMeter):
    """Joules of one picture: the integral of the platform's power rail, idle power included."""

    name = 'energy'
    unit = 'J'

    def __init__(
        self,
        bundle: Bundle,
        network: DynamicNetwork[Any],
        settings: SearchSettings,
        machine: str,
        platform: Platform,
    ) -> None:
        """
        See the base class.

        :raises SearchError: where the platform has no power rail.
        """
        super().__init__(bundle, network, settings, machine)
        self._platform = platform
        if not has_rail(platform.read(time.perf_counter())):
            raise SearchError(
                f'search.objective is energy, but platform {platform.id!r} has no power rail '
                "that can be read here: set it to 'latency'"
            )

    def _turn(self, prepared: PreparedSubNetwork, picture: Picture) -> float:
        runs = 0
        with Recorder(self._platform) as recorder:
            start = now = time.perf_counter()
            while now - start < _SECONDS_EACH_TURN:
                prepared.run(picture)
                runs += 1
                now = time.perf_counter()
        return recorder.energy(start, now) / runs


def make_meter(
    bundle: Bundle, network: DynamicNetwork[Any], settings: SearchSettings
) -> CostMeter:
    """
    Return what measures the objective of the settings on this computer.

    :raises EngineError: for an engine that is unknown, or whose package is not installed.
    :raises SearchError: for a processor or a power rail that is not here.
    """
    machine = hardware_name()
    if settings.objective is CostMeasure.ENERGY:
        platform = make_platform(AUTOMATIC, time.perf_counter(), PlatformOptions())
        return EnergyMeter(bundle, network, settings, machine, platform)
    return LatencyMeter(bundle, network, settings, machine)


def _picture(size: Size) -> Picture:
    return np.full((*size, 3), 127, np.uint8)
