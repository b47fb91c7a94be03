# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The switches that applications are sent, and what they answer."""

from __future__ import annotations

import math

from dynamic_dnn_ros.management.decisions import Switch, SwitchReason
from dynamic_dnn_ros.management.observations import (
    SWITCH_APPLIED,
    SWITCH_FAILED,
    SWITCH_REFUSED_PROCESSOR,
    SWITCH_REFUSED_SUB_NETWORK,
    Status,
)
from dynamic_dnn_ros.management.planning import Planner
from dynamic_dnn_ros.management.records import ApplicationRecord, Registry, is_handed_over
from dynamic_dnn_ros.management.reports import prediction
from dynamic_dnn_ros.management.tables import Option
from dynamic_dnn_ros.management.targets import TargetStore

RESEND_AFTER = 1.0
"""Seconds after which a switch that was not acknowledged is sent again."""

RETRY_FAILED = 30.0
"""Seconds for which an option is left out that the application could not prepare."""


class Handover:
    """
    Hands over to applications what was decided, until they have acknowledged it.

    :param manager: instance of the manager, which marks its switches
    """

    def __init__(
        self, manager: str, registry: Registry, targets: TargetStore, planner: Planner
    ) -> None:
        """Begin with nothing sent."""
        self._manager = manager
        self._registry = registry
        self._targets = targets
        self._planner = planner
        self._sequences: dict[str, int] = {}

    def due(self, now: float) -> tuple[Switch, ...]:
        """Return the switches that are to be sent now, and note that they are."""
        switches = []
        for name in self._registry:
            record = self._registry[name]
            target = self._targets.get(name)
            if not record.serves or not record.desired[0]:
                continue
            waiting = record.outstanding
            if waiting is None:
                if record.desired == record.actual and is_handed_over(target, record.echo):
                    continue
            elif (
                (waiting.sub_network, waiting.processor) == record.desired
                and is_handed_over(target, waiting.target)
                and now - record.sent < RESEND_AFTER
            ):
                continue
            reason = record.reason
            if record.desired == record.actual and waiting is None:
                reason = SwitchReason.TARGET_ECHO
            self._sequences[name] = self._sequences.get(name, 0) + 1
            switch = Switch(
                name,
                self._sequences[name],
                *record.desired,
                reason,
                prediction(self._planner.plan, self._planner.planned, name, record),
                target,
            )
            record.outstanding = switch
            record.sent = now
            switches.append(switch)
        return tuple(switches)

    def answered(self, record: ApplicationRecord, status: Status, now: float) -> bool:
        """Take what an application says of a switch; tell whether it refused one of ours."""
        if status.switch_manager != self._manager:
            if status.switch_result == SWITCH_APPLIED:
                # By hand: stays until something is better by more than a change costs.
                record.actual = record.desired = (status.sub_network, status.processor)
                # Whatever target it carried is told by the application itself.
                record.echo, record.answered = None, None
                self._planner.note_change(now)
            return False
        outstanding = record.outstanding
        if outstanding is None or status.switch_sequence != outstanding.sequence:
            return False
        record.outstanding = None
        if status.switch_result == SWITCH_APPLIED:
            record.actual = (status.sub_network, status.processor)
            record.echo = outstanding.target
            record.answered = (self._manager, outstanding.sequence)
            return False
        pair: Option = (outstanding.sub_network, outstanding.processor)
        options = record.table.options if record.table is not None else ()
        if status.switch_result == SWITCH_REFUSED_SUB_NETWORK:
            record.exclude([o for o in options if o[0] == pair[0]], math.inf, status.message)
        elif status.switch_result == SWITCH_REFUSED_PROCESSOR:
            record.exclude([o for o in options if o[1] == pair[1]], math.inf, status.message)
        elif status.switch_result == SWITCH_FAILED:
            record.exclude([pair], now + RETRY_FAILED, status.message)
        record.desired = record.actual
        return True
