# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is heard of one application, as a record: for the demo, and to watch a running robot."""

from __future__ import annotations

from collections.abc import Callable
import math
from typing import Any

from dynamic_dnn_ros.cli.demo.run_record import (
    DecisionRecord,
    FrameCounts,
    FrameRecord,
    LoadRecord,
    RunRecord,
    SwitchRecord,
)
from dynamic_dnn_ros.management.targets import TargetError
from dynamic_dnn_ros.management.words import SWITCH_REASONS, metric_title, target_text
from dynamic_dnn_ros.msg import (
    Application,
    Classification,
    InferenceStatus,
    ManagerStatus,
    SubNetworkSwitch,
    SystemLoad,
    TargetStatus,
)
from dynamic_dnn_ros.nodes.common.message_values import nanoseconds
from dynamic_dnn_ros.nodes.manager.messages import target_of

REASONS = {
    **{int(reason): words for reason, words in SWITCH_REASONS.items()},
    SubNetworkSwitch.REASON_OPERATOR: 'an operator asked for it',
}
STATES = {
    TargetStatus.STATE_NO_TARGET: 'no target',
    TargetStatus.STATE_PENDING: 'pending',
    TargetStatus.STATE_MET: 'met',
    TargetStatus.STATE_MISSED: 'missed',
    TargetStatus.STATE_INFEASIBLE: 'infeasible',
    TargetStatus.STATE_WAITING: 'waiting',
    TargetStatus.STATE_REFUSED: 'refused',
}

KINDS_SHOWN = 3
"""Kinds of objects that the line on a detector names."""


def total_power(message: SystemLoad) -> float:
    """Return the power of the whole board, W; NaN where it is not known."""
    rails = {row.name: row.value for row in message.power}
    if message.total_power_rail:
        return rails.get(message.total_power_rail, math.nan)
    return sum(rails.values()) if rails else math.nan


def _asked(status: TargetStatus) -> str:
    """Return the target in force in words, empty where there is none."""
    if not status.target.application:
        return ''
    try:
        return target_text(target_of(status.target), status.metric)
    except TargetError:
        return 'one that cannot be read'


class Observation:
    """Makes a `RunRecord` of the messages that concern one application."""

    def __init__(self, application: str, clock: Callable[[], float], keep: int = 0) -> None:
        """
        Begin with nothing heard.

        :param application: id of the application
        :param clock: seconds since the start of the observation
        :param keep: rows of each kind to keep, the last ones; 0: all
        """
        self.run = RunRecord(application=application)
        self.seen = ''
        self.seen_at: dict[int, str] = {}
        """What was seen in the image of a stamp, ns."""
        self.presented: Application | None = None
        self.presented_at = 0.0
        self.heard_at = 0.0
        """When the application spoke last; both in seconds of the clock."""
        self._clock = clock
        self._keep = keep

    def on_application(self, message: Application) -> None:
        """Take what the application says of itself."""
        if message.id != self.run.application or message.state == Application.STATE_DEPARTED:
            return
        self.presented = message
        self.presented_at = self.heard_at = self._clock()
        self.run.bundle = message.bundle
        self.run.engine = message.engine
        self.run.metric = metric_title(message.metric)
        self.run.extrapolated = message.operating_points.extrapolated
        self.run.accuracies = {
            sub_network.id: sub_network.accuracy for sub_network in message.sub_networks
        }
        self.run.stages = {
            sub_network.id: tuple(sub_network.stage_names)
            for sub_network in message.sub_networks
            if sub_network.stage_names
        }

    def on_status(self, message: InferenceStatus) -> None:
        """Take what the application does."""
        if message.application != self.run.application:
            return
        self.heard_at = now = self._clock()
        self.run.counts = FrameCounts(
            message.received,
            message.served,
            message.replaced,
            message.rejected,
            message.dropped,
        )
        if message.event != InferenceStatus.EVENT_SERVED:
            return
        stages = {row.name: row.value for row in message.stages}
        self._append(
            self.run.frames,
            FrameRecord(
                now,
                message.sub_network,
                stages.get(InferenceStatus.STAGE_TOTAL, math.nan),
                message.simulated,
                message.overrun,
                message.exit_stage,
                nanoseconds(message.image_stamp),
            ),
        )

    def on_load(self, message: SystemLoad) -> None:
        """Take a sample of the platform."""
        self.run.platform = message.platform
        self.run.simulated = message.kind == SystemLoad.KIND_SIMULATED
        self.run.frequency_limits = {
            domain.name: domain.limit_maximum for domain in message.domains
        }
        temperatures = [row.value for row in message.temperatures if math.isfinite(row.value)]
        self._append(
            self.run.loads,
            LoadRecord(
                self._clock(),
                {domain.name: domain.granted for domain in message.domains},
                total_power(message),
                max(temperatures, default=math.nan),
            ),
        )

    def on_manager(self, message: ManagerStatus) -> None:
        """Take what the manager decided."""
        for target in message.targets:
            if target.application != self.run.application:
                continue
            if target.state == TargetStatus.STATE_ANSWERED:
                continue  # of a target that somebody asked about
            text = target.message or message.message
            if not text and target.runner_up.sub_network:
                text = f'next best is {target.runner_up.sub_network}: {target.runner_up_reason}'
            self._append(
                self.run.decisions,
                DecisionRecord(
                    self._clock(),
                    STATES.get(target.state, f'state {target.state}'),
                    target.decision.sub_network,
                    dict(zip(target.names, target.missed_by)),
                    text,
                    dict(zip(target.names, target.required)),
                    target.sender,
                    _asked(target),
                ),
            )

    def on_switch(self, message: SubNetworkSwitch) -> None:
        """Take a switch that the manager sent."""
        if message.reason == SubNetworkSwitch.REASON_TARGET_ECHO:
            return
        reason = REASONS.get(message.reason, f'reason {message.reason}')
        self._append(self.run.switches, SwitchRecord(self._clock(), message.sub_network, reason))

    def on_classification(self, message: Classification) -> None:
        """Take what a classifier saw."""
        if message.results:
            best = message.results[0]
            self._see(message, f'{best.class_id} ({best.score:.0%})')

    def on_detections(self, message: Any) -> None:
        """Take what a detector found, a `Detections`."""
        counts: dict[str, int] = {}
        for found in message.detections:
            counts[found.class_id] = counts.get(found.class_id, 0) + 1
        most = sorted(counts.items(), key=lambda row: -row[1])[:KINDS_SHOWN]
        named = ', '.join(f'{count} {name}' for name, count in most)
        rest = len(counts) - len(most)
        self._see(message, named + (f' and {rest} other kinds' if rest else ''))

    def on_segmentation(self, message: Any) -> None:
        """Take what a segmenter saw, a `Segmentation`."""
        shown = zip(message.class_ids[:KINDS_SHOWN], message.shares)
        self._see(message, ', '.join(f'{name} {share:.0%}' for name, share in shown))

    def _see(self, message: Any, text: str) -> None:
        self.seen = text or 'nothing'
        self.seen_at[nanoseconds(message.header.stamp)] = self.seen
        if self._keep and len(self.seen_at) > self._keep:
            del self.seen_at[next(iter(self.seen_at))]

    def _append(self, rows: list[Any], row: Any) -> None:
        rows.append(row)
        if self._keep and len(rows) > 2 * self._keep:
            del rows[: -self._keep]
