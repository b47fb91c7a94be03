# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures that leave early on a simulated board: paths, what they cost, and who knows of them."""

from __future__ import annotations

import random
from typing import Any

import pytest

from dynamic_dnn_ros.management.observations import StageShare
from dynamic_dnn_ros.management.paths import Paths
from dynamic_dnn_ros.simulation.figures import shortfall
from dynamic_dnn_ros.simulation.oracle import _mixture
from dynamic_dnn_ros.simulation.scenario import ScenarioError
from dynamic_dnn_ros.simulation.scene import WHOLE, Scene
from support.scenarios import FRONT, NETWORK, application, job, mapping, simulated

STAGES = [
    {'name': 'first', 'work': 0.4, 'taken': 0.9},
    {'name': 'last', 'work': 1.0, 'taken': 0.1},
]


def staged(difficulty: list[dict[str, float]], **fields: Any) -> dict[str, Any]:
    """Return a scenario whose largest sub-network has an early exit."""
    *smaller, largest = NETWORK['sub_networks']
    network = {'sub_networks': [*smaller, {**largest, 'stages': STAGES}]}
    return mapping(application(network=network, difficulty=difficulty, **fields))


def test_as_many_pictures_leave_early_as_the_difficulty_says() -> None:
    paths = {'s': Paths([StageShare(**stage) for stage in STAGES])}
    scene = Scene(paths, lambda now: 3.0, random.Random(1))
    taken = [scene.path('s', 0.0) for _ in range(4000)]
    assert set(taken) == {(0.4, 'first'), (1.0, 'last')}
    assert taken.count((0.4, 'first')) / 4000 == pytest.approx(0.9**3, abs=0.02)
    assert scene.path('of one piece', 0.0) == WHOLE


def test_a_short_path_takes_its_share_of_latency_and_energy() -> None:
    fastest = {'cpu': 'performance', 'gpu': 'performance', 'memory': 'performance'}
    runs = [
        simulated(staged([{'at': 0.0, 'value': value}], jitter=0.0), 'largest', governors=fastest)
        for value in (0.01, 100.0)
    ]
    easy, hard = (run.applications[FRONT].frames[20:] for run in runs)
    # Not one of them is sure to be easy.
    easy = [frame for frame in easy if frame.path == 0.4]
    assert len(easy) > 0.95 * len(hard)
    assert {frame.path for frame in hard} == {1.0}
    assert easy[0].inference == pytest.approx(0.4 * hard[0].inference)
    rail = runs[0].total_rail
    above = [run.energy[rail] - run.idle_power[rail] * run.measured for run in runs]
    assert above[0] < 0.8 * above[1]


@pytest.mark.parametrize('manager', ['dynamic_dnn', 'alert', 'path_blind', 'oracle'])
def test_whoever_decides_can_serve_sub_networks_with_stages(manager: str) -> None:
    found = simulated(staged([{'at': 10.0, 'value': 5.0}]), manager)
    assert shortfall(found) == 0.0


def test_a_quantile_of_a_mixture_is_that_of_its_frames() -> None:
    draw = random.Random(2)
    works, shares, sigma = (0.4, 1.0), (0.9, 0.1), 0.05
    frames = sorted(
        draw.choices(works, shares)[0] * draw.lognormvariate(-0.5 * sigma**2, sigma)
        for _ in range(20000)
    )
    for quantile in (0.5, 0.85, 0.95):
        expected = frames[int(quantile * len(frames))]
        assert _mixture(works, shares, sigma, quantile) == pytest.approx(expected, rel=0.02)
    assert _mixture((1.0,), (1.0,), 0.0, 0.95) == 1.0


def test_stages_that_cannot_be_are_named() -> None:
    data = staged([])
    data['applications'][0]['network']['sub_networks'][-1]['stages'] = [
        {'name': 'first', 'work': 0.4, 'taken': 0.9},
        {'name': 'last', 'work': 1.0, 'taken': 0.2},
    ]
    with pytest.raises(ScenarioError, match=r's3: stages: shares .* add up to 1'):
        job(data)
