# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scenario files: what they say is taken over, and what is wrong in them is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dynamic_dnn_ros.management.targets import Objective
from dynamic_dnn_ros.simulation.requests.workload import RequestWorkload, is_request_workload
from dynamic_dnn_ros.simulation.scenario import Scenario, ScenarioError, read_scenario
from support.scenarios import FRONT, REAR, application, mapping
from support.shared_data import REPOSITORY


def test_takes_everything_over() -> None:
    scenario = Scenario.from_mapping(
        mapping(
            application(
                camera={'rate': 10, 'jitter': 0.1, 'changes': [{'at': 5, 'rate': 20}]},
                ends=18,
                jitter=0.2,
                slow_down=[{'at': 4, 'factor': 1.5}],
                targets=[
                    {'at': 1, 'latency': 0.05, 'objective': 'maximum_accuracy', 'priority': 2},
                    {'at': 9, 'clear': True},
                ],
            ),
            application(REAR, starts=6),
            other_load=[{'at': 3, 'until': 7, 'cpu': 0.4}, {'at': 5, 'cpu': 0.3, 'gpu': 0.1}],
            cooling=[{'at': 8, 'ambient': 45}],
            power_modes=[{'at': 11, 'mode': '10W_4CORE'}],
            sensors={'delay': 0.1, 'load': {'noise': 0.2}, 'silent': [{'at': 12, 'until': 13}]},
            delays={'switch': 0.05},
        )
    )
    front = scenario.applications[0]
    assert front.camera.rate_at(4.9) == 10
    assert front.camera.rate_at(5) == 20
    assert front.slow_down_at(3.9) == 1
    assert front.slow_down_at(4) == 1.5
    target = front.target_at(8)
    assert target is not None
    assert (target.application, target.objective, target.priority) == (
        FRONT,
        Objective.MAXIMUM_ACCURACY,
        2,
    )
    assert front.target_at(0.5) is None
    assert front.target_at(10) is None
    assert scenario.other_load_at(2) == {}
    assert scenario.other_load_at(6) == {'cpu': 0.7, 'gpu': 0.1}
    assert scenario.other_load_at(8) == {'cpu': 0.3, 'gpu': 0.1}
    assert scenario.sensors.load.noise == 0.2
    assert scenario.sensors.silent == ((12, 13),)
    assert scenario.delays.switch == 0.05
    begins = [begin for begin, _ in scenario.stretches()]
    assert begins == [0, 0.5, 1, 3, 4, 5, 6, 7, 8, 9, 11, 18]
    assert scenario.stretches()[-1] == (18, 20)


@pytest.mark.parametrize(
    ('change', 'parts'),
    [
        ({'duration': -1}, ('duration', '-1')),
        ({'duration': float('nan')}, ('duration = nan', 'is not a number')),
        (
            {'applications': [application(starts=float('inf'))]},
            ('applications[0].starts = inf', 'Give a finite one'),
        ),
        ({'durations': 3}, ('durations', 'Known here are', 'duration')),
        ({'applications': []}, ('applications', '[]')),
        ({'measured_from': 20}, ('measured_from = 20', 'not before the end')),
        ({'platform': {}}, ('platform', "'board' is a required property")),
        ({'applications': [application(), application()]}, ('2 applications', FRONT)),
        (
            {'applications': [application(camera={'rate': 0})]},
            ('applications[0].camera.rate', '0'),
        ),
        (
            {'applications': [application(network={'only': ['s0']})]},
            ('applications[0].network', '0 networks', 'Give one of'),
        ),
        (
            {'applications': [application(targets=[{'latency_quantile': 0.9}])]},
            ('targets[0].latency_quantile', 'contradicts'),
        ),
        (
            {'applications': [application(targets=[{'clear': True, 'latency': 1}])]},
            ('targets[0]', 'clears the target and sets one'),
        ),
        ({'applications': [application(starts=5, ends=4)]}, ('ends = 4', 'start at 5')),
        (
            {'other_load': [{'at': 3, 'until': 3, 'cpu': 0.1}]},
            ('other_load[0].until', 'not after'),
        ),
        ({'other_load': [{'at': 3}]}, ('other_load[0]', 'names no domain')),
    ],
)
def test_says_what_is_wrong(change: dict[str, Any], parts: tuple[str, ...]) -> None:
    with pytest.raises(ScenarioError) as raised:
        Scenario.from_mapping(mapping(**change), 'file.yaml')
    for part in ('file.yaml', *parts):
        assert part in str(raised.value)


@pytest.mark.parametrize('content', ['{', '- 1', ''])
def test_refuses_files_that_are_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / 'scenario.yaml'
    path.write_text(content)
    with pytest.raises(ScenarioError, match='scenario.yaml'):
        Scenario.from_file(path)
    with pytest.raises(ScenarioError, match=r'absent\.yaml'):
        Scenario.from_file(tmp_path / 'absent.yaml')


def test_a_key_given_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    path = tmp_path / 'scenario.yaml'
    path.write_text('duration: 3\nname: a\nduration: 4\n')
    with pytest.raises(ScenarioError, match="'duration' is given twice, in line 1 and in line 3"):
        Scenario.from_file(path)


@pytest.mark.parametrize(
    'path', sorted((REPOSITORY / 'config' / 'scenarios').glob('*.yaml')), ids=lambda p: p.stem
)
def test_scenarios_that_ship_can_be_read(path: Path) -> None:
    data = read_scenario(path)
    if is_request_workload(data):
        assert RequestWorkload.from_mapping(data, path).traces
    else:
        assert Scenario.from_mapping(data, path).applications
