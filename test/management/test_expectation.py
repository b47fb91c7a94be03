# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from typing import Any

import pytest

from dynamic_dnn_ros.management.decisions import Prediction, TargetReport, TargetState
from dynamic_dnn_ros.management.expectation import Expectation, expectation
from dynamic_dnn_ros.management.targets import Target

FRONT = '/front/inference_node'


def report(**fields: Any) -> TargetReport:
    values: dict[str, Any] = {
        'target': Target(FRONT, latency=0.05, accuracy=0.8),
        'names': ('latency', 'accuracy'),
        'required': (0.05, 0.8),
        'predicted': (0.04, 0.9),
        'decision': Prediction('s2', 'gpu'),
    }
    values.update(fields)
    return TargetReport(FRONT, values.pop('state', TargetState.PENDING), **values)


@pytest.mark.parametrize(
    ('fields', 'expected'),
    [
        ({}, Expectation.MET),
        # What was measured says how it stands, not what to expect.
        ({'measured': (0.09, math.nan), 'missed_by': (0.04, 0.0)}, Expectation.MET),
        ({'predicted': (0.06, 0.9)}, Expectation.MISSED),
        ({'predicted': (math.nan, 0.7)}, Expectation.MISSED),
        ({'predicted': (math.nan, 0.9)}, Expectation.UNKNOWN),
        ({'state': TargetState.INFEASIBLE}, Expectation.MISSED),
        ({'state': TargetState.WAITING, 'decision': Prediction()}, Expectation.UNKNOWN),
        ({'target': None, 'names': (), 'required': (), 'predicted': ()}, Expectation.UNKNOWN),
        # Nothing but an objective: there is nothing that could be missed.
        ({'target': Target(FRONT), 'names': (), 'required': (), 'predicted': ()}, Expectation.MET),
    ],
)
def test_one_word_for_a_report(fields: dict[str, Any], expected: Expectation) -> None:
    assert expectation(report(**fields)) is expected
