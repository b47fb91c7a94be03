# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A simulated board frame by frame: clocks, governors, time sharing, power, heat.

Between two events nothing changes: every frame in work advances through its parts in proportion,
at a rate that clocks and time sharing give. So a clock that changes in the middle of a frame
takes effect there, and energy is exact. `platforms/simulated.py` is the same board for real nodes,
which report mean busy times only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
import math

from dynamic_dnn_ros.management.decisions import DomainFrequency
from dynamic_dnn_ros.platforms.board_model import BoardModel, MeasuredNetwork, NetworkCost
from dynamic_dnn_ros.platforms.governors import Governor, make_governor

HIGHEST_LOAD = 0.95
"""Load of others on a processor beyond which it is not counted: a frame still gets through."""

THERMAL_PERIOD = 0.25
"""Seconds between two looks at the temperature."""

FOREIGN_PERIOD = 0.05
"""Seconds that other load may lag behind what it has to do: a control loop of 20 Hz."""


class Work:
    """
    One network at one setting: its latency, s, and what it keeps busy.

    `shares` of the latency for which each domain is busy; `activity` the same for power, of each
    domain and accelerator; `busy` seconds by domain.
    """

    __slots__ = ('activity', 'busy', 'latency', 'parts', 'shares')

    def __init__(
        self,
        board: BoardModel,
        cost: NetworkCost | MeasuredNetwork,
        processor: str,
        frequencies: Mapping[str, float],
        places: Sequence[str],
    ) -> None:
        """Ask the board model."""
        self.parts = parts = board.parts(cost, processor, frequencies)
        self.latency = parts.total
        self.busy = parts.busy()
        active = parts.activity()
        self.shares = tuple(self.busy.get(name, 0.0) / self.latency for name in board.domains)
        self.activity = tuple(active.get(name, 0.0) / self.latency for name in places)


class FrameInWork:
    """
    One frame on its way.

    `remaining` of 1, at `rate` a second; `factor` by which it is slower than the model, `path`
    the share of the network's cost that its picture takes.
    """

    __slots__ = (
        'cost',
        'factor',
        'finish',
        'path',
        'processor',
        'rate',
        'remaining',
        'slow_down',
        'work',
    )

    def __init__(
        self,
        cost: NetworkCost | MeasuredNetwork,
        processor: str,
        factor: float,
        path: float = 1.0,
    ) -> None:
        """Begin with all of it to do."""
        self.cost = cost
        self.processor = processor
        self.factor = factor
        self.path = path
        self.remaining = 1.0
        self.rate = 0.0
        self.finish = math.inf
        self.slow_down = 1.0
        self.work: Work

    @property
    def busy(self) -> Mapping[str, float]:
        """Return for how long it kept each domain busy, s, at the clocks that it ended with."""
        if self.path == 1.0:
            return self.work.busy
        return {name: seconds * self.path for name, seconds in self.work.busy.items()}


class BoardInTime:
    """
    The state of a board in simulated time. `advance` moves it, everything else acts at `now`.

    :param governors: by domain, in place of the board's own
    """

    def __init__(self, board: BoardModel, governors: Mapping[str, str] | None = None) -> None:
        """Begin at time 0, cold and idle, at the lowest clocks."""
        self.board = board
        self.now = 0.0
        self.domains = tuple(board.domains)
        self.places = (*self.domains, *board.accelerators)
        self._index = {name: index for index, name in enumerate(self.domains)}
        self._place_units = [board.units(name) for name in self.places]
        self._units = [board.units(name) for name in self.domains]
        self._highest = [board.domains[name].frequencies[-1] for name in self.domains]
        names = {name: domain.governor for name, domain in board.domains.items()}
        self.governor_names = {**names, **(governors or {})}
        self._governors: list[Governor] = [
            make_governor(self.governor_names[name], self._highest[i], shared=self._units[i] > 1)
            for i, name in enumerate(self.domains)
        ]
        self._next_choice = [governor.period for governor in self._governors]
        self._choosing = math.inf
        self._setting: dict[str, tuple[float, float]] = {}
        self._held: dict[str, float] = {}
        self._offered: list[tuple[float, ...]] = []
        self._tables: list[tuple[float, ...]] = []
        self._limits: list[tuple[float, float]] = []
        self.frames: list[FrameInWork] = []
        self.foreign = [0.0] * len(self.domains)
        self.polling = [0.0] * len(self.domains)
        self._works: dict[tuple[int, str, tuple[float, ...]], Work] = {}
        self._powers: dict[tuple[float, ...], tuple[tuple[float, ...], list[tuple[float, ...]]]]
        self._powers = {}
        self._thermal = board.thermal
        self.temperature = self._thermal.ambient
        self._next_heat = THERMAL_PERIOD
        self._heat = 0.0
        self._next_throttle = 0.0
        self.throttled = [0] * len(self.domains)
        self.rails = tuple(board.power(self._lowest(), {}))
        self._total_rail = self.rails.index(board.total_power_rail)
        self.energy = [0.0] * len(self.rails)
        self.power: tuple[float, ...] = ()
        self.own = [0.0] * len(self.domains)
        self.activity: tuple[float, ...] = (0.0,) * len(self.places)
        self.demand = [0.0] * len(self.domains)
        self.own_seconds = [0.0] * len(self.domains)
        self.foreign_seconds = [0.0] * len(self.domains)
        self._seen = [0.0] * len(self.domains)
        self.backlog = [0.0] * len(self.domains)
        self.foreign_time = 0.0
        self.foreign_late = 0.0
        self.granted = tuple(self._lowest().values())
        self.changes = 0
        self.set_power_mode(board)

    # What happens to it.

    def apply(self, setting: Sequence[DomainFrequency] | None) -> None:
        """Take ranges of the frequencies, or none to leave them to the governors."""
        self._setting = {d.name: (d.minimum, d.maximum) for d in setting or ()}
        self._regulate()

    def hold(self, clocks: Mapping[str, float]) -> None:
        """
        Let somebody else hold domains at frequencies, Hz; settings and governors leave them alone.

        :param clocks: by domain; the nearest that is offered is taken
        """
        self._held = dict(clocks)
        self._regulate()

    def set_foreign(
        self, load: Mapping[str, float], polling: Mapping[str, float] | None = None
    ) -> None:
        """
        Change the load that is not ours.

        :param load: share of each domain's highest clock of all
        :param polling: share of each domain at every clock, of programs that wait by polling
        """
        self.foreign = [load.get(name, 0.0) for name in self.domains]
        self.polling = [(polling or {}).get(name, 0.0) for name in self.domains]
        self._refresh()

    def set_cooling(self, ambient: float | None = None, resistance: float | None = None) -> None:
        """Change the temperature around the board, degrees Celsius, or its cooling, K/W."""
        if ambient is not None:
            self._thermal = replace(self._thermal, ambient=ambient)
        if resistance is not None:
            self._thermal = replace(self._thermal, resistance=resistance)

    def set_power_mode(self, board: BoardModel) -> None:
        """Take the limits of the same board in another power mode."""
        self.board = board
        self._units = [board.units(name) for name in self.domains]
        self._place_units = [board.units(name) for name in self.places]
        rows = {row.name: row for row in board.limits()}
        self._offered = [rows[name].available for name in self.domains]
        self._works.clear()
        self._powers.clear()
        self._regulate()

    def begin(self, frame: FrameInWork) -> None:
        """Let work on a frame begin."""
        self.frames.append(frame)
        self._refresh()

    def end(self, frame: FrameInWork) -> None:
        """Take a frame off."""
        self.frames.remove(frame)
        self._refresh()

    # Time.

    def next_event(self) -> float:
        """Return when something happens here by itself at the earliest."""
        return min(self._choosing, self._next_heat)

    def advance(self, now: float) -> None:
        """Let time pass in which nothing changes, to `next_event` at most."""
        duration = now - self.now
        if duration <= 0.0:
            return
        self.now = now
        for index, watts in enumerate(self.power):
            self.energy[index] += watts * duration
        for frame in self.frames:
            frame.remaining -= frame.rate * duration
        late = False
        foreign = False
        for index, demand in enumerate(self.demand):
            self.own_seconds[index] += self.own[index] * duration
            self.foreign_seconds[index] += demand * duration
            if demand > 0.0:
                foreign = True
                # What others get: all that we leave, their fair share at least.
                sharing = 1 + sum(f.processor == self.domains[index] for f in self.frames)
                capacity = max(1.0 - self.own[index], 1.0 / sharing)
                behind = max(self.backlog[index] + (demand - capacity) * duration, 0.0)
                self.backlog[index] = min(behind, 1.0)
                late = late or behind > FOREIGN_PERIOD
            governor = self._governors[index]
            if self._limits[index][0] < self._limits[index][1]:
                governor.observe(duration, self._seen[index], self.granted[index])
        if foreign:
            self.foreign_time += duration
            if late:
                self.foreign_late += duration
        self._heat += self.power[self._total_rail] * duration

    def happen(self) -> None:
        """Let governors and the thermal limit act that are due now."""
        if self._next_heat <= self.now + 1e-9:
            self._warm()
        if self._choosing <= self.now + 1e-9:
            granted = list(self.granted)
            for index, due in enumerate(self._next_choice):
                if due <= self.now + 1e-9:
                    table = self._tables[index]
                    granted[index] = self._governors[index].choose(granted[index], table)
            chosen = tuple(granted)
            if chosen != self.granted:
                self.granted = chosen
                self.changes += 1
                self._refresh()
            else:
                self._schedule()

    def temperatures(self) -> dict[str, float]:
        """Return the temperature of each zone, degrees Celsius."""
        frequencies = dict(zip(self.domains, self.granted))
        return self.board.zone_temperatures(
            self.temperature, frequencies, dict(zip(self.places, self.activity))
        )

    def limit(self, index: int) -> float:
        """Return the highest frequency that power mode and temperature allow a domain, Hz."""
        offered = self._offered[index]
        return offered[-1 - min(self.throttled[index], len(offered) - 1)]

    def offered(self, index: int) -> tuple[float, ...]:
        """Return the frequencies of a domain in the power mode, Hz."""
        return self._offered[index]

    def settable(self, index: int) -> tuple[float, ...]:
        """Return the frequencies to which a domain can be set, Hz; none where it is held."""
        return () if self.domains[index] in self._held else self._offered[index]

    def requested(self, name: str) -> tuple[float, float] | None:
        """Return the range that a setting asked for, Hz, or none."""
        return self._setting.get(name)

    def work(
        self,
        cost: NetworkCost | MeasuredNetwork,
        processor: str,
        granted: tuple[float, ...] | None = None,
    ) -> Work:
        """Return what a sub-network comes to at a setting, the present one by default."""
        at = self.granted if granted is None else granted
        key = (id(cost), processor, at)
        found = self._works.get(key)
        if found is None:
            found = Work(self.board, cost, processor, dict(zip(self.domains, at)), self.places)
            self._works[key] = found
        return found

    def power_at(self, granted: tuple[float, ...], activity: Sequence[float]) -> tuple[float, ...]:
        """
        Return the power of each rail, W, at a setting; it is linear in activity.

        :param activity: of each of `places`, as `BoardModel.power` takes it
        """
        found = self._powers.get(granted)
        if found is None:
            frequencies = dict(zip(self.domains, granted))
            idle = tuple(self.board.power(frequencies, {}).values())
            slopes = [
                tuple(
                    busy - base
                    for busy, base in zip(
                        self.board.power(frequencies, {name: 1.0}).values(), idle
                    )
                )
                for name in self.places
            ]
            found = self._powers[granted] = (idle, slopes)
        idle, slopes = found
        power = list(idle)
        for share, slope in zip(activity, slopes):
            if share > 0.0:
                for index, watts in enumerate(slope):
                    power[index] += watts * share
        return tuple(power)

    # How it is done.

    def _lowest(self) -> dict[str, float]:
        return {row.name: row.available[0] for row in self.board.limits()}

    def _regulate(self) -> None:
        """Take what may be chosen anew after a setting, a power mode or heat changed it."""
        tables, limits, granted = [], [], []
        for index, name in enumerate(self.domains):
            offered, highest = self._offered[index], self.limit(index)
            low, high = self._setting.get(name, (offered[0], offered[-1]))
            high = max(min(high, highest), offered[0])
            low = min(max(low, offered[0]), high)
            held = self._held.get(name)
            if held is not None:
                low = high = _nearest(offered, held)
            table = tuple(f for f in offered if low * 0.999 <= f <= high * 1.001)
            if not table:  # between two steps of the table: the next one above, as the driver does
                above = [f for f in offered if f >= low]
                table = (above[0] if above else offered[-1],)
            tables.append(table)
            limits.append((table[0], table[-1]))
            granted.append(min(max(self.granted[index], table[0]), table[-1]))
        self._tables, self._limits = tables, limits
        chosen = tuple(granted)
        if chosen != self.granted:
            self.granted = chosen
            self.changes += 1
        self._refresh()

    def _refresh(self) -> None:
        """Compute rates, utilisation and power anew after anything has changed."""
        frames, domains = self.frames, self.domains
        demand = [
            (share * highest / clock if share else 0.0) + polling
            for share, highest, clock, polling in zip(
                self.foreign, self._highest, self.granted, self.polling
            )
        ]
        own = [0.0] * len(domains)
        activity = [0.0] * len(self.places)
        busiest = 0.0
        for frame in frames:
            frame.work = self.work(frame.cost, frame.processor)
        for frame in frames:
            place = self._index.get(frame.processor)
            foreign = min(HIGHEST_LOAD, demand[place]) if place is not None else 0.0
            frame.slow_down = 1.0
            if foreign or len(frames) > 1:
                contention = self.board.contention_on(frame.processor)
                hold_ups = [
                    contention.hold_up(frame.work.parts, other.work.parts)
                    for other in frames
                    if other is not frame
                ]
                share = frame.work.parts.processor_share
                frame.slow_down = contention.slow_down(share, hold_ups, foreign)
            frame.rate = 1.0 / (frame.work.latency * frame.factor * frame.slow_down * frame.path)
            frame.finish = self.now + max(frame.remaining, 0.0) / frame.rate
            for index, share in enumerate(frame.work.shares):
                share /= frame.slow_down
                own[index] += share / self._units[index]
                if self._units[index] > 1:
                    busiest = max(busiest, min(share, 1.0))
            for index, share in enumerate(frame.work.activity):
                activity[index] += share / (frame.slow_down * self._place_units[index])
        self.own = [min(share, 1.0) for share in own]
        self.demand = demand
        for index, others in enumerate(demand):
            if others:
                activity[index] += min(others, 1.0 - self.own[index])
        self.activity = tuple(activity)
        self.power = self.power_at(self.granted, activity)
        self._seen = [
            # One of several cores that polls is busy all the time.
            min(1.0, (busiest if units > 1 else share) + foreign + (units > 1) * units * polling)
            for units, share, foreign, polling in zip(self._units, self.own, demand, self.polling)
        ]
        self._schedule()

    def _schedule(self) -> None:
        """Find out when a governor chooses next something that may differ."""
        choosing = math.inf
        for index, (low, high) in enumerate(self._limits):
            if low == high:
                self._next_choice[index] = math.inf
                continue
            governor = self._governors[index]
            wait = governor.unchanged_for(
                self.granted[index], self._seen[index], self._tables[index]
            )
            period = governor.period
            if wait == math.inf:
                self._next_choice[index] = math.inf
                continue
            earliest = max(self.now + wait, math.floor(self.now / period + 1e-6) * period + period)
            due = math.ceil(earliest / period - 1e-6) * period
            self._next_choice[index] = due
            choosing = min(choosing, due)
        self._choosing = choosing

    def _warm(self) -> None:
        thermal = self._thermal
        mean = self._heat / THERMAL_PERIOD
        self._heat = 0.0
        self._next_heat = self.now + THERMAL_PERIOD
        self.temperature = thermal.advance(self.temperature, mean, THERMAL_PERIOD)
        if self.now < self._next_throttle - 1e-9:
            return
        hottest = max(self.temperatures().values(), default=self.temperature)
        step = (hottest > thermal.throttle_at) - (hottest < thermal.release_at)
        if not step:
            return
        before = list(self.throttled)
        for name in thermal.throttled_domains:
            index = self._index[name]
            most = len(self._offered[index]) - 1
            self.throttled[index] = min(max(before[index] + step, 0), most)
        if before != self.throttled:
            self._next_throttle = self.now + thermal.throttle_interval
            self._regulate()


def _nearest(offered: Sequence[float], hertz: float) -> float:
    return min(offered, key=lambda each: abs(each - hertz))
