# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a served frame teaches of its application, and whether it is to be answered at once."""

from __future__ import annotations

from dataclasses import replace

from dynamic_dnn_ros.bundles.profile import OperatingPoints
from dynamic_dnn_ros.management.assessment import WORST
from dynamic_dnn_ros.management.decisions import SwitchReason
from dynamic_dnn_ros.management.demands import demand_of
from dynamic_dnn_ros.management.observations import Status
from dynamic_dnn_ros.management.planning import Planner
from dynamic_dnn_ros.management.records import ApplicationRecord
from dynamic_dnn_ros.management.targets import TargetStore, quantile_of


def of_batch(status: Status, points: OperatingPoints) -> float | None:
    """
    Return what the batch of a frame takes as a multiple of what one takes; None: not known.

    A frame of several stages counts as if all of them had run in the batch of the last one: it
    tells of no other.
    """
    if status.batch <= 1:
        return 1.0
    multiples = points.batch_multiples(status.sub_network)
    return multiples[status.batch - 1] if status.batch <= len(multiples) else None


class Frames:
    """Learns from the frames of all applications; the application level answers late ones."""

    def __init__(self, targets: TargetStore, planner: Planner) -> None:
        """Begin with no frame; what is learnt is kept in the records."""
        self._targets = targets
        self._planner = planner

    def served(
        self,
        record: ApplicationRecord,
        status: Status,
        frequencies: dict[str, float],
        settling: bool,
        now: float,
    ) -> bool:
        """
        Take a frame into account; tell whether to decide at once.

        :param frequencies: that the platform is thought to run at, Hz by domain
        :param settling: whether it may still have begun at others
        """
        # Whatever the clocks do, a path is that of the picture.
        scene_changed = self._learn_path(record, status)
        multiple = of_batch(status, record.application.operating_points)
        if multiple is None:
            record.learnt.measure(status, settling, now)
            return scene_changed
        if status.batch > 1:
            # What the batch took besides counts as time that the frame waited.
            status = replace(status, inference=status.inference / multiple)
        record.learnt.occupy(multiple / max(status.batch, 1))
        return self._learn_latency(record, status, frequencies, settling, now) or scene_changed

    def _learn_path(self, record: ApplicationRecord, status: Status) -> bool:
        if not record.paths:
            return False
        if (merged := record.merged.get(status.sub_network)) is not None:
            return merged.observe(status.work)
        paths, scene = record.paths.get(status.sub_network), record.learnt.scene
        between = paths.between(status.exit_stage) if paths is not None else None
        return scene.pass_over() if between is None else scene.observe(*between)

    def _learn_latency(
        self,
        record: ApplicationRecord,
        status: Status,
        frequencies: dict[str, float],
        settling: bool,
        now: float,
    ) -> bool:
        learnt = record.learnt
        if not learnt.measure(status, settling, now) or not learnt.is_planned_for:
            return False
        table = record.table
        option = None
        if table is not None:
            option = table.option(status.sub_network, status.processor)
        if table is None or option is None:
            return False
        row = table.nearest_row(frequencies)
        expected = table.mean[option, row] * learnt.contention
        if not expected > 0 or not status.work > 0:
            return False
        spread = (table.p95[option, row] - table.p50[option, row]) / 1.645
        # No frame is that slow; the square of what a broken clock says may be out of range.
        # By its own path, so that a hard picture is no slow board.
        ratio = min(float(status.service_of_largest_path / expected), WORST)
        # Whatever the frame before gave reason to suspect, this one tells.
        learnt.suspect(0.0)
        reacts = self._react(record, row, option, ratio, status.total, now)
        dispersion = float(max(spread, 0.0) / table.mean[option, row])
        learnt.learn_preprocessing(status.preprocessing)
        stepped = learnt.update(ratio, dispersion)
        record.release_when_known()
        return reacts or stepped

    def _react(
        self,
        record: ApplicationRecord,
        row: int,
        option: int,
        ratio: float,
        total: float,
        now: float,
    ) -> bool:
        target = self._targets.get(record.application.id)
        table = record.seen(quantile_of(target))
        assignment = record.assignment
        if target is None or table is None or not 0 < target.latency < total:
            return False
        settled = assignment.outstanding is None and table.options[option] == assignment.desired
        if record.is_held(now):
            record.release_when_late(now)
        if not settled or record.is_held(now):
            return False
        demand = demand_of(record, table, (), target, self._planner.objective, now)
        reaction = record.learnt.level.react(table, row, option, demand, ratio, total, now)
        if reaction is None:
            return False
        if reaction.suspected is not None:
            record.learnt.suspect(reaction.suspected)
        if reaction.option is not None:
            assignment.decide(table.options[reaction.option], SwitchReason.MEASUREMENT)
            self._planner.note_change(now)
        return True
