# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The fast prediction of a search is the one that the assessment defines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dynamic_dnn_ros.management.assessment import Demand, expect, shortfall
from dynamic_dnn_ros.management.estimator import SlowDownFilter
from dynamic_dnn_ros.management.forecast import Forecast, Points
from dynamic_dnn_ros.management.queueing import Neighbour, Waited, queue
from dynamic_dnn_ros.management.tables import FIGURES, application_table, least_figures
from dynamic_dnn_ros.management.targets import Target
from support.applications import application

MARGIN = 0.03


def test_predicts_the_same_where_applications_take_turns() -> None:
    table = application_table(application())
    options, rows = len(table.options), np.arange(len(table.rows))
    target = Target('/a/node', latency=0.02, rate=20.0)
    usable, shares = np.ones(options, dtype=bool), np.ones((options, 1))
    demand = Demand(target, 0, SlowDownFilter(), 25.0, 0.0, 0.0, usable, shares, server='a')
    busy = np.linspace(0.0, 1.2, len(rows))
    members = [Neighbour(busy, 15.0, ahead) for ahead in (-1, 0, 1)]
    held = queue(members, 1.3, Waited(0.7, 1.4))
    figures = dict(zip(FIGURES, table.figures[:, :, rows]))
    expected = expect(demand, figures, table.accuracy[:, None], held)
    least = least_figures(table, rows)
    points = Points(
        Forecast(demand, MARGIN), least.points(rows), least.accuracy[:, None], least.complete
    )
    latency, mean = points.latency(held)
    assert latency is not None
    np.testing.assert_allclose(latency, expected.latency, rtol=1e-12)
    np.testing.assert_allclose(mean, expected.service, rtol=1e-12)
    np.testing.assert_allclose(points.busy(held), expected.busy, rtol=1e-12)


@pytest.mark.parametrize('camera', [0.02, 0.08])
@pytest.mark.parametrize('turns', [False, True])
@pytest.mark.parametrize('disturbed', [False, True])
def test_predicts_the_same_where_some_settings_have_others_beside_it(
    camera: float, turns: bool, disturbed: bool
) -> None:
    table = application_table(application())
    options, rows = len(table.options), np.arange(len(table.rows))
    target = Target('/a/node', latency=0.02)
    usable, shares = np.ones(options, dtype=bool), np.ones((options, 1))
    demand = Demand(
        target, 0, SlowDownFilter(), 60.0, 0.0, 0.0, usable, shares,
        server='a' if turns else '', camera_variation=camera, disturbed=disturbed,
    )  # fmt: skip
    busy = np.where(rows % 2, 0.3, 0.0)
    # As the search adds and takes away what others take, to the last digit.
    others = 1.0 + (busy + 0.7) - 0.7
    contention = queue([Neighbour(busy, 15.0, 0)], 1.0) if turns else others
    figures = dict(zip(FIGURES, table.figures[:, :, rows]))
    expected = expect(demand, figures, table.accuracy[:, None], contention).latency
    least = least_figures(table, rows)
    points = Points(
        Forecast(demand, MARGIN), least.points(rows), least.accuracy[:, None], least.complete
    )
    latency, _ = points.latency(contention)
    assert latency is not None
    np.testing.assert_allclose(latency, expected, rtol=1e-12)
    undisturbed = expect(demand, figures, table.accuracy[:, None], 1.0).latency
    alone = busy == 0
    np.testing.assert_allclose(expected[:, alone], undisturbed[:, alone], rtol=1e-9)
    assert (expected[:, ~alone] > undisturbed[:, ~alone]).all()
    calm = expect(replace(demand, disturbed=False), figures, table.accuracy[:, None], 1.0).latency
    assert (undisturbed >= calm).all() and (undisturbed > calm).any() == disturbed


@pytest.mark.parametrize('quantile', [0.3, 0.5, 0.9, 0.95, 0.99, 0.999])
@pytest.mark.parametrize('contention', [1.0, 1.7])
@pytest.mark.parametrize('rate', [5.0, 60.0, 300.0])
def test_predicts_what_the_assessment_does(
    quantile: float, contention: float, rate: float
) -> None:
    table = application_table(application())
    slow_down = SlowDownFilter()
    slow_down.mean, slow_down.variance = 1.3, 4e-4
    target = Target(
        '/a/node',
        latency=0.02,
        latency_quantile=quantile,
        accuracy=0.87,
        energy=0.05,
        rate=0.8 * rate,
    )
    options = len(table.options)
    demand = Demand(
        target,
        0,
        slow_down,
        rate,
        0.001,
        0.0004,
        np.ones(options, dtype=bool),
        np.ones((options, 1)),
        path_variation=0.0 if contention == 1.0 else 0.3,
        camera_variation=0.02,
        occupancy=0.7,
    )
    rows = np.arange(len(table.rows))
    figures = dict(zip(FIGURES, table.figures[:, :, rows]))
    expected = expect(demand, figures, table.accuracy[:, None], contention)
    least = least_figures(table, rows)
    forecast = Forecast(demand, MARGIN)
    points = Points(forecast, least.points(rows), least.accuracy[:, None], least.complete)
    factor = np.full(len(rows), contention) if contention > 1 else contention
    latency, mean = points.latency(factor)
    assert latency is not None
    np.testing.assert_allclose(latency, expected.latency, rtol=1e-12)
    np.testing.assert_allclose(mean, expected.service, rtol=1e-12)
    np.testing.assert_allclose(points.busy(factor), expected.busy, rtol=1e-12)
    missed = forecast.missed(points.fixed, latency, mean)
    np.testing.assert_allclose(
        missed, shortfall(demand, expected, demand.room(MARGIN)), rtol=1e-9, atol=1e-12
    )
    choice = np.zeros(len(rows), dtype=np.int64)
    first, _ = points.chosen(choice, rows).latency(factor)
    assert first is not None
    np.testing.assert_array_equal(first, latency[0])
