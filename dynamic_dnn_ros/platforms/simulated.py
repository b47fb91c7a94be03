# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A simulated board: a board model with state, on a clock that the caller passes in."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import math

from dynamic_dnn_ros.platforms.activity import FRAMES, ActivityTracker
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


@dataclass(frozen=True)
class _Work:
    """
    What one application does on this board.

    `busy` seconds a second by domain; `factor` by which it is slower here than it reckons;
    `busy_share` of the time for which a frame is in work; `share` of a frame's time on its
    processor; `latency` of a frame, s, infinite where it did not say how many it served.
    """

    name: str
    instance: str
    processor: str
    busy: Mapping[str, float]
    factor: float
    busy_share: float
    share: float
    latency: float


@dataclass(frozen=True)
class _State:
    """Own and foreign utilisation, and their sum, a domain; power in W a rail."""

    utilisation: Mapping[str, tuple[float, float]]
    total: Mapping[str, float]
    power: Mapping[str, float]


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
        self._work: list[_Work] | None = None
        self._work_until = now
        self._state: _State | None = None
        self._time = now
        self._contended = now
        self._read_at = self._granted.copy()
        self._regulate(now)

    def set_foreign_load(self, load: Mapping[str, float]) -> None:
        """Change the load that is not ours, 0..1 a domain at its highest frequency."""
        self._foreign = dict(load)
        self._state = None

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
        frames: int = 0,
    ) -> None:
        """
        Take note of what one application reported.

        :param busy: seconds as the model of the board's default power mode gives them, at the
            granted clocks, without the slow-down: that an application waits for others does not
            make its own work longer
        """
        self._activity.observe(now, application, instance, processor, busy, frames)
        self._work = None

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
        self._state = None
        state = self._present()
        return PlatformSample(
            domains=tuple(
                DomainState(
                    name=name,
                    available=row.available,
                    limit_minimum=row.minimum,
                    limit_maximum=self._thermal_limit(name),
                    requested=self._setting.get(name),
                    granted=self._granted[name],
                    utilisation_own=state.utilisation[name][0],
                    utilisation_foreign=state.utilisation[name][1],
                    governor=self._board.domains[name].governor,
                )
                for name, row in self._limits.items()
            ),
            power=state.power,
            total_power_rail=self._board.total_power_rail,
            power_budget=self._board.power_mode.budget,
            temperatures=self._board.zone_temperatures(
                self._temperature, self._granted, state.total
            ),
            memory={'total': self._board.memory_size, 'available': math.nan},
            slow_downs=dict(self._slow_downs),
        )

    def _advance(self, now: float) -> None:
        while now - self._time > 1e-9:
            end = min(now, self._time + _LONGEST_STEP, *self._next_step.values())
            duration, self._time = max(end - self._time, 0.0), end
            state = self._present()
            power = state.power[self._board.total_power_rail]
            self._temperature = self._board.thermal.advance(self._temperature, power, duration)
            self._throttle(state.total)
            self._regulate(end)
        self._contend(now)

    def _applications(self) -> list[_Work]:
        """Return what applications do, with this board's bias and power mode."""
        if self._work is None or self._time >= self._work_until:
            self._work = []
            # One that falls silent is noticed a little late, which changes nothing.
            self._work_until = self._time + _LONGEST_STEP
            activities = list(self._activity.applications(self._time))
            self._biases = {
                name: self._biases.get(name) or self._board.bias(self._seed, name)
                for name, *_ in activities
            }
            for name, instance, processor, rates in activities:
                factor = self._biases[name]
                busy = {domain: rate * factor for domain, rate in rates.items()}
                frames = busy.pop(FRAMES, 0.0) / factor
                total = busy.get('cpu', 0.0)
                if processor != 'cpu':
                    total += busy.get(processor, 0.0)
                missing = 1.0 / self._board.power_mode.gpu_share - 1.0
                if missing and processor == 'gpu':
                    # The mode powers a part of the GPU; applications reckon with all of it.
                    more = (busy.get('gpu', 0.0) - busy.get('memory', 0.0)) * missing
                    busy['gpu'] = busy.get('gpu', 0.0) + more
                    factor *= (total + more) / total if total else 1.0
                    total += more
                latency = total / frames if frames else math.inf
                share = busy.get(processor, 0.0) / total if total else 0.0
                self._work.append(
                    _Work(name, instance, processor, busy, factor, total, share, latency)
                )
            self._state = None
        return self._work

    def _present(self) -> _State:
        """Return utilisation and power, with the work of the last reading."""
        applications = self._applications()
        if self._state is None:
            utilisation = {}
            for name, granted in self._granted.items():
                work = sum(each.busy.get(name, 0.0) for each in applications)
                own = min(1.0, work / self._board.units(name) * self._read_at[name] / granted)
                utilisation[name] = (own, min(1.0 - own, self._foreign_load(name)))
            total = {name: own + foreign for name, (own, foreign) in utilisation.items()}
            power = self._board.power(self._granted, total)
            self._state = _State(utilisation, total, power)
        return self._state

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
        chosen = self._granted.copy()
        for name, row in self._limits.items():
            due = now >= self._next_step[name] - 1e-9
            setting = self._setting.get(name)
            low = setting.minimum if setting else row.minimum
            high = min(setting.maximum if setting else row.maximum, self._thermal_limit(name))
            first = bisect_left(row.available, min(low, high))
            table = row.available[first : bisect_right(row.available, high)]
            if due:
                governor = self._governors[name]
                self._next_step[name] = now + self._intervals[name]
                busy = self._busiest_unit(name, self._present().utilisation[name])
                governor.observe(self._intervals[name], busy, self._granted[name])
                chosen[name] = governor.choose(chosen[name], table)
            chosen[name] = min(max(chosen[name], table[0]), table[-1])
        if chosen != self._granted:
            self._granted = chosen
            self._state = None

    def _busiest_unit(self, domain: str, utilisation: tuple[float, float]) -> float:
        """Return the load that a governor sees: that of the busiest core, where there are many."""
        own, foreign = utilisation
        if self._board.units(domain) > 1:
            own = max((each.busy.get(domain, 0.0) for each in self._applications()), default=0.0)
            own *= self._read_at[domain] / self._granted[domain]
        return min(1.0, own + foreign)

    def _contend(self, now: float) -> None:
        """
        Let slow-downs follow what applications and other load take from each other.

        Streams of one process take turns by themselves, so these hold nothing from each other.
        """
        applications = self._applications()
        targets = {}
        for own in applications:
            contention = self._board.contention_on(own.processor)
            held = [
                contention.share(own.share, other.share, own.latency)
                * min(1.0, other.busy_share * self._held(other))
                for other in applications
                if other.instance != own.instance and other.processor == own.processor
            ]
            foreign = 0.0
            if own.processor in self._limits:
                foreign = min(HIGHEST_LOAD, self._foreign_load(own.processor))
            targets[own.name] = own.factor * contention.slow_down(own.share, held, foreign)
        weight = 1.0 - math.exp(-(now - self._contended) / SETTLING)
        self._contended = now
        for name in set(self._slow_downs) - set(targets):
            del self._slow_downs[name]
        for own in applications:
            last = self._slow_downs.get(own.name, own.factor)
            self._slow_downs[own.name] = last + weight * (targets[own.name] - last)

    def _held(self, application: _Work) -> float:
        """Return by how much others slow an application down at present, a factor."""
        return self._slow_downs.get(application.name, application.factor) / application.factor
