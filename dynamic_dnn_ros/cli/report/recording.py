# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a bag to a `RunRecord`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
import math
from pathlib import Path
from typing import Any

from rosbags.serde import SerdeError

from dynamic_dnn_ros.cli.bag_reading import BagError, message_store, raw_messages
from dynamic_dnn_ros.cli.report.record import (
    STAGES,
    ApplicationRecord,
    BoardSample,
    Frame,
    ReportError,
    RunRecord,
    Standing,
    SwitchNote,
    TargetChange,
    target_in_message,
)
from dynamic_dnn_ros.management.decisions import SwitchReason, TargetState
from dynamic_dnn_ros.management.targets import Target
from dynamic_dnn_ros.management.words import SWITCH_REASONS, metric_title, state_words

TYPES = (
    'Application',
    'InferenceStatus',
    'ManagerStatus',
    'PerformanceTarget',
    'SubNetworkSwitch',
    'SystemLoad',
)

JUMP = 1.0
"""Seconds by which the recorder's clock may depart from the board's before it has jumped."""

OPERATOR = 7
"""`SubNetworkSwitch.REASON_OPERATOR`."""


@dataclass
class _Heard:
    """One message with the time at which it was recorded, s."""

    time: float
    name: str
    message: Any


@dataclass
class _Counters:
    """Frames of one instance of a node, as counted before the recording and at its end."""

    before: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    served: int = 0


def read_bag(path: Path, name: str) -> RunRecord:
    """
    Read what happened from a bag.

    :param name: what the run is to be called
    :raises ReportError: when it is no bag, or has nothing of this package
    """
    store = message_store()
    heard = []
    try:
        for _, kind, time, data in raw_messages(path, TYPES, store):
            try:
                message = store.deserialize_cdr(data, f'dynamic_dnn_ros/msg/{kind}')
            except SerdeError as error:
                raise ReportError(
                    f'{path}: has messages of another version of this package ({kind}: {error}). '
                    'Report it with the version that it was recorded with'
                ) from error
            heard.append(_Heard(time * 1e-9, kind, message))
    except BagError as error:
        raise ReportError(f'{path}: {error}') from error
    if not any(one.name == 'InferenceStatus' for one in heard):
        raise ReportError(
            f'{path}: has no inference_status, so nothing of what was served. Record at least '
            'the topics application, inference_status, manager_status, system_load below '
            '/dynamic_dnn, and sub_network_switch of each application'
        )
    notes = _steady(heard)
    return _Reader(name, heard, notes).run


def _steady(heard: list[_Heard]) -> list[str]:
    """
    Put times on the board's own clock where the recorder's has jumped, and sort by them.

    :return: what is to be said about it
    """
    loads = [one for one in heard if one.name == 'SystemLoad']
    boots = {one.message.boot_id: place for place, one in reversed(list(enumerate(loads)))}
    # In the order in which the board sent them, whatever the recorder's clock said.
    loads.sort(key=lambda one: (boots[one.message.boot_id], float(one.message.monotonic_time)))
    shifts, jumps = [], []
    shift, first, boot = 0.0, math.nan, None
    for one in loads:
        offset = float(one.message.monotonic_time) - one.time
        if one.message.boot_id != boot:
            # Another computer, or the same one started anew: its clock tells nothing of before.
            boot, first = one.message.boot_id, offset - shift
        departs = offset - first
        if abs(departs - shift) > JUMP and math.isfinite(departs):
            jumps.append(shift - departs)
            shift = departs
        shifts.append((one.time, shift))
    if not jumps:
        return []
    shifts.sort()
    times = [time for time, _ in shifts]
    for one in heard:
        # The load that was recorded nearest to it tells by how much it is off.
        after = min(bisect_right(times, one.time), len(times) - 1)
        near = min(max(after - 1, 0), after, key=lambda place: abs(times[place] - one.time))
        one.time += shifts[near][1]
    heard.sort(key=lambda one: one.time)
    size = max(jumps, key=abs)
    return [
        f'The clock of the recorder jumped {len(jumps)} time{"s" if len(jumps) > 1 else ""}, by '
        f'{size:+.1f} s at most. Times here follow the clock of the board instead; near a jump '
        'the order of messages is not certain. Latencies and energy do not depend on it.'
    ]


class _Reader:
    """Makes a run of what was heard."""

    def __init__(self, name: str, heard: list[_Heard], notes: list[str]) -> None:
        """Take all messages."""
        self._begin = heard[0].time
        self.run = RunRecord(name, started=self._begin, notes=notes)
        self.run.duration = heard[-1].time - self._begin
        self._counters: dict[tuple[str, str], _Counters] = {}
        self._reasons: dict[str, list[tuple[float, str]]] = {}
        self._decided = any(one.name == 'ManagerStatus' for one in heard)
        self._platforms: dict[str, int] = {}
        take = {
            'Application': self._application,
            'InferenceStatus': self._status,
            'ManagerStatus': self._manager,
            'PerformanceTarget': self._target,
            'SubNetworkSwitch': self._switch,
            'SystemLoad': self._load,
        }
        for one in heard:
            take[one.name](one.time - self._begin, one.message)
        self._complete()

    def _of(self, name: str) -> ApplicationRecord:
        return self.run.applications.setdefault(name, ApplicationRecord(name))

    def _application(self, time: float, message: Any) -> None:
        record = self._of(message.id)
        record.bundle, record.engine = message.bundle, message.engine
        record.metric = metric_title(message.metric)
        record.accuracies = {one.id: float(one.accuracy) for one in message.sub_networks}

    def _status(self, time: float, message: Any) -> None:
        self._count(message)
        if message.event != message.EVENT_SERVED:
            return
        rows = {row.name: float(row.value) for row in message.stages}
        latency = rows.get(message.STAGE_TOTAL, math.nan)
        if not math.isfinite(latency):
            return
        frame = Frame(
            time,
            latency,
            message.sub_network,
            0.0,
            0.0,
            bool(message.overrun),
            tuple(rows.get(stage, math.nan) for stage in STAGES),
            str(message.exit_stage),
            float(message.work) or 1.0,
        )
        self._of(message.application).frames.append(frame)
        self.run.simulated |= bool(message.simulated)

    def _count(self, message: Any) -> None:
        """Follow the counters, which begin anew with each instance and activation."""
        now = {
            name: int(getattr(message, name))
            for name in ('received', 'served', 'replaced', 'rejected', 'dropped')
        }
        served = message.event == message.EVENT_SERVED
        key = message.application, message.instance
        counters = self._counters.get(key)
        if counters is not None and now['received'] < counters.last['received']:
            self._add(message.application, counters)
            counters = None
            self._counters[key] = _Counters(dict.fromkeys(now, 0), now)
        if counters is None and key not in self._counters:
            before = dict(now)
            if served:
                before['received'], before['served'] = now['received'] - 1, now['served'] - 1
            elif message.event == message.EVENT_REJECTED:
                before['received'], before['rejected'] = now['received'] - 1, now['rejected'] - 1
            self._counters[key] = _Counters(before, now)
        counters = self._counters[key]
        counters.last = now
        counters.served += served

    def _add(self, application: str, counters: _Counters) -> None:
        record = self._of(application)
        change = {name: counters.last[name] - counters.before[name] for name in counters.last}
        record.received += change['received']
        record.replaced += change['replaced']
        record.rejected += change['rejected']
        record.dropped += change['dropped']
        record.missing += max(0, change['served'] - counters.served)

    def _manager(self, time: float, message: Any) -> None:
        self.run.manager = 'advises only' if message.mode == message.MODE_ADVISE else 'in control'
        for row in message.targets:
            if row.state == TargetState.ANSWERED:
                continue
            record = self._of(row.application)
            _change(record, time, target_in_message(row.target))
            try:
                state = state_words(TargetState(row.state))
            except ValueError:
                state = f'state {row.state}'
            missed = {
                name: float(by) for name, by in zip(row.names, row.missed_by) if float(by) > 0
            }
            record.standings.append(Standing(time, state, missed, row.message or message.message))
            self._reasons.setdefault(row.application, []).append((time, row.reason))

    def _target(self, time: float, message: Any) -> None:
        if self._decided or message.action == message.ACTION_ASK:
            return  # What the manager says is in force counts, where it says so.
        clears = message.action == message.ACTION_CLEAR
        _change(
            self._of(message.application), time, None if clears else target_in_message(message)
        )

    def _switch(self, time: float, message: Any) -> None:
        if message.reason == SwitchReason.TARGET_ECHO:
            return
        switches = self._of(message.application).switches
        if switches and switches[-1].sub_network == message.sub_network:
            return  # The same one with another target, or sent again.
        try:
            words = SWITCH_REASONS[SwitchReason(message.reason)]
        except ValueError:
            words = 'an operator asked for it' if message.reason == OPERATOR else 'not told'
        switches.append(SwitchNote(time, message.sub_network, words, ''))

    def _load(self, time: float, message: Any) -> None:
        self._platforms[message.platform] = self._platforms.get(message.platform, 0) + 1
        if message.platform != next(iter(self._platforms)):
            return
        self.run.platform = message.platform
        self.run.simulated |= message.kind == message.KIND_SIMULATED
        self.run.energy_gap = max(1.0, 3.0 * float(message.period))
        rails = {row.name: float(row.value) for row in message.power}
        power = sum(rails.values()) if rails else math.nan
        if message.total_power_rail:
            power = rails.get(message.total_power_rail, math.nan)
        zones = [float(row.value) for row in message.temperatures if math.isfinite(row.value)]
        clocks = {row.name: float(row.granted) for row in message.domains}
        self.run.samples.append(BoardSample(time, clocks, power, max(zones, default=math.nan)))

    def _complete(self) -> None:
        """Add what only the whole recording tells."""
        for (name, _), counters in self._counters.items():
            self._add(name, counters)
        for record in self.run.applications.values():
            record.frames = list(_asked(record.frames, record.targets))
            record.switches = [
                switch._replace(explanation=_at(self._reasons.get(record.id, []), switch.time))
                for switch in record.switches
            ]
            if record.missing:
                self.run.notes.append(
                    f'{record.missing} served frames of {record.id} are not in the recording.'
                )
        if len(self._platforms) > 1:
            left_out = ', '.join(list(self._platforms)[1:])
            self.run.notes.append(f'Platforms that are left out: {left_out}.')
        if not self.run.samples:
            self.run.notes.append(
                'No system_load was recorded, so clocks, power and energy are not known.'
            )
        if not self._decided:
            self.run.notes.append(
                'No manager_status was recorded, so what the manager said is not known.'
            )
        silent = [one.id for one in self.run.applications.values() if not one.frames]
        if silent:
            self.run.notes.append(f'No frame was served by: {", ".join(silent)}.')


def _change(record: ApplicationRecord, time: float, target: Target | None) -> None:
    """Note a target, if it is another one than before."""
    before = record.targets[-1].target if record.targets else None
    same = before is None if target is None else target.asks_the_same(before)
    if not same:
        record.targets.append(TargetChange(time, target))


def _asked(frames: Iterable[Frame], changes: list[TargetChange]) -> Iterable[Frame]:
    """Give each frame the latency that was asked for when its picture came."""
    times = [change.time for change in changes]
    for frame in frames:
        place = bisect_right(times, frame.arrival)
        target = changes[place - 1].target if place else None
        if target is not None and target.latency:
            yield frame._replace(limit=target.latency, quantile=target.quantile)
        else:
            yield frame


def _at(rows: list[tuple[float, str]], time: float) -> str:
    """Return what the manager gave as its reason with the decision that sent a switch."""
    # A switch and the status of the same decision are recorded in either order.
    near = [row for row in rows if abs(row[0] - time) < 0.1]
    return min(near, key=lambda row: abs(row[0] - time))[1] if near else ''
