# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What applications are asked for, checked, and kept until the application is there."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
import math
import re

DEFAULT_LATENCY_QUANTILE = 0.95

LARGEST = 1e6
"""Above it no limit is meant: it would be 11 days, a megajoule or a megahertz."""

SHORTEST = 1e-6
"""Seconds below which no latency is meant: no picture is even copied in a microsecond."""

LONGEST_ID = 200
"""Characters of an application's id: DDS takes 255 of a topic's name, which begins with it."""

MOST_ABSENT = 64
"""Applications that are not there whose targets are kept for them."""

_QUALIFIED_NAME = re.compile(r'(/[A-Za-z_][A-Za-z0-9_]*)+')


class Action(IntEnum):
    """What a target message does; the values are those of `PerformanceTarget.msg`."""

    SET = 0
    CLEAR = 1
    ASK = 2


class Objective(IntEnum):
    """What is improved once all limits are met; values as in `PerformanceTarget.msg`."""

    MINIMUM_ENERGY = 0
    MAXIMUM_ACCURACY = 1
    MINIMUM_LATENCY = 2


class LateFrames(IntEnum):
    """What becomes of a frame that cannot be on time; values as in `PerformanceTarget.msg`."""

    SERVE = 0
    DROP = 1


class TargetError(ValueError):
    """A target that cannot be taken over: which field, which value, why, and what to do."""

    def __init__(self, field: str, value: object, problem: str, remedy: str) -> None:
        """Compose the message from its parts, which stay readable as attributes."""
        super().__init__(f'{field} = {value!r} {problem}. {remedy}')
        self.field = field
        self.value = value
        self.problem = problem
        self.remedy = remedy


def is_application_id(text: str) -> bool:
    """Tell whether the text is a fully qualified node name, as every application id is."""
    return len(text) <= LONGEST_ID and _QUALIFIED_NAME.fullmatch(text) is not None


@dataclass(frozen=True)
class Target:
    """
    Limits and objective of one application; a limit of 0 is none.

    `latency` in seconds from the image's arrival to its result, kept by the share
    `latency_quantile` of all frames; `accuracy` in 0..1, at least; `energy` joules for one
    inference, at most; `rate` frames served a second, at least. `late_frames` says what becomes of
    one that can no longer keep `latency`. `stamp` says when it was asked
    for, in nanoseconds of the senders' clock: the newest target of an application wins.
    """

    application: str
    latency: float = 0.0
    latency_quantile: float = 0.0
    accuracy: float = 0.0
    energy: float = 0.0
    rate: float = 0.0
    priority: int = 0
    objective: Objective = Objective.MINIMUM_ENERGY
    late_frames: LateFrames = LateFrames.SERVE
    sender: str = ''
    stamp: int = 0

    def __post_init__(self) -> None:
        """
        Check every field and the fields against each other.

        :raises TargetError: naming the field, its value and the remedy
        """
        _check_application(self.application)
        if len(self.sender) > LONGEST_ID:
            raise TargetError(
                'sender',
                self.sender[:20],
                f'goes on for {len(self.sender)} characters',
                f'Give at most {LONGEST_ID}',
            )
        for field, unit in (
            ('latency', 'seconds'),
            ('latency_quantile', 'a share of the frames'),
            ('accuracy', 'a share in 0..1'),
            ('energy', 'joules'),
            ('rate', 'hertz'),
        ):
            value = getattr(self, field)
            if not math.isfinite(value):
                raise TargetError(field, value, 'is not a number', f'Give {unit}, 0 for no limit')
            if value < 0:
                raise TargetError(field, value, 'is negative', f'Give {unit}, 0 for no limit')
            if value > LARGEST:
                raise TargetError(
                    field, value, f'is above {LARGEST:g}', f'Give {unit}, 0 for no limit'
                )
        if 0 < self.latency < SHORTEST:
            raise TargetError(
                'latency',
                self.latency,
                f'is shorter than {SHORTEST:g} s',
                'Give seconds, 0 for no limit',
            )
        if self.latency_quantile >= 1:
            raise TargetError(
                'latency_quantile',
                self.latency_quantile,
                'lies outside (0, 1)',
                f'Give 0.95 for 95 of 100 frames, or 0 for {DEFAULT_LATENCY_QUANTILE}',
            )
        if self.latency_quantile > 0 and self.latency == 0:
            raise TargetError(
                'latency_quantile',
                self.latency_quantile,
                'contradicts latency = 0, which sets no limit that it could belong to',
                'Give a latency in seconds, or leave the quantile 0',
            )
        if self.accuracy > 1:
            raise TargetError(
                'accuracy', self.accuracy, 'is above 1', 'Give a share: 0.9 for 90 percent'
            )
        if not 0 <= self.priority <= 255:
            raise TargetError(
                'priority', self.priority, 'lies outside 0..255', 'Give 0 for lowest'
            )
        for field, kind in (('objective', Objective), ('late_frames', LateFrames)):
            value = getattr(self, field)
            try:
                object.__setattr__(self, field, kind(value))
            except ValueError:
                known = ', '.join(f'{each.value} ({each.name.lower()})' for each in kind)
                raise TargetError(field, value, 'is unknown', f'Give one of {known}') from None
        if self.late_frames is LateFrames.DROP and self.latency == 0:
            raise TargetError(
                'late_frames',
                int(self.late_frames),
                '(drop) contradicts latency = 0: no frame is ever late',
                'Give a latency in seconds, or leave late_frames at serve',
            )

    @property
    def quantile(self) -> float:
        """Return the share of frames that must keep `latency`, the default where none is set."""
        return self.latency_quantile or DEFAULT_LATENCY_QUANTILE

    def limits(self) -> dict[str, float]:
        """Return the limits that are set, by the names of `TargetStatus.names`."""
        values = {name: getattr(self, name) for name in ('latency', 'accuracy', 'energy', 'rate')}
        return {name: value for name, value in values.items() if value > 0}

    def asks_the_same(self, other: Target | None) -> bool:
        """Tell whether the other target sets the same in all that it asks for."""
        return other is not None and replace(other, sender=self.sender, stamp=self.stamp) == self


@dataclass(frozen=True)
class _Withdrawal:
    """A target that was cleared; kept, so that an older echo does not bring it back."""

    stamp: int


def quantile_of(target: Target | None) -> float:
    """Return the quantile at which latency is judged, with a target or without."""
    return DEFAULT_LATENCY_QUANTILE if target is None else target.quantile


class TargetStore:
    """
    The target in force of every application, known or not.

    The newest wins. A target that an application echoes counts like one that arrives, so a new
    manager adopts what the last one handed over.
    """

    def __init__(self) -> None:
        """Begin with no target."""
        self._entries: dict[str, Target | _Withdrawal] = {}

    def __iter__(self) -> Iterator[str]:
        """Iterate over the applications that have a target."""
        return (name for name, entry in self._entries.items() if isinstance(entry, Target))

    def get(self, application: str) -> Target | None:
        """Return the target in force, or none."""
        entry = self._entries.get(application)
        return entry if isinstance(entry, Target) else None

    def set(self, target: Target, arrival: int) -> Target:
        """
        Put a target into force.

        :param arrival: when it arrived, nanoseconds of the same clock as its stamp; taken for a
            stamp of 0 and for one that lies in the future, which would block every later target;
            where what is in force lies in the future, the clock was put back, and this is newer
        :return: the target as it is kept
        :raises TargetError: when one that was asked for later is in force
        """
        stamped = replace(target, stamp=self._stamp(target.application, target.stamp, arrival))
        self._entries[target.application] = stamped
        return stamped

    def clear(self, application: str, stamp: int, arrival: int) -> None:
        """
        Withdraw an application's target.

        :raises TargetError: when a target that was asked for later is in force, or the
            application's name is none
        """
        _check_application(application)
        self._entries[application] = _Withdrawal(self._stamp(application, stamp, arrival))

    def forget_absent(self, present: Collection[str]) -> None:
        """
        Forget the oldest targets of applications that are not there, beyond `MOST_ABSENT`.

        :param present: the applications that are there
        """
        absent = [name for name in self._entries if name not in present]
        absent.sort(key=lambda name: self._entries[name].stamp)
        for name in absent[: max(0, len(absent) - MOST_ABSENT)]:
            del self._entries[name]

    def adopt(self, target: Target) -> bool:
        """Take over a target that an application echoes; tell whether it came into force."""
        entry = self._entries.get(target.application)
        if entry is not None and entry.stamp >= target.stamp:
            return False
        self._entries[target.application] = target
        return True

    def _stamp(self, application: str, stamp: int, arrival: int) -> int:
        stamp = min(stamp, arrival) if stamp > 0 else arrival
        entry = self._entries.get(application)
        if entry is not None and stamp < entry.stamp:
            if arrival < entry.stamp:
                # The clock was put back since. What is in force was asked for earlier all the
                # same; to keep its stamp lets no echo of it come back.
                return entry.stamp
            raise TargetError(
                'header.stamp',
                stamp,
                f'is older than what is in force, asked for at {entry.stamp}',
                'Stamp a target with the time at which it is asked for, or leave the stamp 0',
            )
        return stamp


def _check_application(application: str) -> None:
    if not is_application_id(application):
        raise TargetError(
            'application',
            application[:LONGEST_ID],
            'is no fully qualified node name',
            "Name the inference node with its namespace, e.g. '/front/inference_node'",
        )
