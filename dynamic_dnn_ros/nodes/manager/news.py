# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the manager's log says of targets: once when something has come about, and no more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
import math

from dynamic_dnn_ros.management.decisions import Prediction, TargetReport, TargetState
from dynamic_dnn_ros.management.targets import Target
from dynamic_dnn_ros.management.words import (
    AT_LEAST,
    in_unit,
    limit_title,
    limits_text,
    point_text,
    target_text,
)

MISSED_FOR = 5.0
"""Seconds for which a target is missed before that is a warning."""

MET_FOR = 1.0
"""Seconds for which a target that was missed is met before that is news."""

REPEATED_AFTER = 10.0
"""Seconds after which the same may be said again, as where two senders take turns."""

SLOWER = 1.05
"""Times the expected latency from which on frames are said to be slower than expected."""

UNMANAGED_FOR = 10.0
"""Seconds for which nothing is decided for an application before that is a warning."""

_MISSED = (TargetState.MISSED, TargetState.INFEASIBLE)


def there(applications: Collection[str]) -> str:
    """Return a sentence that names the applications that are there."""
    if not applications:
        return 'No application is there: start an inference_node.'
    return f'Those that are there: {", ".join(sorted(applications))}.'


@dataclass
class _Story:
    """
    What was said of one target: `told` is the last of met, missed and waiting.

    `since` is when it began to be missed, or, while `missing` is false, to be met; `warned`
    whether that it is missed was a warning.
    """

    target: Target
    told: TargetState | None = None
    missing: bool = False
    since: float = math.nan
    missed_since: float = math.nan
    warned: bool = False


class TargetNews:
    """
    Tells the stories of all targets, in sentences that each begin with an application.

    A target is accepted, then met or missed, then replaced or cleared. One that is missed for a
    while is a warning, once, and news when it is met again.
    """

    def __init__(self, inform: Callable[[str], object], warn: Callable[[str], object]) -> None:
        """
        Begin with no target.

        :param inform: called with what is good to know
        :param warn: called with what somebody should see to
        """
        self._inform = inform
        self._warn = warn
        self._stories: dict[str, _Story] = {}
        self._advised: dict[str, Prediction] = {}
        self._said: dict[str, float] = {}

    def accepted(self, target: Target, before: Target | None, metric: str, now: float) -> None:
        """
        Tell that a target came into force, unless it asks the same for the same sender again.

        :param metric: of the application's accuracy; empty: not known
        """
        if target.asks_the_same(before) and before is not None and before.sender == target.sender:
            return
        text = f'{target.application}: target of {_sender(target)}: {target_text(target, metric)}'
        if before is not None and before.sender != target.sender:
            text += f'. It replaces the target of {_sender(before)}'
        self._say(self._inform, text, now)

    def cleared(self, application: str, before: Target | None, sender: str, now: float) -> None:
        """Tell that a target was withdrawn, if there was one."""
        if before is not None:
            by = f' by {sender}' if sender else ''
            self._say(self._inform, f'{application}: target of {_sender(before)} cleared{by}', now)

    def decided(
        self,
        reports: Sequence[TargetReport],
        applications: Collection[str],
        advice_beside: Mapping[str, str] | None,
        now: float,
    ) -> None:
        """
        Tell what has come about of each target with a decision.

        :param advice_beside: where decisions are advice only, what each application serves in
            truth, e.g. 's3 on gpu'; none where they are carried out
        """
        for report in reports:
            if report.target is None:
                self._stories.pop(report.application, None)
            else:
                served = point_text(report.decision)
                if advice_beside is not None:
                    served = advice_beside.get(report.application, 'not known')
                self._tell(report, report.target, applications, served, now)
            if advice_beside is not None:
                self._advise(report, now)
        if advice_beside is None:
            self._advised.clear()
        known = {report.application for report in reports}
        for name in self._stories.keys() - known:
            del self._stories[name]
        for name in self._advised.keys() - known:
            del self._advised[name]

    def _tell(
        self,
        report: TargetReport,
        target: Target,
        applications: Collection[str],
        served: str,
        now: float,
    ) -> None:
        story = self._stories.get(report.application)
        if story is None or not story.target.asks_the_same(target):
            story = self._stories[report.application] = _Story(target)
        if report.state is TargetState.WAITING:
            if story.told is not TargetState.WAITING:
                story.told, story.warned, story.since = TargetState.WAITING, False, math.nan
                self._warn(
                    f'{report.application} is not there: the target of {_sender(target)} is kept '
                    f'until it appears. {there(applications)}'
                )
        elif report.state in _MISSED:
            self._missed(story, report, served, now)
        elif report.state is TargetState.MET:
            self._met(story, report, served, now)

    def _missed(self, story: _Story, report: TargetReport, served: str, now: float) -> None:
        if not story.missing or math.isnan(story.since):
            story.missing, story.since = True, now
        lasting = now - story.since
        if lasting >= MISSED_FOR and not story.warned:
            if story.told is not TargetState.MISSED:
                story.missed_since = story.since
            story.told, story.warned = TargetState.MISSED, True
            self._warn(f'{report.application}: missed for {lasting:.0f} s: {_why(report, served)}')
        elif story.told in (None, TargetState.WAITING):
            story.told, story.missed_since = TargetState.MISSED, now
            self._say(self._inform, f'{report.application}: missed: {_why(report, served)}', now)

    def _met(self, story: _Story, report: TargetReport, served: str, now: float) -> None:
        if story.missing or math.isnan(story.since):
            story.missing, story.since = False, now
        if story.told is TargetState.MET:
            return
        if story.told is TargetState.MISSED and now - story.since < MET_FOR:
            return
        again = ''
        if story.told is TargetState.MISSED:
            again = f' after {story.since - story.missed_since:.0f} s'
        story.told, story.warned = TargetState.MET, False
        text = f'{report.application}: met{again} by {served}'
        self._say(self._inform, f'{text}: {limits_text(report)}', now)

    def _advise(self, report: TargetReport, now: float) -> None:
        decision, before = report.decision, self._advised.get(report.application)
        # Without a reason nothing was decided: it serves what it did.
        if not report.reason or (before is not None and _point(before) == _point(decision)):
            return
        self._advised[report.application] = decision
        text = f'{report.application}: would serve {point_text(decision)} ({report.reason})'
        self._say(self._inform, text, now)

    def _say(self, say: Callable[[str], object], text: str, now: float) -> None:
        self._said = {said: at for said, at in self._said.items() if now - at < REPEATED_AFTER}
        if text not in self._said:
            self._said[text] = now
            say(text)


class UnmanagedNews:
    """Warns once of an application that serves and that nothing is decided for."""

    def __init__(self, inform: Callable[[str], object], warn: Callable[[str], object]) -> None:
        """Begin with none; arguments as for `TargetNews`."""
        self._inform = inform
        self._warn = warn
        self._since: dict[str, float] = {}
        self._told: set[str] = set()

    def decided(self, unmanaged: Mapping[str, str], now: float) -> None:
        """
        Tell what has come about with a decision.

        :param unmanaged: why, by application
        """
        self._since = {name: self._since.get(name, now) for name in unmanaged}
        for name, why in unmanaged.items():
            if name not in self._told and now - self._since[name] >= UNMANAGED_FOR:
                self._told.add(name)
                self._warn(f'{name} is not managed: {why}')
        for name in self._told - set(unmanaged):
            self._told.discard(name)
            self._inform(f'{name} is managed again, or gone')


def _sender(target: Target) -> str:
    return target.sender or 'an unknown sender'


def _point(point: Prediction) -> tuple[object, ...]:
    return point.sub_network, point.processor, point.frequencies


def _why(report: TargetReport, served: str) -> str:
    """Return by how much a target is missed, and why, as far as that is known."""
    parts = [
        f'{limit_title(name, report.metric)} is '
        f'{in_unit(name, required + (-missed if name in AT_LEAST else missed))}, '
        f'{in_unit(name, missed)} {"below" if name in AT_LEAST else "above"} the limit'
        for name, required, missed in zip(report.names, report.required, report.missed_by)
        if missed > 0
    ]
    text = f'{"; ".join(parts) or "by what is expected"}. Served is {served}'
    if report.message:
        return f'{text}. {report.message}'
    if report.slow_down > SLOWER:
        return f'{text}, which takes {report.slow_down:.2f} times what its profile says'
    return text
