# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A board that behaves as profiles say: what was measured, for runs that were recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
import math

import numpy as np

from dynamic_dnn_ros.management.decisions import DomainFrequency
from dynamic_dnn_ros.management.observations import Application, DomainLoad, Load
from dynamic_dnn_ros.management.tables import application_table
from dynamic_dnn_ros.simulation.loop import LOAD_PERIOD

PLATFORM = 'table_simulated'
RAIL = 'total'


@dataclass(frozen=True, eq=False)
class _TableFrame:
    """A frame in work: when it is done, s, and the seconds of its processor that it takes."""

    application: str
    option: tuple[str, str]
    finish: float
    busy: Mapping[str, float]


class TableBoard:
    """
    A board that behaves as the profiles of its applications say, but for bias and jitter.

    A frame takes what the profile says at the clocks with which it begins.

    :param applications: those that it runs, by id
    :param jitter: standard deviation of single frames, as a share of their latency
    :param slow_down: factor for an application at a time; 1 throughout by default
    :param foreign: cycles a second, Hz by domain, that other load takes at a time
    :param seed: of the jitter
    """

    def __init__(
        self,
        applications: dict[str, Application],
        jitter: float = 0.0,
        slow_down: Callable[[str, float], float] | None = None,
        foreign: Callable[[float], dict[str, float]] | None = None,
        seed: int = 0,
    ) -> None:
        """Begin at time 0 at the highest frequencies."""
        self._tables = {name: application_table(a) for name, a in applications.items()}
        self._jitter = jitter
        self._slow_down = slow_down or (lambda _, __: 1.0)
        self._foreign = foreign or (lambda _: {})
        self._random = np.random.default_rng(seed)
        available: dict[str, set[float]] = {}
        for table in self._tables.values():
            for column, name in enumerate(table.domains):
                available.setdefault(name, set()).update(table.hertz[:, column].tolist())
        self._available = {name: tuple(sorted(values)) for name, values in available.items()}
        self.limits = {name: values[-1] for name, values in self._available.items()}
        self.energy = [0.0]
        self._now = 0.0
        self._frames: list[_TableFrame] = []
        self._requested: dict[str, float] | None = None

    # What the loop asks for.

    @property
    def domains(self) -> tuple[str, ...]:
        """Return the frequency domains of all profiles."""
        return tuple(self._available)

    @property
    def granted(self) -> tuple[float, ...]:
        """Return the frequency of each domain, Hz."""
        return tuple(self._frequencies().values())

    def next_event(self) -> float:
        """Return infinity: nothing happens here by itself."""
        return math.inf

    def advance(self, now: float) -> None:
        """Let time pass."""
        duration = now - self._now
        if duration > 0.0:
            self.energy[0] += self._power() * duration
            self._now = now

    def happen(self) -> None:
        """Do nothing: nothing is ever due."""

    def begin(
        self, application: str, sub_network: str, processor: str, factor: float, path: float = 1.0
    ) -> _TableFrame:
        """Take the profiled mean, times the path, slow-down, jitter and time sharing."""
        table, now = self._tables[application], self._now
        option = table.options.index((sub_network, processor))
        mean = float(table.mean[option, table.nearest_row(self._frequencies())])
        spread = max(1 + self._jitter * float(self._random.standard_normal()), 0.3)
        others = sum(frame.option[1] == processor for frame in self._frames)
        slowness = factor * self._slow_down(application, now) * spread
        seconds = mean * slowness * (1 + others) * path
        frame = _TableFrame(
            application, (sub_network, processor), now + seconds, {processor: seconds}
        )
        self._frames.append(frame)
        return frame

    def end(self, work: object) -> None:
        """Take a frame off."""
        self._frames = [frame for frame in self._frames if frame is not work]

    def apply(self, setting: Sequence[DomainFrequency] | None) -> None:
        """Run at the frequencies of a setting, at the highest without one."""
        self._requested = None if setting is None else {d.name: d.maximum for d in setting}

    def temperatures(self) -> dict[str, float]:
        """Return nothing: profiles know of no temperature."""
        return {}

    # What a decider gets to know: everything, exactly and at once.

    def sample(self, now: float, manager: str) -> Load:
        """Return what a platform node would publish."""
        granted, foreign = self._frequencies(), self._foreign(now)
        requested = self._requested or {}
        holder = '' if self._requested is None else manager
        return Load(
            platform=PLATFORM,
            boot_id='simulated',
            period=LOAD_PERIOD,
            domains=tuple(
                DomainLoad(
                    name,
                    values,
                    values[0],
                    self.limits[name],
                    granted[name],
                    utilisation_own=0.0,
                    utilisation_foreign=min(foreign.get(name, 0.0) / granted[name], 1.0),
                    requested_minimum=requested.get(name, 0.0),
                    requested_maximum=requested.get(name, 0.0),
                )
                for name, values in self._available.items()
            ),
            lease_manager=holder,
            lease_remaining=1.0 if holder else 0.0,
            setting_manager=holder,
            monotonic_time=now,
        )

    def latency(self, seconds: float) -> float:
        """Return a latency as it is, s."""
        return seconds

    def delay(self, now: float) -> float:
        """Return nothing: samples arrive at once."""
        return 0.0

    # How it is done.

    def _frequencies(self) -> dict[str, float]:
        requested = self._requested or {}
        return {
            name: min(requested.get(name, math.inf), limit) for name, limit in self.limits.items()
        }

    def _power(self) -> float:
        """Return idle power, and the dynamic power of what runs, W."""
        total, idle, frequencies = 0.0, 0.0, self._frequencies()
        for name, table in self._tables.items():
            row = table.nearest_row(frequencies)
            idle = max(idle, float(table.idle[row]))
            for frame in self._frames:
                if frame.application == name:
                    option = table.options.index(frame.option)
                    total += float(table.added[option, row])
        return idle + total
