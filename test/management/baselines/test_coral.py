# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from dynamic_dnn_ros.management.baselines.coral import distance_correlation
from dynamic_dnn_ros.management.baselines.probing import PROBES
from dynamic_dnn_ros.simulation.runs import Run
from support.scenarios import FRONT, application, mapping, simulated


def power_at_the_end(run: Run) -> float:
    rail = run.rails.index(run.total_rail)
    return float(np.mean([s.power[rail] for s in run.samples if s.time > run.duration - 15.0]))


def test_distance_correlation_sees_what_is_no_line() -> None:
    x = np.linspace(-1.0, 1.0, 41)
    assert distance_correlation(x, 3.0 - 2.0 * x) == pytest.approx(1.0)
    # Its ordinary correlation is 0; published for this shape: about a half.
    assert distance_correlation(x, x**2) == pytest.approx(0.49, abs=0.03)
    assert distance_correlation(x, np.ones(41)) == 0.0
    noise = np.random.default_rng(1).normal(size=(2, 400))
    assert distance_correlation(*noise) < 0.15


def test_it_saves_more_than_random_tries_and_keeps_the_target_after() -> None:
    scenario = mapping(duration=90.0)
    guided, blind = (simulated(scenario, m, profiled=False) for m in ('coral', 'random_search'))
    assert power_at_the_end(guided) < power_at_the_end(blind) - 0.1
    frames = [f for f in guided.applications[FRONT].frames if f.time > 75.0]
    assert np.mean([f.latency > 0.075 for f in frames]) <= 0.05
    assert len(guided.settings) <= PROBES + 2


@pytest.mark.parametrize(('objective', 'sub_network'), [('maximum_accuracy', 's3'), (None, 's1')])
def test_it_goes_for_what_is_asked(objective: str | None, sub_network: str) -> None:
    # Of the sub-networks, s0 is not accurate enough.
    asked = application()
    if objective is not None:
        asked['targets'][0]['objective'] = objective
    run = simulated(mapping(asked, duration=50.0), 'coral', profiled=False)
    assert run.applications[FRONT].frames[-1].sub_network == sub_network


def test_the_same_again_gives_the_same() -> None:
    first, again = (simulated(mapping(duration=20.0), 'coral') for _ in range(2))
    assert first.settings == again.settings
