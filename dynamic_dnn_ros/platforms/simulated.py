# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A simulated board: a board model with state, on a clock that the caller passes in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import math

from dynamic_dnn_ros.platforms.activity import ActivityTracker
from dynamic_dnn_ros.platforms.board_model import SIMULATED_SUFFIX, BoardModel
from dynamic_dnn_ros.platforms.contract import (
    DomainLimits,
    DomainRange,
    DomainState,
    LimitsFound,
    Platform,
    PlatformKind,
    PlatformSample,
)
from dynamic_dnn_ros.platforms.governors import Governor, make_governor

HIGHEST_LOAD = 0.95
"""Load of others on a processor beyond which it is not counted: a frame still gets through."""

SETTLING = 0.3
"""Seconds in which a slow-down follows its cause: damps applications that slow each other."""

_LONGEST_STEP = 0.05

_CHOICE_INTERVAL = 0.01
"""Seconds between two choices of a governor at least: mean utilisation shows nothing sooner."""


class SimulatedPlatform(Platform):
    """
    Makes utilisation, power, temperature and slow-downs of the busy times that are reported.

    Without a setting the domains' usual governors run: schedutil on the CPU, nvhost_podgov on
    the GPU. A setting limits them to its range; where both ends are equal the clock is fixed.
    Above the throttling temperature the throttled domains lose one step of their table after
    the other, whatever was set.
    """

    kind = PlatformKind.SIMULATED

    def __init__(
        self,
        board: BoardModel,
        now: float,
        seed: int = 0,
        foreign_load: Mapping[str, float] | None = None,
    ) -> None:
        """
        Create the board, cold and idle.

        :param seed: of the bias by which this board deviates from its model
        :param foreign_load: load that is not ours, 0..1 a domain at its highest frequency
        """
        self.id = board.name + SIMULATED_SUFFIX
        self.processors = board.processors
        self._board = board
        self._seed = seed
        self._foreign = dict(foreign_load or {})
        self._limits = {row.name: row for row in board.limits()}
        self._setting: dict[str, DomainRange] = {}
        self._governors: dict[str, Governor] = {
            name: make_governor(
                domain.governor, domain.frequencies[-1], shared=board.units(name) > 1
            )
            for name, domain in board.domains.items()
        }
        self._intervals = {
            name: max(governor.period, _CHOICE_INTERVAL)
            for name, governor in self._governors.items()
        }
        self._next_step = {name: now + interval for name, interval in self._intervals.items()}
        self._granted = {name: row.available[0] for name, row in self._limits.items()}
        self._throttled = dict.fromkeys(self._limits, 0)
        self._next_throttle = now
        self._temperature = board.thermal.ambient
        self._activity = ActivityTracker()
        self._slow_downs: dict[str, float] = {}
        self._biases: dict[str, float] = {}
        self._time = now
        self._contended = now
        self._read_at = self._granted.copy()
        self._regulate(now)

    def set_foreign_load(self, load: Mapping[str, float]) -> None:
        """Change the load that is not ours, 0..1 a domain at its highest frequency."""
        self._foreign = dict(load)

    def limits(self) -> tuple[DomainLimits, ...]:
        """Return what may be set in the board's power mode."""
        return tuple(self._limits.values())

    def limits_found(self) -> tuple[LimitsFound, ...]:
        """Return nothing: a simulated board ends with its process."""
        return ()

    def observe(
        self,
        now: float,
        application: str,
        instance: str,
        processor: str,
        busy: Mapping[str, float],
    ) -> None:
        """
        Take note of what one application reported.

        :param busy: seconds as the board model gives them, at the granted clocks, without the
            slow-down: that an application waits for others does not make its own work longer
        """
        self._activity.observe(now, application, instance, processor, busy)

    def apply(self, now: float, setting: Sequence[DomainRange]) -> tuple[DomainRange, ...]:
        """Put a setting in force; see `Platform`. Above the throttling limit less is granted."""
        self._advance(now)
        self._setting = {row.name: row for row in setting}
        self._regulate(now)
        return tuple(
            DomainRange(
                row.name,
                min(row.minimum, self._thermal_limit(row.name)),
                min(row.maximum, self._thermal_limit(row.name)),
            )
            for row in setting
        )

    def restore(self, now: float) -> None:
        """Give the domains back to their governors, within the limits of the power mode."""
        self._advance(now)
        self._setting = {}
        self._regulate(now)

    def read(self, now: float) -> PlatformSample:
        """Return the state at a time, which is not before that of the last call."""
        self._advance(now)
        self._read_at = self._granted.copy()
        utilisation = self._utilisation()
        total = {name: min(1.0, own + foreign) for name, (own, foreign) in utilisation.items()}
        return PlatformSample(
            domains=tuple(
                DomainState(
                    name=name,
                    available=row.available,
                    limit_minimum=row.minimum,
                    limit_maximum=self._thermal_limit(name),
                    requested=self._setting.get(name),
                    granted=self._granted[name],
                    utilisation_own=utilisation[name][0],
                    utilisation_foreign=utilisation[name][1],
                    governor=self._board.domains[name].governor,
                )
                for name, row in self._limits.items()
            ),
            power=self._board.power(self._granted, total),
            total_power_rail=self._board.total_power_rail,
            temperatures=self._board.zone_temperatures(self._temperature, self._granted, total),
            memory={'total': self._board.memory_size, 'available': math.nan},
            slow_downs=dict(self._slow_downs),
        )

    def _advance(self, now: float) -> None:
        while now - self._time > 1e-9:
            end = min(now, self._time + _LONGEST_STEP, *self._next_step.values())
            duration, self._time = max(end - self._time, 0.0), end
            utilisation = self._utilisation()
            total = {name: min(1.0, sum(both)) for name, both in utilisation.items()}
            power = self._board.power(self._granted, total)[self._board.total_power_rail]
            self._temperature = self._board.thermal.advance(self._temperature, power, duration)
            self._throttle(total)
            self._regulate(end)
        self._contend(now)

    def _bias(self, application: str) -> float:
        if application not in self._biases:
            self._biases[application] = self._board.bias(self._seed, application)
        return self._biases[application]

    def _applications(self) -> list[tuple[str, str, dict[str, float]]]:
        """Return id, processor and busy seconds a second by domain, with this board's bias."""
        return [
            (name, processor, {domain: rate * self._bias(name) for domain, rate in rates.items()})
            for name, processor, rates in self._activity.applications(self._time)
        ]

    def _utilisation(self) -> dict[str, tuple[float, float]]:
        """Return own and foreign utilisation, 0..1, with the work of the last reading."""
        result = {}
        applications = self._applications()
        for name, granted in self._granted.items():
            work = sum(w.get(name, 0.0) for _, _, w in applications) / self._board.units(name)
            own = min(1.0, work * self._read_at[name] / granted)
            result[name] = (own, min(1.0 - own, self._foreign_load(name)))
        return result

    def _foreign_load(self, domain: str) -> float:
        highest = self._limits[domain].available[-1]
        return min(1.0, self._foreign.get(domain, 0.0) * highest / self._granted[domain])

    def _thermal_limit(self, domain: str) -> float:
        available = self._limits[domain].available
        return available[-1 - min(self._throttled[domain], len(available) - 1)]

    def _throttle(self, utilisation: Mapping[str, float]) -> None:
        thermal = self._board.thermal
        if self._time < self._next_throttle:
            return
        zones = self._board.zone_temperatures(self._temperature, self._granted, utilisation)
        hottest = max(zones.values())
        if thermal.release_at <= hottest <= thermal.throttle_at:
            return
        self._next_throttle = self._time + thermal.throttle_interval
        step = 1 if hottest > thermal.throttle_at else -1
        for name in thermal.throttled_domains:
            most = len(self._limits[name].available) - 1
            self._throttled[name] = min(max(self._throttled[name] + step, 0), most)

    def _regulate(self, now: float) -> None:
        """Let each governor that is due choose, inside the setting and the thermal limit."""
        utilisation: dict[str, tuple[float, float]] | None = None
        for name, row in self._limits.items():
            setting = self._setting.get(name)
            low = setting.minimum if setting else row.minimum
            high = min(setting.maximum if setting else row.maximum, self._thermal_limit(name))
            table = [f for f in row.available if min(low, high) <= f <= high]
            due = now >= self._next_step[name] - 1e-9
            if due:
                governor = self._governors[name]
                self._next_step[name] = now + self._intervals[name]
                utilisation = utilisation or self._utilisation()
                busy = self._busiest_unit(name, utilisation[name])
                governor.observe(self._intervals[name], busy, self._granted[name])
                self._granted[name] = governor.choose(self._granted[name], table)
            self._granted[name] = min(max(self._granted[name], table[0]), table[-1])

    def _busiest_unit(self, domain: str, utilisation: tuple[float, float]) -> float:
        """Return the load that a governor sees: that of the busiest core, where there are many."""
        own, foreign = utilisation
        units = self._board.units(domain)
        if units > 1:
            own = max((w.get(domain, 0.0) for _, _, w in self._applications()), default=0.0)
            own *= self._read_at[domain] / self._granted[domain]
        return min(1.0, own + foreign)

    def _contend(self, now: float) -> None:
        """
        Let slow-downs follow what applications take from each other.

        Processor sharing: with a load of others r on a processor, work on it takes
        1 / (1 - r) times as long, but no longer than its share of the applications there.
        """
        applications = self._applications()
        present = {name for name, _, _ in applications}
        targets = {}
        for name, processor, own in applications:
            if processor not in self._limits:  # none of this board: it shares nothing
                targets[name] = self._bias(name)
                continue
            units = self._board.units(processor)
            others = [
                min(1.0, work.get(processor, 0.0) / units)
                for other, other_processor, work in applications
                if other != name and other_processor == processor
            ]
            foreign = min(HIGHEST_LOAD, self._foreign_load(processor))
            load = min(HIGHEST_LOAD, sum(others) + foreign)
            stretch = min(1.0 / (1.0 - load), (1.0 + len(others)) / (1.0 - foreign))
            total = sum(own.get(p, 0.0) for p in self._board.modelled_processors)
            share = own.get(processor, 0.0) / total if total > 0.0 else 0.0
            targets[name] = self._bias(name) * (1.0 + share * (stretch - 1.0))
        weight = 1.0 - math.exp(-(now - self._contended) / SETTLING)
        self._contended = now
        for name in set(self._slow_downs) - present:
            del self._slow_downs[name]
        for name, target in targets.items():
            last = self._slow_downs.get(name, self._bias(name))
            self._slow_downs[name] = last + weight * (target - last)
