# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a report comes to in one word: whether its target will be met, by prediction."""

from __future__ import annotations

from enum import IntEnum
import math

from dynamic_dnn_ros.management.decisions import TargetReport, TargetState
from dynamic_dnn_ros.management.reports import beyond


class Expectation(IntEnum):
    """Whether a target will be met; values as in `SetTarget.srv` and `AskTarget.srv`."""

    UNKNOWN = 0
    MET = 1
    MISSED = 2


def expectation(report: TargetReport) -> Expectation:
    """
    Tell whether a target will be met by what is expected of the operating point.

    One limit that is missed is enough; one of which nothing can be predicted leaves it open.
    """
    if report.state is TargetState.INFEASIBLE:
        return Expectation.MISSED
    if not report.decision.sub_network or report.target is None:
        return Expectation.UNKNOWN
    rows = list(zip(report.names, report.required, report.predicted))
    if any(beyond(name, limit, value) > 0 for name, limit, value in rows):
        return Expectation.MISSED
    if any(math.isnan(value) for _, _, value in rows):
        return Expectation.UNKNOWN
    return Expectation.MET
