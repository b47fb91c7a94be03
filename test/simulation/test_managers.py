# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The rules of what the manager is judged against, told frame by frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dynamic_dnn_ros.cli.simulate import levels
from dynamic_dnn_ros.management.baselines.alert import Alert
from dynamic_dnn_ros.management.baselines.baseline import Baseline
from dynamic_dnn_ros.management.baselines.dynamic_ofa import DynamicOfaRule
from dynamic_dnn_ros.management.baselines.restricted import dvfs_only, network_only
from dynamic_dnn_ros.management.baselines.static import Static
from dynamic_dnn_ros.management.targets import Target
from dynamic_dnn_ros.platforms.board_model import BoardModel, load_board
from dynamic_dnn_ros.simulation.board import BoardInTime
from dynamic_dnn_ros.simulation.oracle import Oracle, StretchPlan
from dynamic_dnn_ros.simulation.runner import boards_of
from dynamic_dnn_ros.simulation.scenario import Scenario
from dynamic_dnn_ros.simulation.sensing import Sensing
from dynamic_dnn_ros.simulation.workloads import workloads
from support.applications import GPU, SUB_NETWORKS, operating_points, served_frame
from support.applications import application as presented
from support.scenarios import FRONT, application, job, mapping, simulated


def serve(manager: Baseline, sub_network: str, latency: float, count: int) -> list[bool]:
    """Report frames; return whether each asked for a decision."""
    return [
        manager.observe(
            served_frame(FRONT, f'instance of {FRONT}', sub_network, latency, received=index),
            0.05 * index,
        )
        for index in range(count)
    ]


def told(manager: Baseline, target: Target) -> Baseline:
    """Give a manager one application that serves its second sub-network, and a target."""
    manager.add_application(presented(FRONT, sub_network='s2'), 0.0)
    manager.set_target(target, 1)
    return manager


def test_dynamic_ofa_goes_down_after_twenty_late_images() -> None:
    manager = told(DynamicOfaRule(), Target(FRONT, latency=0.02))
    asked = serve(manager, 's2', 0.025, 60)
    # 21 are left out, 20 are averaged.
    assert asked.index(True) == 40
    assert manager.decide(3.0).switches[0].sub_network == 's1'
    assert manager.decide(3.0).setting is None


def test_dynamic_ofa_goes_up_for_accuracy_later_and_not_straight_back() -> None:
    manager = told(DynamicOfaRule(), Target(FRONT, latency=0.1, accuracy=0.91))
    asked = serve(manager, 's2', 0.02, 90)
    assert asked.index(True) == 70
    assert manager.decide(5.0).switches[0].sub_network == 's3'


def test_dynamic_ofa_throws_very_late_images_away() -> None:
    manager = told(DynamicOfaRule(), Target(FRONT, latency=0.02))
    assert not any(serve(manager, 's2', 0.031, 100))


def test_alert_follows_a_slow_down_and_pays_for_the_deadline() -> None:
    run = simulated(mapping(), 'alert')
    slow = mapping()
    slow['applications'][0]['slow_down'] = [{'at': 0.0, 'factor': 1.3}]
    slower = simulated(slow, 'alert')
    assert slower.energy[run.total_rail] > run.energy[run.total_rail]
    manager = told(Alert(), Target(FRONT, latency=0.5))
    assert manager.decide(0.1).switches[0].sub_network == 's0'


@pytest.mark.filterwarnings('error')
def test_alert_without_figures_of_power_still_keeps_the_target() -> None:
    manager = Alert()
    manager.add_application(presented(FRONT, operating_points=operating_points(power=False)), 0.0)
    manager.set_target(Target(FRONT, latency=0.03, accuracy=0.88), 1)
    decision = manager.decide(0.1)
    assert decision.switches[0].sub_network in ('s2', 's3')
    assert decision.setting is not None
    assert decision.setting[0].maximum > GPU[0]


def test_static_ones_never_change() -> None:
    manager = told(Static(-1), Target(FRONT, latency=0.001))
    assert manager.decide(0.1).switches[0].sub_network == 's3'
    assert not any(serve(manager, 's3', 1.0, 50))


def oracle(data: dict[str, Any], board: BoardModel | None = None) -> list[StretchPlan]:
    """Return the plans of an oracle, one a stretch."""
    scenario = Scenario.from_mapping(data)
    boards = boards_of(scenario) if board is None else lambda _: board
    networks = workloads(scenario, boards(scenario.power_mode), Path('.'), levels)
    found = [plan for _, plan in Oracle(scenario, boards, networks, 1).plans]
    assert all(found)
    return [plan for plan in found if plan is not None]


def test_the_oracle_finds_the_processor_that_others_leave_alone() -> None:
    board = load_board('orin_nx_simulated')
    board.processors = ('gpu', 'dla0')
    target = {'at': 0.0, 'latency': 0.007, 'rate': 20.0}
    data = mapping(
        application(network={'measured': 'resnet50'}, rate=20.0, targets=[target]),
        platform={'board': 'orin_nx_simulated'},
        other_load=[{'at': 0.0, 'gpu': 0.5}],
    )
    (plan,) = oracle(data, board)
    assert plan.options[FRONT] == ('resnet50', 'dla0')


def test_the_oracle_keeps_to_the_power_mode_that_was_set_last() -> None:
    modes = [{'at': 12, 'mode': '20W_6CORE'}, {'at': 6, 'mode': '10W_DESKTOP'}]
    tight = [{'at': 0.0, 'latency': 0.045, 'accuracy': 0.70, 'rate': 12.0}]
    plans = oracle(mapping(application(targets=tight), power_modes=modes))
    assert [plan.clocks['gpu'] > 510e6 for plan in plans] == [True, False, True]


@pytest.mark.parametrize('manager', [Static(-1), DynamicOfaRule()])
def test_rules_that_know_no_processors_stay_on_the_one_they_find(manager: Baseline) -> None:
    one = operating_points()
    two = np.arange(2 * len(one)) % len(one)
    columns = ('sub_network', 'frequencies', 'latency_mean', 'latency_p50', 'latency_p95')
    columns += ('latency_p99', 'power', 'idle_power', 'energy', 'interpolated')
    points = replace(
        one,
        processors=('cpu', 'gpu'),
        processor=np.repeat([0, 1], len(one)),
        **{name: getattr(one, name)[two] for name in columns},
    )
    manager.add_application(presented(FRONT, operating_points=points), 0.0)
    manager.set_target(Target(FRONT, latency=0.03), 1)
    assert manager.decide(0.1).switches[0].processor == 'gpu'


def test_halves_of_the_manager_see_half_of_the_profile() -> None:
    clocks, networks = dvfs_only(), network_only()
    for manager in (clocks, networks):
        manager.add_application(presented(FRONT, sub_network='s2'), 0.0)
        manager.set_target(Target(FRONT, latency=0.03), 1)
    one = clocks._registry[FRONT].table
    assert one is not None
    assert {sub_network for sub_network, _ in one.options} == {'s2'}
    assert len(one.rows) == len(GPU)
    other = networks._registry[FRONT].table
    assert other is not None
    assert other.domains == ()
    assert len(other.options) == len(SUB_NETWORKS)
    assert other.mean.max() == pytest.approx(0.022)


def test_readings_are_biased_noisy_and_late_as_asked() -> None:
    board = BoardInTime(load_board('xavier_nx_simulated'))
    data = mapping(
        sensors={'delay': 0.2, 'power': {'bias': 0.5}, 'silent': [{'at': 1, 'until': 2}]}
    )
    sensing = Sensing(board, 'x', job(data).scenario.sensors, 0.1, 1)
    board.advance(0.1)
    truth = board.power[board.rails.index('VDD_IN')]
    assert sensing.sample(0.1, '').power == pytest.approx(1.5 * truth)
    assert sensing.delay(0.5) == pytest.approx(0.2)
    assert sensing.delay(1.5) is None
