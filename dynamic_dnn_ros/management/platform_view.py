# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the manager may do with a platform now: settable frequencies, and load that is not ours."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
import math

import numpy as np

from dynamic_dnn_ros.management.cpu_cores import CpuCores
from dynamic_dnn_ros.management.decisions import PlatformState
from dynamic_dnn_ros.management.observations import DomainLoad, Load
from dynamic_dnn_ros.management.tables import IndexArray, JointTable
from dynamic_dnn_ros.platforms.load_source import LoadSource

FOREIGN_WINDOW = 5.0
"""Seconds for which the highest foreign load counts: it is believed at once, forgotten slowly."""

NEGLIGIBLE_FOREIGN = 0.02
"""Share of a domain below which nobody else is there to be protected."""

SPAN = 1.5
"""Periods of the platform's loads whose clocks count for what was measured over the last one."""

MOST_CLOCKS = 32
"""Of these, that are remembered of a domain."""

RISE = 0.05
"""Share of a domain by which load that is not ours has to rise to ask for a decision at once."""

_MATCH = 1e-3
"""Relative difference within which a profile's frequency is the platform's."""


@dataclass(frozen=True)
class Choice:
    """
    The settings to choose from, as indices into a joint table.

    `controllable` tells whether the clocks can be set; if not, there is the one setting that
    the platform is thought to run at. `domains` are those that a setting names.
    """

    settings: IndexArray
    controllable: bool
    domains: tuple[str, ...]


class PlatformView:
    """
    The last load of one platform and what follows from it.

    `foreign_rose` tells whether the last load showed that others need notably more than before,
    `offer_changed` whether it showed that other settings may be chosen, or that they leave more or
    less of the CPU than was thought.

    :param floors: lowest frequency, Hz, that the operator allows for each domain
    """

    def __init__(self, floors: Mapping[str, float] | None = None) -> None:
        """Begin without a platform."""
        self.load: Load | None = None
        self.foreign_rose = False
        self.offer_changed = False
        self.cores = CpuCores()
        self._floors = dict(floors or {})
        self._source = LoadSource()
        self._foreign: dict[str, deque[tuple[float, float]]] = {}
        self._clocks: dict[str, deque[tuple[float, float]]] = {}
        self._choice: tuple[JointTable, tuple[tuple[object, ...], ...], Choice] | None = None

    def allow(self, floors: Mapping[str, float]) -> None:
        """Keep each domain above another frequency, Hz, from now on."""
        self._floors = dict(floors)
        self._choice = None

    def observe(self, load: Load, now: float) -> bool:
        """
        Take a load; tell whether it asks for a decision at once.

        One that is overtaken, or of another platform while this one is heard, is left out.
        """
        self.foreign_rose = self.offer_changed = False
        before, back = self.load, not self.is_fresh(now)
        if not self._source.takes(
            load.platform, load.instance, load.monotonic_time, load.period, now
        ):
            return False
        self.offer_changed = (
            before is None
            or before.platform != load.platform
            or [_limits(d) for d in before.domains] != [_limits(d) for d in load.domains]
        )
        if before is None or before.platform != load.platform:
            self._foreign.clear()
            self._clocks.clear()
        self.load = load
        cores = self.cores.number
        self.cores.compare(load, now)
        # What a setting leaves of the CPU was reckoned with another number.
        self.offer_changed |= self.cores.number != cores
        for domain in load.domains:
            # It was busy at the clock of the last period: where that has risen since, less.
            cycles = domain.utilisation_foreign * self._lowest_clock(domain, load.period, now)
            samples = self._foreign.setdefault(domain.name, deque())
            if math.isfinite(cycles) and domain.utilisation_foreign >= NEGLIGIBLE_FOREIGN:
                known = max((sample for _, sample in samples), default=0.0)
                self.foreign_rose |= cycles - known > RISE * max(domain.available, default=0.0)
                samples.append((now, cycles))
        # Of domains too that are no longer reported; of those nothing stays.
        for name, samples in list(self._foreign.items()):
            while samples and now - samples[0][0] > FOREIGN_WINDOW:
                samples.popleft()
            if not samples:
                del self._foreign[name]
        for name in self._clocks.keys() - {domain.name for domain in load.domains}:
            del self._clocks[name]
        return self.offer_changed or back

    def _lowest_clock(self, domain: DomainLoad, period: float, now: float) -> float:
        """Return the lowest clock that a domain had in the last period, Hz; NaN: not known."""
        clocks = self._clocks.setdefault(domain.name, deque(maxlen=MOST_CLOCKS))
        if not domain.granted > 0:
            clocks.clear()
            return math.nan
        clocks.append((now, domain.granted))
        while now - clocks[0][0] > SPAN * period:
            clocks.popleft()
        return min(clock for _, clock in clocks)

    def is_fresh(self, now: float) -> bool:
        """Tell whether the platform was heard lately."""
        return self._source.is_fresh(now)

    def state(self, now: float) -> PlatformState:
        """Return whether there is a platform, and whether its load is fresh."""
        if self.load is None:
            return PlatformState.NONE
        return PlatformState.FRESH if self.is_fresh(now) else PlatformState.STALE

    def granted(self) -> dict[str, float]:
        """Return the frequencies that the hardware runs at, Hz by domain, as far as known."""
        domains = self.load.domains if self.load is not None else ()
        return {d.name: d.granted for d in domains if math.isfinite(d.granted) and d.granted > 0}

    def foreign(self) -> dict[str, float]:
        """Return the cycles a second, Hz by domain, that load which is not ours takes."""
        return {
            name: max(cycles for _, cycles in samples) for name, samples in self._foreign.items()
        }

    def choice(self, joint: JointTable, now: float) -> Choice:
        """
        Return the settings of a joint table that may be chosen now.

        A setting counts when each of its frequencies is one that the platform offers, inside the
        board's limits and not below the operator's floor. Domains that cannot be set stay where
        they run. Without fresh load nothing is set.
        """
        domains = {name: self.load.domain(name) for name in joint.domains} if self.load else {}
        settable = tuple(name for name, d in domains.items() if d is not None and d.available)
        if not self.is_fresh(now) or not settable:
            return Choice(self._running(joint, ()), False, ())
        key = tuple(_limits(d) for d in domains.values() if d is not None)
        remembered = self._choice
        if remembered is not None and remembered[0] is joint and remembered[1] == key:
            return remembered[2]
        self._choice = None
        keep = np.ones(len(joint.settings), dtype=bool)
        for column, name in enumerate(joint.domains):
            domain = domains[name]
            if domain is not None and name in settable:
                offered = self._offered(domain)
                frequencies = joint.settings[:, column] * 1e3
                if not len(offered):
                    keep[:] = False
                    break
                distance = np.abs(frequencies[:, None] / offered[None, :] - 1).min(axis=1)
                keep &= distance <= _MATCH
        if not keep.any():
            return Choice(self._running(joint, ()), False, ())
        running = self._running(joint, settable)
        fixed = [i for i, name in enumerate(joint.domains) if name not in settable]
        if fixed:
            keep &= (joint.settings[:, fixed] == joint.settings[running[0], fixed]).all(axis=1)
        chosen = np.flatnonzero(keep)
        if not len(chosen):
            return Choice(running, False, ())
        choice = Choice(chosen, True, settable)
        if not fixed:
            # Where a domain runs that cannot be set, may be different the next time.
            self._choice = joint, key, choice
        return choice

    def snapped(self, name: str, frequency: float) -> float:
        """Return the platform's own figure for a frequency of a profile, Hz."""
        domain = self.load.domain(name) if self.load is not None else None
        if domain is None or not domain.available:
            return frequency
        return min(domain.available, key=lambda offered: abs(offered - frequency))

    def _offered(self, domain: DomainLoad) -> np.ndarray:
        available = np.array(domain.available)
        highest = domain.limit_maximum if domain.limit_maximum > 0 else math.inf
        # A floor above the board's limit cannot be kept: the board's limit is the harder one.
        floor = min(self._floor(domain.name), highest)
        inside = (available <= highest * (1 + _MATCH)) & (
            available >= domain.limit_minimum * (1 - _MATCH)
        )
        above = inside & (available >= floor * (1 - _MATCH))
        if not above.any() and inside.any():
            return np.array([available[inside].max()])
        return available[above]

    def _floor(self, name: str) -> float:
        """Return the floor of a domain, Hz; that of `cpu` is the floor of each cluster, `cpu4`."""
        kind = name.rstrip('0123456789')
        return self._floors.get(name, self._floors.get(kind, 0.0))

    def _running(self, joint: JointTable, settable: tuple[str, ...]) -> IndexArray:
        """Return the setting nearest to what runs, in the domains that cannot be set only."""
        granted = self.granted()
        wanted = joint.settings.max(axis=0, initial=1).astype(np.float64)
        for column, name in enumerate(joint.domains):
            if name in granted and name not in settable:
                wanted[column] = granted[name] / 1e3
        if not joint.domains:
            return np.zeros(1, dtype=np.int64)
        distance = np.abs(np.log(joint.settings / wanted)).sum(axis=1)
        return np.array([int(distance.argmin())], dtype=np.int64)


def _limits(domain: DomainLoad) -> tuple[object, ...]:
    # A limit that is not known, NaN, does not equal itself.
    limits = (domain.limit_minimum, domain.limit_maximum)
    known = (None if math.isnan(limit) else limit for limit in limits)
    return (domain.name, domain.available, *known)
