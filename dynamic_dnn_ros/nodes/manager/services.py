# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The services by which targets are set, asked about and cleared, with an answer to the one asker.

A request is answered at once, from one decision or one search, and waits for nothing: it delays
the manager by no more than the decision that a target on the topic asks for too.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from dynamic_dnn_ros.management.decisions import TargetReport
from dynamic_dnn_ros.management.expectation import Expectation, expectation
from dynamic_dnn_ros.management.targets import (
    DEFAULT_LATENCY_QUANTILE,
    Target,
    TargetError,
    is_application_id,
)
from dynamic_dnn_ros.msg import PerformanceTarget
from dynamic_dnn_ros.nodes.manager.messages import report_message, target_message, target_of
from dynamic_dnn_ros.nodes.manager.news import there

LIMITS = ('latency', 'accuracy', 'energy', 'rate')


class Desk(Protocol):
    """What the services need of the node that offers them."""

    @property
    def advises(self) -> bool:
        """Tell whether decisions are only published, not carried out."""

    @property
    def applications(self) -> Collection[str]:
        """Return the ids of the applications that are there."""

    def target_in_force(self, application: str) -> Target | None:
        """Return the target of an application, or none."""

    def take_target(self, message: PerformanceTarget) -> str:
        """Take a target that is set or cleared; return why it was refused, empty if it was not."""

    def ask_about(self, target: Target) -> TargetReport:
        """Return what would become of a target."""

    def decide_now(self) -> Sequence[TargetReport]:
        """Decide, and return how each target stands."""


class TargetServices:
    """Callbacks of `set_target`, `ask_target` and `clear_target`."""

    def __init__(self, desk: Desk) -> None:
        """
        Answer from a desk.

        :param desk: the node that decides
        """
        self._desk = desk

    def set(self, request: Any, response: Any) -> Any:
        """Answer a `SetTarget`."""
        message = PerformanceTarget(action=PerformanceTarget.ACTION_SET)
        before = self._desk.target_in_force(request.application)
        try:
            _copy_target(request, message)
        except TargetError as error:
            response.message = str(error)
            return response
        response.message = self._desk.take_target(message)
        response.accepted = not response.message
        if not response.accepted:
            return response
        response.replaced = target_message(before)
        reports = {report.application: report for report in self._desk.decide_now()}
        report = reports.get(request.application)
        if report is not None:
            response.status = report_message(report)
            response.expected = int(expectation(report))
        sentences = [_outcome(report), self._known(request.application)]
        sentences += [_replaced(before, request.sender, 'It replaces')]
        if self._desk.advises:
            sentences.append('The manager only advises: it switches nothing.')
        response.message = ' '.join(sentence for sentence in sentences if sentence)
        return response

    def ask(self, request: Any, response: Any) -> Any:
        """Answer an `AskTarget`."""
        message = PerformanceTarget(action=PerformanceTarget.ACTION_ASK)
        try:
            _copy_target(request, message)
            target = target_of(message)
        except TargetError as error:
            known = there(self._desk.applications) if error.field == 'application' else ''
            response.message = f'{error}. {known}'.removesuffix('. ')
            return response
        before = self._desk.target_in_force(target.application)
        report = self._desk.ask_about(target)
        response.accepted = True
        response.expected = int(expectation(report))
        response.replaced = target_message(before)
        response.status = report_message(report)
        replaced = _replaced(before, request.sender, 'It would replace')
        known = self._known(target.application)
        response.message = ' '.join(s for s in (report.message, known, replaced) if s)
        return response

    def clear(self, request: Any, response: Any) -> Any:
        """Answer a `ClearTarget`."""
        before = self._desk.target_in_force(request.application)
        response.message = self._desk.take_target(
            PerformanceTarget(
                action=PerformanceTarget.ACTION_CLEAR,
                application=request.application,
                sender=request.sender,
            )
        )
        response.accepted = not response.message
        if not response.accepted:
            return response
        response.replaced = target_message(before)
        if before is None:
            response.message = f'There was no target. {self._known(request.application)}'.strip()
        else:
            response.message = _replaced(before, request.sender, 'This withdraws')
        return response

    def _known(self, application: str) -> str:
        """Return who is there, where the one that is meant is not; otherwise nothing."""
        known = self._desk.applications
        return '' if application in known else there(known)


def _copy_target(request: Any, message: PerformanceTarget) -> None:
    """
    Copy the fields of a request into the message that asks for the same.

    :raises TargetError: for a quantile of 0, which in a message stands for the default
    """
    for name in ('application', 'sender', 'priority', 'objective', 'late_frames', *LIMITS):
        setattr(message, name, getattr(request, name))
    quantile = request.latency_quantile
    if quantile == 0 and is_application_id(request.application):
        raise TargetError(
            'latency_quantile',
            quantile,
            'lies outside (0, 1)',
            f'Give {DEFAULT_LATENCY_QUANTILE} for 95 of 100 frames',
        )
    # Without a latency the default of the request belongs to nothing.
    if request.latency != 0 or quantile != DEFAULT_LATENCY_QUANTILE:
        message.latency_quantile = quantile


def _outcome(report: TargetReport | None) -> str:
    if report is None:
        return ''
    if report.message:
        return report.message
    if expectation(report) is Expectation.MET:
        return 'It is expected to be met.'
    if expectation(report) is Expectation.MISSED:
        return 'It is expected to be missed.'
    return 'Nothing can be predicted of it yet.'


def _replaced(before: Target | None, sender: str, verb: str) -> str:
    """Return whose target is replaced, where it is somebody else's."""
    if before is None or before.sender == sender:
        return ''
    return f'{verb} the target of {before.sender or "an unknown sender"}.'
