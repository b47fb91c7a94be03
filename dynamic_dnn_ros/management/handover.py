# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The switches that applications are sent, and what they answer."""

from __future__ import annotations

from dynamic_dnn_ros.management.decisions import Switch
from dynamic_dnn_ros.management.observations import (
    SWITCH_APPLIED,
    SWITCH_FAILED,
    SWITCH_REFUSED_PROCESSOR,
    SWITCH_REFUSED_SUB_NETWORK,
    Status,
)
from dynamic_dnn_ros.management.planning import Planner
from dynamic_dnn_ros.management.records import ApplicationRecord, Registry
from dynamic_dnn_ros.management.reports import prediction
from dynamic_dnn_ros.management.tables import Option
from dynamic_dnn_ros.management.targets import TargetStore

RETRY = 30.0
"""
Seconds for which an option is left out that the application refused or could not prepare; longer
each time. Never for good: what it refused may have been a moment's state.
"""

MOST_COUNTED = 256
"""Applications whose switches are counted, the last ones, also those that are gone."""


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
            assignment, target = record.assignment, self._targets.get(name)
            if not record.serves or not assignment.desired[0]:
                continue
            reason = assignment.due(target, now)
            if reason is None:
                continue
            # One that comes back goes on counting: what has a lower number is overtaken.
            self._sequences[name] = self._sequences.pop(name, 0) + 1
            while len(self._sequences) > MOST_COUNTED:
                del self._sequences[next(iter(self._sequences))]
            switch = Switch(
                name,
                self._sequences[name],
                *assignment.desired,
                reason,
                prediction(self._planner.plan, self._planner.planned, name, record),
                target,
                assignment.is_sent(target),
            )
            assignment.send(switch, now)
            switches.append(switch)
        return tuple(switches)

    def answered(self, record: ApplicationRecord, status: Status, now: float) -> bool:
        """Take what an application says of a switch; tell whether it refused one of ours."""
        assignment, outstanding = record.assignment, record.assignment.outstanding
        if status.switch_manager != self._manager:
            if status.switch_result == SWITCH_APPLIED:
                # By hand: stays until something is better by more than a change costs.
                assignment.take_over((status.sub_network, status.processor))
                self._planner.note_change(now)
            return False
        if outstanding is None or status.switch_sequence != outstanding.sequence:
            return self._serving_failed(record, status, now)
        if status.switch_result == SWITCH_APPLIED:
            if (took := assignment.took(now)) > 0.0:
                record.prepared((status.sub_network, status.processor), took)
            if assignment.changes(now):
                # It serves from now on: for so long the dwell has not begun.
                self._planner.note_change(now)
            assignment.apply(self._manager, (status.sub_network, status.processor))
            return False
        assignment.refuse()
        pair: Option = (outstanding.sub_network, outstanding.processor)
        options = record.table.options if record.table is not None else ()
        if status.switch_result == SWITCH_REFUSED_SUB_NETWORK:
            record.exclude([o for o in options if o[0] == pair[0]], now, RETRY, status.message)
        elif status.switch_result == SWITCH_REFUSED_PROCESSOR:
            record.exclude([o for o in options if o[1] == pair[1]], now, RETRY, status.message)
        elif status.switch_result == SWITCH_FAILED:
            record.exclude([pair], now, RETRY, status.message)
        return True

    def _serving_failed(self, record: ApplicationRecord, status: Status, now: float) -> bool:
        """Leave out a processor on which what was applied gives no results; tell whether so."""
        pair: Option = (status.sub_network, status.processor)
        applied = record.assignment.has_applied(status.switch_manager, status.switch_sequence)
        if not applied or status.switch_result != SWITCH_FAILED or record.is_excluded(pair, now):
            return False
        options = record.table.options if record.table is not None else ()
        there = [option for option in options if option[1] == pair[1]]
        elsewhere = any(o[1] != pair[1] and not record.is_excluded(o, now) for o in options)
        record.exclude(there if elsewhere else [pair], now, RETRY, status.message)
        return True
