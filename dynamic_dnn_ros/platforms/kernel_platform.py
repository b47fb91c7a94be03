# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What plain Linux and a Jetson have in common: clocks limited through files of the kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
import math
import time

import psutil

from dynamic_dnn_ros.platforms.activity import ActivityTracker
from dynamic_dnn_ros.platforms.contract import (
    DomainLimits,
    DomainRange,
    DomainState,
    HardwareError,
    LimitsFound,
    Notice,
    NoticeKind,
    Platform,
    PlatformKind,
    PlatformSample,
)
from dynamic_dnn_ros.platforms.cpu_load import CpuLoad
from dynamic_dnn_ros.platforms.frequency_control import (
    FrequencyControl,
    Range,
    differs,
    made_of,
    merged,
    steps,
)
from dynamic_dnn_ros.platforms.nvpmodel import PowerMode, budget_of
from dynamic_dnn_ros.platforms.over_current import OverCurrent
from dynamic_dnn_ros.platforms.power_rails import PowerRails
from dynamic_dnn_ros.platforms.sysfs import Sysfs
from dynamic_dnn_ros.platforms.thermal_zones import ThermalZones

CPU = 'cpu'
GPU = 'gpu'
MEMORY = 'memory'

REFUSED_FOR = 30.0
"""Seconds for which a domain is not offered after one of its files refused."""

NOTICE_DURATION = 30.0
"""Seconds for which an event stays a notice."""

LOOK_PERIOD = 10.0
"""
Seconds after which devices, policies, rails and zones are looked for again: a driver may be loaded
after this node has started. A change of the power mode is a reason to look at once.
"""

SETTLING = 0.02
"""
Seconds to wait until the kernel shows what was written: cpufreq takes limits over in a work item,
a moment after the write (since Linux 5.4).
"""

SLOWER = 0.95
"""Share of the lowest frequency asked for below which a clock counts as held down."""

SLOW_READINGS = 3
"""Readings in a row before that is said: a clock takes a moment to follow its limits."""


@dataclass(frozen=True)
class KernelDomain:
    """
    A frequency domain: clocks that are set together. `managed` tells whether they may be.

    `processors` are the numbers of the CPUs that run by them, empty for all; None: it is no CPU.
    """

    name: str
    controls: tuple[FrequencyControl, ...]
    managed: bool
    processors: tuple[int, ...] | None = None


@dataclass
class _Held:
    """
    A control that we have written, or were about to.

    `written` are the limits that it has by us; None where that is not known, as before the first
    write, or after one that failed while it was away. `asked` is what was written last: it may
    show later than it was read back, and where something held the clock down, once that is over.
    """

    found: LimitsFound
    written: Range | None = None
    asked: Range | None = None


class KernelPlatform(Platform):
    """
    Frequency domains whose clocks are limited by files of the kernel.

    A domain may have several controls, as a CPU has policies. Its table is that of the control
    with the highest frequency; the others get the nearest frequency of their own below it. Only
    what lies within the limits found is offered, so an operator's floor and cap hold. Governors
    are left alone.

    What was found is remembered for each control until it is restored. Limits that somebody else
    changes meanwhile (by hand, nvpmodel, jetson_clocks) are the new ones to keep and to restore;
    limits that the kernel lowers for the temperature are not.

    What appears after the start is found; what is away for a while is kept.
    """

    kind = PlatformKind.MEASURED

    def __init__(self, sysfs: Sysfs, find: Callable[[], Sequence[KernelDomain]]) -> None:
        """
        Read what is there; nothing is written.

        :param find: returns the domains that there are now, in the order in which they are shown
        """
        self._sysfs = sysfs
        self._find = find
        self._domains = tuple(find())
        self._found = -math.inf
        self._zones = ThermalZones(sysfs)
        self._rails = PowerRails(sysfs)
        self._over_current = OverCurrent(sysfs)
        self._load = CpuLoad()
        self._power_mode = PowerMode(sysfs)
        self._mode = self._power_mode.read()
        self._activity = ActivityTracker()
        self._now = -math.inf
        self._setting: dict[str, DomainRange] = {}
        self._held: dict[FrequencyControl, _Held] = {}
        self._cool: dict[FrequencyControl, LimitsFound] = {}
        self._slow: dict[str, int] = {}
        self._refused: dict[str, tuple[float, str]] = {}
        self._events: dict[str, tuple[float, Notice]] = {}
        self._remember_cool()

    # What may be set.

    def limits(self) -> tuple[DomainLimits, ...]:
        """Return what may be set: the tables of now, within the limits found."""
        return tuple(self._limits(domain) for domain in self._domains)

    def _limits(self, domain: KernelDomain) -> DomainLimits:
        ranges = [(c, limits) for c in domain.controls if (limits := self._found_range(c))]
        if not ranges:
            return DomainLimits(domain.name, (), math.nan, math.nan)
        leading, (_, maximum) = max(ranges, key=lambda pair: pair[1][1])
        minimum = min(low for _, (low, _) in ranges)
        available: tuple[float, ...] = ()
        if domain.managed and not self._is_refused(domain.name):
            table = leading.table() or steps(minimum, maximum)
            available = tuple(f for f in table if minimum <= f <= maximum)
        return DomainLimits(domain.name, available, minimum, maximum)

    def _found_range(self, control: FrequencyControl) -> Range | None:
        present = control.range()
        held = self._held.get(control)
        return present if held is None or present is None else control.limits_of(held.found)

    def limits_found(self) -> tuple[LimitsFound, ...]:
        """Return what a guard has to restore: what was found where we wrote, else what holds."""
        rows = []
        slowing = self._zones.slowing()
        for control in self._managed():
            held = self._held.get(control)
            cool = self._cool.get(control) if slowing else None
            found = held.found if held is not None else cool or control.found()
            if found is not None:
                rows.append(found)
        return tuple(rows)

    def _managed(self) -> Iterable[FrequencyControl]:
        return (c for domain in self._domains if domain.managed for c in domain.controls)

    # Setting and restoring.

    def apply(self, now: float, setting: Sequence[DomainRange]) -> tuple[DomainRange, ...]:
        """Put a setting in force; see `Platform`. Nothing is written where a file would refuse."""
        self._look(now)
        wanted = {row.name: row for row in setting}
        domains = [d for d in self._domains if d.managed and d.name in wanted]
        left = [
            control
            for domain in self._domains
            if domain.name not in wanted
            for control in domain.controls
            if control.range() is not None  # what is away is restored when it is back
        ]
        grants = []
        domain = None
        try:
            self._put_back(left)
            for domain in domains:
                for control in domain.controls:
                    problem = control.denied() if control.range() is not None else None
                    if problem is not None:
                        raise problem
            self._setting = {d.name: wanted[d.name] for d in domains}
            for domain in domains:
                grants.append(self._write(domain, wanted[domain.name]))
        except Exception as error:
            if domain is not None and isinstance(error, HardwareError):
                self._refused[domain.name] = (now + REFUSED_FOR, str(error))
            self._undo(now)
            raise
        return tuple(grants)

    def _write(self, domain: KernelDomain, wanted: DomainRange) -> DomainRange:
        grants = []
        for control in domain.controls:
            if control.range() is None:
                continue  # a policy vanishes with its last CPU
            held = self._held.get(control) or self._hold(control)
            if held is None:
                continue
            held.asked = asked = control.rounded((wanted.minimum, wanted.maximum))
            try:
                kept = control.write(asked)
                kept = self._settled(control, asked, kept) or kept
            except HardwareError:
                # One file of two may have been written; where none was, nothing is to be restored.
                self._settled(control, asked)
                if control.found() != held.found:
                    held.written = self._present(control)
                raise
            grants.append(kept)
            # Held down for the temperature, it comes up to what was asked for when it is cool.
            held.written = asked if self._zones.slowing() else kept
        if not grants:
            raise HardwareError(
                f'frequency domain {domain.name!r}',
                'has no clock any more whose limits can be set',
                'Restart the platform node when its device is back',
            )
        # The table is the leading control's, so the highest read-back is what it granted.
        minimum, maximum = max(grants, key=lambda pair: pair[1])
        return DomainRange(domain.name, minimum, maximum)

    def _hold(self, control: FrequencyControl) -> _Held | None:
        """Remember what is to be restored, before the first write."""
        slowing = self._zones.slowing()
        found = self._cool.get(control) if slowing else control.found()
        if found is None and slowing:
            raise HardwareError(
                control.name,
                f'{", ".join(slowing)} limits clocks for the temperature since before this '
                'node, so what is to be restored later cannot be known',
                'Let the board cool down; the next setting is tried again',
            )
        if found is None:
            return None
        self._held[control] = held = _Held(found)
        return held

    def restore(self, now: float) -> None:
        """Put back the limits found; see `Platform`."""
        self._look(now)
        self._setting = {}
        self._put_back(tuple(self._held))

    def _undo(self, now: float) -> None:
        """Restore after a refusal, which is what is reported; the rest stays remembered."""
        try:
            self.restore(now)
        except HardwareError:
            pass

    def _put_back(self, controls: Iterable[FrequencyControl]) -> None:
        errors = []
        for control in controls:
            held = self._held.get(control)
            if held is None:
                continue
            try:
                if held.written is not None or control.found() != held.found:
                    held.asked = limits = control.limits_of(held.found)
                    control.put_back(held.found)
                    self._settled(control, limits)
                del self._held[control]
            except HardwareError as error:
                held.written = self._present(control)
                errors.append(error)
        if errors:
            raise errors[0]

    def _settled(
        self, control: FrequencyControl, wanted: Range, present: Range | None = None
    ) -> Range | None:
        """Return the limits in force, `wanted` if the kernel takes them over in a moment."""
        end = time.monotonic() + SETTLING
        while present is None or differs(present, wanted):
            present = control.range()
            if present is None or self._zones.slowing() or time.monotonic() > end:
                break
            time.sleep(SETTLING / 10)
        return present

    def _present(self, control: FrequencyControl) -> Range | None:
        """Return the limits that a control has by us; None where the temperature hides them."""
        return None if self._zones.slowing() else control.range()

    # What others do meanwhile.

    def _look(self, now: float) -> None:
        """Notice what somebody else has changed since the last look."""
        self._now = max(self._now, now)
        mode = self._power_mode.read()
        mode_changed = mode != self._mode
        if mode_changed:
            self._note(
                'power mode',
                NoticeKind.POWER_MODE,
                f'the power mode was changed from {self._mode or "none"} to {mode or "none"}; '
                'its limits hold now and are the ones to be restored',
            )
            self._mode = mode
        if mode_changed or not 0 <= now - self._found < LOOK_PERIOD:
            self._look_for_more(now)
        for domain in self._domains:
            for control in domain.controls:
                held = self._held.get(control)
                present = control.range()
                if held is None or held.written is None or present is None:
                    continue
                if made_of(present, held.written, held.asked):
                    held.written = present
                    continue
                lowered = present[1] < held.written[1] and not mode_changed
                if lowered and self._zones.slowing():
                    continue  # for the temperature: nobody's wish, and over when it is cool
                self._changed_by_another(domain, control, held, present, mode_changed)
        self._remember_cool()

    def _look_for_more(self, now: float) -> None:
        """Find what was not there before; controls that are away stay, to be restored."""
        first, self._found = math.isinf(self._found), now
        if first:
            return
        before = {domain.name: domain for domain in self._domains}
        domains = []
        for domain in self._find():
            known = before.pop(domain.name, domain)
            controls = tuple(dict.fromkeys((*known.controls, *domain.controls)))
            domains.append(replace(domain, controls=controls))
        self._domains = (*domains, *before.values())
        self._zones.look()
        self._rails.look()
        self._over_current.look()

    def _changed_by_another(
        self,
        domain: KernelDomain,
        control: FrequencyControl,
        held: _Held,
        present: Range,
        mode_changed: bool,
    ) -> None:
        assert held.written is not None
        before = control.limits_of(held.found)
        after = present if mode_changed else merged(before, held.written, present)
        held.found = control.found_for(after, held.found)
        held.written, held.asked = present, None
        table = control.table()
        like = ''
        if table and present[0] == present[1] == max(table):
            like = ', as jetson_clocks does'
        self._note(
            f'{domain.name} by hand',
            NoticeKind.BY_HAND,
            f'the limits of {domain.name} ({control.name}) were changed by somebody else to '
            f'{present[0]:.0f} to {present[1]:.0f} Hz{like}; they hold now and are the ones to '
            'be restored. Stop the manager, or run it in mode advise, to set clocks by hand',
        )

    def _remember_cool(self) -> None:
        """Keep the limits of a cool board: what is read while it is hot may be its throttle."""
        if not self._zones.slowing():
            for control in self._managed():
                if control not in self._held:
                    found = control.found()
                    if found is not None:
                        self._cool[control] = found

    def _note(self, key: str, kind: NoticeKind, text: str) -> None:
        self._events[key] = (self._now + NOTICE_DURATION, Notice(kind, text))

    def _is_refused(self, name: str) -> bool:
        until, _ = self._refused.get(name, (-math.inf, ''))
        if until > self._now:
            return True
        self._refused.pop(name, None)
        return False

    # What is read.

    def observe(
        self,
        now: float,
        application: str,
        instance: str,
        processor: str,
        busy: Mapping[str, float],
        frames: int = 0,
    ) -> None:
        """Take note of the seconds for which an application kept domains busy."""
        self._activity.observe(now, application, instance, processor, busy)

    def read(self, now: float) -> PlatformSample:
        """Return load, clocks, power, temperatures, memory, and what there is to notice."""
        self._look(now)
        slowing = self._zones.slowing()
        self._load.read()
        states = tuple(self._state(domain, now, slowing) for domain in self._domains)
        memory = psutil.virtual_memory()
        power, total = self._power(now)
        self._over_current.observe(now, power.get(total, math.nan))
        return PlatformSample(
            domains=states,
            power=power,
            total_power_rail=total,
            power_budget=min(budget_of(self._mode), self._over_current.budget),
            temperatures=self._temperatures(),
            memory={'total': float(memory.total), 'available': float(memory.available)},
            notices=self._notices(states),
        )

    def _state(self, domain: KernelDomain, now: float, slowing: Sequence[str]) -> DomainState:
        limits = self._limits(domain)
        maximum = limits.maximum
        if slowing:
            present = [r[1] for c in domain.controls if (r := c.range())]
            written = [
                h.written[1] for c in domain.controls if (h := self._held.get(c)) and h.written
            ]
            if present and (not written or max(present) < max(written) * (1 - 1e-6)):
                maximum = min(maximum, max(present))
        clocks = [clock for control in domain.controls if (clock := control.current())]
        governors = {governor for control in domain.controls if (governor := control.governor())}
        own, total = self._own(domain, now), self._total(domain)
        return DomainState(
            name=domain.name,
            available=limits.available,
            limit_minimum=limits.minimum,
            limit_maximum=maximum,
            requested=self._setting.get(domain.name),
            granted=max(clocks, default=math.nan),
            utilisation_own=own,
            utilisation_foreign=max(total - own, 0.0),  # NaN stays NaN in this order
            governor='/'.join(sorted(governors)),
        )

    def _power(self, now: float) -> tuple[dict[str, float], str]:
        """Return the power of each rail, W, and the name of the one that includes all others."""
        return self._rails.read(now), self._rails.total

    def _temperatures(self) -> dict[str, float]:
        """Return degrees Celsius by sensor."""
        return self._zones.read()

    def _more_notices(self) -> tuple[Notice, ...]:
        """Return what there is to notice besides clocks."""
        return self._over_current.notices()

    def _own(self, domain: KernelDomain, now: float) -> float:
        """Return the share of a domain that our applications take; a CPU has several cores."""
        busy = self._activity.total(now, domain.name)
        if domain.processors is None:
            return min(1.0, busy)
        if domain.name == CPU:
            return self._load.own_share(busy, ())
        # What was reported of this cluster, and its part of what was reported of the CPU.
        share = self._load.own_share(self._activity.total(now, CPU), domain.processors)
        return min(1.0, busy / len(domain.processors) + share)

    def _total(self, domain: KernelDomain) -> float:
        """Return the share of a domain that is busy, 0..1; NaN where it is not known."""
        return math.nan if domain.processors is None else self._load.share(domain.processors)

    def _notices(self, states: Sequence[DomainState]) -> tuple[Notice, ...]:
        notices = []
        self._events = {k: (end, n) for k, (end, n) in self._events.items() if end > self._now}
        notices += [notice for _, notice in self._events.values()]
        notices += self._more_notices()
        for name in list(self._refused):
            if self._is_refused(name):
                text = self._refused[name][1]
                notices.append(Notice(NoticeKind.REFUSED, f'{name} is left alone: {text}'))
        for state in states:
            notices += self._notices_of(state)
        return tuple(notices)

    def _held_down_by(self, domain: str) -> tuple[str, ...]:
        """Return what holds the clock of a domain below what was asked for, as far as known."""
        slowing = self._zones.slowing()
        return (f'the temperature: {", ".join(slowing)}',) if slowing else ()

    def _notices_of(self, state: DomainState) -> list[Notice]:
        requested, granted = state.requested, state.granted
        slow = requested is not None and 0.0 < granted < SLOWER * requested.minimum
        self._slow[state.name] = self._slow.get(state.name, 0) + 1 if slow else 0
        if requested is not None and self._slow[state.name] >= SLOW_READINGS:
            reasons = self._held_down_by(state.name)
            why = f'for {", ".join(reasons)}' if reasons else 'by the hardware'
            return [
                Notice(
                    NoticeKind.LIMITED,
                    f'{state.name} runs below the {requested.minimum:.0f} Hz that were asked '
                    f'for, held down {why}. Cool the board, or choose a power mode for it',
                )
            ]
        if requested is None and len(state.available) == 1:
            return [
                Notice(
                    NoticeKind.BY_HAND,
                    f'{state.name} is fixed at {state.available[0]:.0f} Hz, as jetson_clocks '
                    'does, so there is nothing to choose. Undo it: `jetson_clocks --restore`',
                )
            ]
        return []
