# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from dynamic_dnn_ros.profiling.drift import drifting_rounds, foreign_utilisation, notices
from dynamic_dnn_ros.profiling.plan import MeasurementPlan, Place, Visit, VisitKind
from support.profiled_computer import make_plan

PLAN: MeasurementPlan = make_plan()
GENERATOR = np.random.default_rng(0)


def visit(place: Place, number: int = 0, **values: Any) -> Visit:
    figures = {
        'latencies': np.zeros(0),
        'duration': 1.0,
        'energy': 0.0,
        'granted': {},
        'temperatures': {},
        'foreign_utilisation': {},
        **values,
    }
    return Visit(number, 0, place, **figures)


def controls(medians: Sequence[tuple[float, float]], spread: float = 0.01) -> list[Visit]:
    """Return the controls of rounds, each at the beginning and the end."""
    return [
        visit(
            Place(VisitKind.CONTROL, 0, 'gpu', 's1', position),
            number,
            latencies=median * (1 + spread * GENERATOR.standard_normal(201)),
        )
        for number, both in enumerate(medians)
        for position, median in enumerate(both)
    ]


def test_a_steady_device_does_not_drift() -> None:
    assert drifting_rounds(controls([(1.0, 1.01), (0.99, 1.0), (1.0, 1.02), (1.01, 1.0)])) == {}
    assert drifting_rounds([]) == {}


@pytest.mark.parametrize(
    ('medians', 'rounds'),
    [
        ([(1.0, 1.0), (1.0, 1.0), (1.0, 1.12), (1.0, 1.0)], {2: 0.12}),
        ([(0.9, 1.0), (1.0, 1.0), (1.0, 1.0), (1.0, 1.0)], {0: -0.1}),
        ([(1.0, 1.0), (1.0, 1.0), (1.2, 1.2), (1.2, 1.2)], {0: -0.09, 1: -0.09, 2: 0.09, 3: 0.09}),
    ],
)
def test_a_drift_is_found_with_its_round(
    medians: Sequence[tuple[float, float]], rounds: dict[int, float]
) -> None:
    assert drifting_rounds(controls(medians)) == pytest.approx(rounds, abs=0.02)


def test_what_scatters_more_than_it_drifts_does_not_drift() -> None:
    medians = [(1.0, 1.0), (1.0, 1.0), (1.0, 1.12), (1.0, 1.0)]
    assert drifting_rounds(controls(medians, spread=0.3)) == {}


def test_a_clock_that_is_not_granted_is_said() -> None:
    place = Place(VisitKind.RUN, 0, 'gpu', 's1')
    held = [visit(place, granted={'gpu': 8e8}), visit(place, granted={})]
    assert notices(PLAN, held) == ()
    short = [*held, visit(place, granted={'gpu': 6e8}), visit(place, granted={'gpu': 7e8})]
    (said,) = notices(PLAN, short)
    assert 'gpu ran at 600 MHz where 800 MHz' in said
    # Of an idle board that says nothing.
    assert notices(PLAN, [*held, visit(Place(VisitKind.IDLE, 0), granted={'gpu': 1e8})]) == ()


def test_a_device_that_warms_up_is_said() -> None:
    place = Place(VisitKind.RUN, 0, 'gpu', 's1')
    visits = [visit(place, temperatures={'core': t, 'board': 40.0}) for t in (45.0, 62.0, 58.0)]
    (said,) = notices(PLAN, visits)
    assert 'core from 45 to 62' in said
    assert notices(PLAN, visits[1:]) == ()


def test_other_work_counts_while_the_board_idles() -> None:
    idle = Place(VisitKind.IDLE, 0)
    quiet = [visit(idle, foreign_utilisation={'cpu': load}) for load in (0.02, 0.04)]
    assert notices(PLAN, quiet) == ()
    assert foreign_utilisation(quiet) == pytest.approx({'cpu': 0.03})
    (said,) = notices(PLAN, [*quiet, visit(idle, foreign_utilisation={'cpu': 0.9})])
    assert "32% of 'cpu'" in said
