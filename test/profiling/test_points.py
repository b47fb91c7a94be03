# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
import math

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.profile import OperatingPoints, ProfileKind
from dynamic_dnn_ros.profiling.plan import ROUNDS, MeasurementPlan, Place, Visit, VisitKind
from dynamic_dnn_ros.profiling.points import operating_points
from support.profiled_computer import make_plan

RUNS = 25
IDLE_POWER = 3.0
POWER = 8.0


def latency(plan: MeasurementPlan, place: Place) -> float:
    """Return 2 ms + 1 ms x number of the sub-network / clock in GHz; twice that on a CPU."""
    index = plan.sub_networks.index(place.sub_network) + 1
    slower = 2.0 if place.processor == 'cpu' else 1.0
    (frequency,) = plan.setting(place).values()
    return slower * (2e-3 + index * 1e-3 * 1e9 / frequency)


def visits(plan: MeasurementPlan, energy: Callable[[Visit], float]) -> list[Visit]:
    """Return what all rounds find; the latencies of each are spread evenly around the law."""
    found = []
    for number in range(ROUNDS):
        for place in plan.steps(number, 0):
            if place.kind is VisitKind.IDLE:
                latencies, duration = np.zeros(0), 0.5
            else:
                # Of all rounds together: 100 latencies from 0.9 to 1.1 of the law.
                spread = np.linspace(0.9, 1.1, ROUNDS * RUNS)[number::ROUNDS]
                latencies = latency(plan, place) * spread
                duration = float(latencies.sum())
            if place.kind is VisitKind.CONTROL:
                latencies = latencies * 100  # counts for nothing but the drift
            visit = Visit(number, 0, place, latencies, duration, 0.0, {}, {}, {})
            found.append(Visit(number, 0, place, latencies, duration, energy(visit), {}, {}, {}))
    return found


def with_rail(visit: Visit) -> float:
    return visit.duration * (IDLE_POWER if visit.place.kind is VisitKind.IDLE else POWER)


def expected(points: OperatingPoints) -> np.ndarray:
    whole = make_plan(None)
    order = {setting: index for index, setting in enumerate(whole.settings)}
    return np.array(
        [
            latency(
                whole,
                Place(
                    VisitKind.RUN,
                    order[tuple(frequencies)],
                    points.processors[processor],
                    points.sub_networks[sub_network],
                ),
            )
            for sub_network, processor, frequencies in zip(
                points.sub_network, points.processor, points.frequencies
            )
        ]
    )


@pytest.mark.parametrize('number', [None, 3])
def test_all_rounds_count_together_and_the_rest_is_computed(number: int | None) -> None:
    plan = make_plan(number, rail=True)
    points = operating_points(plan, visits(plan, with_rail), 'how')
    law = expected(points)
    assert (points.platform, points.kind) == ('board', ProfileKind.MEASURED)
    assert len(points) == 3 * 2 * len(plan.grid)
    assert points.interpolated.sum() == 3 * 2 * (len(plan.grid) - len(plan.settings))
    np.testing.assert_allclose(points.latency_mean, law, rtol=1e-6)
    np.testing.assert_allclose(points.latency_p50, law, rtol=1e-6)
    np.testing.assert_allclose(points.latency_p95, 1.09 * law, rtol=1e-6)
    np.testing.assert_allclose(points.latency_p99, 1.098 * law, rtol=1e-6)
    np.testing.assert_allclose(points.power, POWER, rtol=1e-6)
    np.testing.assert_allclose(points.idle_power, IDLE_POWER, rtol=1e-6)
    np.testing.assert_allclose(points.energy, POWER * law, rtol=1e-6)
    assert points.description.startswith('how')
    assert ('interpolated as a + sum b / f' in points.description) == (number is not None)
    assert math.isnan(points.interpolation_error) == (number is None)


def test_a_rail_that_was_silent_once_leaves_that_point_without_energy() -> None:
    plan = make_plan(None, rail=True)
    silent = Place(VisitKind.RUN, 1, 'cpu', 's2')

    def energy(visit: Visit) -> float:
        return math.nan if visit.place == silent and visit.round == 2 else with_rail(visit)

    points = operating_points(plan, visits(plan, energy), '')
    missing = np.isnan(points.energy)
    (row,) = np.flatnonzero(missing)
    assert points.sub_networks[points.sub_network[row]] == 's2'
    assert points.processors[points.processor[row]] == 'cpu'
    assert tuple(points.frequencies[row]) == plan.settings[1]
    np.testing.assert_array_equal(np.isnan(points.power), missing)
    assert np.isfinite(points.idle_power).all() and np.isfinite(points.latency_mean).all()


@pytest.mark.parametrize('number', [None, 3])
def test_without_a_rail_there_is_no_energy(number: int | None) -> None:
    plan = make_plan(number)
    points = operating_points(plan, visits(plan, lambda visit: math.nan), '')
    for figures in (points.power, points.idle_power, points.energy):
        assert np.isnan(figures).all()
    assert np.isfinite(points.latency_mean).all()
