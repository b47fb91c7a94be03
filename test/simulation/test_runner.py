# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Managers by name in one harness, and runs side by side."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dynamic_dnn_ros.platforms.contract import PlatformError
from dynamic_dnn_ros.simulation.figures import energy, figures, shortfall
from dynamic_dnn_ros.simulation.runner import manager_names, parse_governors, run, sweep
from dynamic_dnn_ros.simulation.scenario import ScenarioError
from support.scenarios import REAR, application, job, mapping, simulated


@pytest.mark.parametrize('manager', manager_names())
def test_each_manager_runs_two_applications(manager: str) -> None:
    data = mapping(application(), application(REAR, rate=9.0, starts=2.0), duration=8.0)
    found = simulated(data, manager)
    assert found.manager == manager
    for each in found.applications.values():
        assert len(each.frames) > 40
        assert {frame.sub_network for frame in each.frames} <= {'s0', 's1', 's2', 's3'}


def test_no_manager_that_meets_the_target_needs_less_than_the_oracle() -> None:
    runs = {name: simulated(mapping(), name) for name in manager_names()}
    best = runs['oracle']
    assert shortfall(best) == 0
    rail = best.total_rail
    for name, found in runs.items():
        if figures(found)[0].exact_shortfall == 0 and name != 'oracle':
            assert energy(found, rail) >= energy(best, rail) * 0.999, name
    assert shortfall(runs['dynamic_dnn']) == 0
    assert energy(runs['dynamic_dnn'], rail) < energy(best, rail) * 1.05


@pytest.mark.parametrize('latency', [0.045, 0.063])
def test_the_most_accurate_sub_network_that_the_target_allows_is_served(latency: float) -> None:
    target = {'at': 0.5, 'latency': latency, 'rate': 15.0, 'objective': 'maximum_accuracy'}
    bundle = {'bundle': 'cifar10_ofa'}
    data = mapping(application(network=bundle, rate=15.0, targets=[target]), duration=30.0)
    (ours,), (best,) = figures(simulated(data)), figures(simulated(data, 'oracle'))
    assert best.met and ours.met
    assert ours.accuracy >= best.accuracy * 0.999
    assert ours.late <= ours.allowed


def test_the_best_fixed_sub_network_is_the_cheapest_that_is_accurate_enough() -> None:
    loose = [{'at': 0.0, 'latency': 0.2, 'accuracy': 0.75, 'rate': 12.0}]
    found = simulated(mapping(application(targets=loose)), 'best_fixed')
    assert figures(found)[0].accuracy == pytest.approx(0.76)
    assert shortfall(found) == 0


def test_an_unknown_manager_is_refused() -> None:
    with pytest.raises(ScenarioError, match="'best'.*is unknown"):
        run(job(mapping(), 'best'))


@pytest.mark.parametrize('manager', ['best_fixed', 'dynamic_dnn'])
def test_a_rail_that_the_board_lacks_is_refused(manager: str) -> None:
    with pytest.raises(PlatformError, match="rail 'VDD_MOON'"):
        run(replace(job(mapping(), manager), rail='VDD_MOON'))


def test_the_best_fixed_sub_network_is_that_of_the_rail() -> None:
    rail = 'VDD_CPU_GPU_CV'
    by_rail = run(replace(job(mapping(), 'best_fixed'), rail=rail))
    by_module = run(job(mapping(), 'best_fixed'))
    assert shortfall(by_rail) == shortfall(by_module) == 0
    assert energy(by_rail, rail) <= energy(by_module, rail)


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('schedutil+nvhost_podgov', {'cpu': 'schedutil', 'gpu': 'nvhost_podgov'}),
        ('performance', {'cpu': 'performance', 'gpu': 'performance'}),
        ('cpu=powersave,simple_ondemand', {'cpu': 'powersave', 'gpu': 'simple_ondemand'}),
        ('', {}),
    ],
)
def test_governors_by_domain(text: str, expected: dict[str, str]) -> None:
    assert parse_governors(text) == expected


@pytest.mark.parametrize('text', ['ondemand', 'disk=performance'])
def test_unknown_governors_are_refused(text: str) -> None:
    with pytest.raises(ScenarioError, match='is not modelled'):
        parse_governors(text)


def test_runs_side_by_side_are_those_of_one_after_the_other() -> None:
    pytest.importorskip('joblib')
    jobs = [job(mapping(duration=6.0), name) for name in ('smallest', 'alert')]
    one, two = sweep(jobs), sweep(jobs, 2)
    assert [each.energy for each in one] == [each.energy for each in two]
    assert [each.manager for each in two] == ['smallest', 'alert']


def test_a_fixed_one_of_too_little_accuracy_is_tried_only_where_no_other_one_serves() -> None:
    tight = [{'at': 0.0, 'latency': 0.001, 'accuracy': 0.75, 'rate': 12.0}]
    found = simulated(mapping(application(targets=tight)), 'best_fixed')
    assert shortfall(found) > 0
    each = [
        simulated(mapping(application(targets=tight)), name) for name in ('smallest', 'largest')
    ]
    assert shortfall(found) <= min(map(shortfall, each)) + 1e-4
