# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a measured profile takes, in which order, and what each step of it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
import json
import math
import random
from typing import Any

import numpy as np

from dynamic_dnn_ros.platforms.contract import DomainLimits
from dynamic_dnn_ros.profiling.settings import Setting, chosen_settings, grid
from dynamic_dnn_ros.profiling.timing import Latencies

ROUNDS = 4
"""Rounds in which all sub-networks take turns at all settings: drift hits all of them alike."""

MINIMUM_RUNS = 60
"""Runs a point at least, however slow a sub-network is."""

WARM_UP_RUNS = 3
"""Runs before those that count, whenever another sub-network or another clock had its turn."""


class VisitKind(Enum):
    """What happens in a visit: a point is measured, the reference, or nothing but the board."""

    RUN = 'run'
    CONTROL = 'control'
    IDLE = 'idle'


@dataclass(frozen=True)
class Place:
    """
    One step of a round.

    `setting` indexes the plan's settings. `sub_network` is empty where the board idles.
    `position` tells the controls at the beginning and at the end of a round apart.
    """

    kind: VisitKind
    setting: int
    processor: str = ''
    sub_network: str = ''
    position: int = 0


@dataclass(frozen=True)
class Visit:
    """
    What was found in one step: `attempt` is 1 where its round was measured again.

    Latencies and `duration` in seconds; `energy` of the whole board over the duration, J;
    clocks that were `granted` at its end, Hz; temperatures in degrees Celsius; the load of
    others, 0..1 a domain, known while the board idles. What cannot be read is NaN or missing.
    """

    round: int
    attempt: int
    place: Place
    latencies: Latencies
    duration: float
    energy: float
    granted: Mapping[str, float]
    temperatures: Mapping[str, float]
    foreign_utilisation: Mapping[str, float]

    @property
    def key(self) -> tuple[int, int, Place]:
        """Return what tells this step from all others of a plan."""
        return self.round, self.attempt, self.place

    def to_mapping(self) -> dict[str, Any]:
        """Return the visit as plain JSON data."""
        place = self.place
        return {
            'round': self.round,
            'attempt': self.attempt,
            'kind': place.kind.value,
            'setting': place.setting,
            'processor': place.processor,
            'sub_network': place.sub_network,
            'position': place.position,
            'latencies': [round(float(latency), 9) for latency in self.latencies],
            'duration': self.duration,
            'energy': None if math.isnan(self.energy) else self.energy,
            'granted': _plain(self.granted),
            'temperatures': _plain(self.temperatures),
            'foreign_utilisation': _plain(self.foreign_utilisation),
        }

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Visit:
        """
        Build a visit from JSON data.

        :raises KeyError, TypeError, ValueError: when it is none
        """
        return cls(
            round=int(mapping['round']),
            attempt=int(mapping['attempt']),
            place=Place(
                kind=VisitKind(mapping['kind']),
                setting=int(mapping['setting']),
                processor=str(mapping['processor']),
                sub_network=str(mapping['sub_network']),
                position=int(mapping['position']),
            ),
            latencies=np.array(mapping['latencies'], dtype=np.float64),
            duration=float(mapping['duration']),
            energy=math.nan if mapping['energy'] is None else float(mapping['energy']),
            granted=dict(mapping['granted']),
            temperatures=dict(mapping['temperatures']),
            foreign_utilisation=dict(mapping['foreign_utilisation']),
        )


def _plain(values: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items() if math.isfinite(value)}


@dataclass(frozen=True)
class MeasurementPlan:
    """
    What is measured, where, and for how long.

    `tables` are the frequencies of `domains`, Hz, ascending; `settings` the part of them that
    is measured, the highest clocks first. `seconds` is for one point in all rounds together,
    `idle_seconds` for one look at the idle board.
    """

    platform: str
    hardware: str
    domains: tuple[str, ...]
    tables: tuple[tuple[float, ...], ...]
    settings: tuple[Setting, ...]
    sub_networks: tuple[str, ...]
    processors: tuple[str, ...]
    seconds: float
    idle_seconds: float
    rail: bool
    seed: int = 0

    @classmethod
    def of(
        cls,
        domains: Sequence[DomainLimits],
        number: int | None = None,
        **others: Any,
    ) -> MeasurementPlan:
        """
        Plan for the domains that can be set.

        :param number: of settings to measure; None: all
        :param others: the other fields
        """
        tables = tuple(row.available for row in domains)
        count = len(grid(tables)) if number is None else number
        return cls(
            domains=tuple(row.name for row in domains),
            tables=tables,
            settings=chosen_settings(tables, count),
            **others,
        )

    @property
    def grid(self) -> tuple[Setting, ...]:
        """Return all settings, measured or not, the lowest clocks first."""
        return grid(self.tables)

    @property
    def control(self) -> Place:
        """Return the reference: the middle sub-network at the highest clocks."""
        middle = self.sub_networks[len(self.sub_networks) // 2]
        return Place(VisitKind.CONTROL, 0, self.processors[0], middle)

    def setting(self, place: Place) -> dict[str, float]:
        """Return the clocks of a step, Hz."""
        return dict(zip(self.domains, self.settings[place.setting]))

    def steps(self, round_number: int, attempt: int) -> tuple[Place, ...]:
        """
        Return the steps of a round: settings and sub-networks in random order, controls outside.

        The idle board is looked at once a round, for the load of others; where there is a power
        rail at each setting. The same plan gives the same order, so that a measurement can go on
        after a kill.
        """
        generator = random.Random(f'{self.seed} {round_number} {attempt}')
        control = self.control
        settings = list(range(len(self.settings)))
        generator.shuffle(settings)
        places = [control]
        for setting in settings:
            if self.rail or setting == control.setting:
                places.append(Place(VisitKind.IDLE, setting))
            runs = [
                Place(VisitKind.RUN, setting, processor, sub_network)
                for processor in self.processors
                for sub_network in self.sub_networks
            ]
            generator.shuffle(runs)
            places += runs
        end = Place(
            control.kind, control.setting, control.processor, control.sub_network, position=1
        )
        return (*places, end)

    def enough(self, runs: int, seconds: float) -> bool:
        """Return whether one visit has enough runs, and was long enough, s."""
        return runs * ROUNDS >= MINIMUM_RUNS and seconds * ROUNDS >= self.seconds

    def duration(self, latencies: Mapping[tuple[str, str], float]) -> float:
        """
        Return about how long the measurement takes, s.

        :param latencies: of one run, s, by processor and sub-network
        """
        total = 0.0
        for place in (place for number in range(ROUNDS) for place in self.steps(number, 0)):
            if place.kind is VisitKind.IDLE:
                total += self.idle_seconds
            else:
                latency = latencies[place.processor, place.sub_network]
                total += max(self.seconds, MINIMUM_RUNS * latency) / ROUNDS
        return total

    def to_mapping(self) -> dict[str, Any]:
        """Return the plan as plain JSON data, for comparison with another one's."""
        mapping: dict[str, Any] = json.loads(json.dumps(vars(self)))
        return mapping
