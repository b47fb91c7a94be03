# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn target` and `dynamic-dnn watch` against a real manager, over real DDS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import json
import math
from pathlib import Path
import signal
import subprocess
from typing import Any

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is absent')

from dynamic_dnn_ros.cli.main import main
from dynamic_dnn_ros.cli.tables import aligned
from dynamic_dnn_ros.cli.target.text import report_lines
from dynamic_dnn_ros.client import Objective, Prediction, Target, TargetReport, TargetState
from dynamic_dnn_ros.management.words import in_unit, target_text
from dynamic_dnn_ros.msg import ManagerStatus
from support.graph import Graph
from support.process import NodeProcess
from support.scripted_application import NAMESPACE, ScriptedApplication

FRONT = '/front/inference_node'
REAR = '/rear/inference_node'

Start = Callable[..., NodeProcess]


@pytest.fixture
def served(graph: Graph, start_node: Start) -> Iterator[ScriptedApplication]:
    """Run a manager and an application that it has decided for."""
    statuses = graph.collect(ManagerStatus, f'{NAMESPACE}/manager_status')
    start_node('manager_node')
    statuses.wait(1, 40.0)
    front = ScriptedApplication(graph, FRONT)
    statuses.wait_for(lambda status: any(row.decision.sub_network for row in status.targets), 20.0)
    with graph.spinning():
        yield front


@pytest.fixture
def answer(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command; return exit code, output and errors."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            code = main(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


Answer = Callable[..., tuple[int, str, str]]


@pytest.mark.system
def test_a_target_from_asking_to_clearing(served: ScriptedApplication, answer: Answer) -> None:
    code, out, err = answer(
        'target', 'ask', '--latency', '20ms', '--accuracy', '85%', '--timeout', '20s'
    )
    assert code == 0, out + err
    assert f'{FRONT}: It would be met' in out
    assert 'at most 20 ms, expected ' in out
    assert 'at least 85.0%, expected ' in out
    code, out, _ = answer('target', 'ask', FRONT, '--latency', '1us')
    assert code == 3
    assert 'It would miss latency' in out

    code, out, _ = answer(
        *('target', 'set', FRONT, '--latency', '0.02', '--accuracy', '0.85'),
        *('--objective', 'maximum_accuracy', '--wait', '20s', '--sender', 'me'),
    )
    assert code == 0, out
    assert 'It is expected to be met.' in out
    assert 'met:' in out
    assert 'next best' in out

    code, out, _ = answer('target', 'list')
    assert code == 0
    (row,) = [line for line in out.splitlines() if line.startswith(FRONT)]
    assert 'latency ≤ 20 ms for 0.95 of frames, accuracy ≥ 85.0%, maximum accuracy' in row
    assert ' me ' in row and ' met ' in row

    code, out, _ = answer('target', 'set', '--latency', '30ms', '--sender', 'other', '--json')
    data = json.loads(out)
    assert data['expected'] == 'met'
    assert data['replaced']['sender'] == 'me'
    assert data['replaced']['objective'] == 'maximum_accuracy'
    assert data['report']['limits'][0]['name'] == 'latency'
    assert data['report']['limits'][0]['required'] == 0.03
    assert 'It replaces the target of me.' in data['message']

    code, out, _ = answer('target', 'list', '--json')
    data = json.loads(out)
    assert data['applications'][0]['id'] == FRONT
    assert data['targets'][0]['target']['latency'] == 0.03

    code, out, _ = answer('target', 'clear', FRONT)
    assert code == 0
    assert 'This withdraws the target of other.' in out


@pytest.mark.system
def test_what_is_missing_is_named(
    served: ScriptedApplication, graph: Graph, answer: Answer
) -> None:
    code, _, err = answer('target', 'set', FRONT)
    assert code == 1 and 'nothing is asked for. Give at least one of --latency' in err
    code, _, err = answer('target', 'set', FRONT, '--latency', 'fast')
    assert code == 2 and "'fast' is no time" in err
    code, _, err = answer('target', 'set', FRONT, '--accuracy', '85')
    assert code == 1 and 'accuracy = 85.0 is above 1' in err
    code, _, err = answer('target', 'set', 'front', '--latency', '25ms')
    assert code == 1 and 'fully qualified node name' in err
    code, _, err = answer('target', 'set', FRONT, '--latency', '1us', '--wait', '1s')
    assert code == 3 and 'is infeasible after 1 s' in err
    for action, *options in (
        ('set', '--latency', '25ms'),
        ('ask', '--latency', '25ms'),
        ('clear',),
    ):
        absent = ('target', action, '/back/inference_node', *options, '--timeout', '6s')
        code, out, err = answer(*absent)
        assert code == 1, (action, out, err)
        assert '/back/inference_node is not there' in err and 'there is no service' not in err
        assert f'Those that are there: {FRONT}.' in err and f'there: {FRONT}.' in out
        if action == 'set':
            code, _, _ = answer('target', 'clear', '/back/inference_node')
            assert code == 0, 'there was a target to clear'
    rear = ScriptedApplication(graph, REAR)
    code, _, err = answer('target', 'set', '--latency', '25ms')
    assert code == 1 and f'which application is meant? Name one of: {FRONT}, {REAR}.' in err
    assert rear.message.target.application == ''


@pytest.mark.system
def test_without_a_manager(domain_id: int, answer: Answer) -> None:
    code, _, err = answer('target', 'set', '--latency', '25ms', '--timeout', '1s')
    assert code == 1 and 'no application is there under /dynamic_dnn' in err
    code, _, err = answer('target', 'set', FRONT, '--latency', '25ms', '--timeout', '1s')
    assert code == 1 and 'no service /dynamic_dnn/set_target' in err and 'ros2 launch' in err
    code, _, err = answer('target', 'list', '--timeout', '500ms', '--namespace', '/robot')
    assert code == 1 and '/robot/manager_status' in err
    code, _, err = answer('watch', '--once', '--timeout', '500ms')
    assert code == 1 and 'nothing runs under /dynamic_dnn' in err
    code, _, err = answer('watch', '--json')
    assert code == 1 and 'Give --once too' in err


@pytest.mark.system
def test_watch_once_shows_what_runs(
    served: ScriptedApplication, start_node: Start, answer: Answer
) -> None:
    start_node('platform_node', parameters={'platform': 'xavier_nx_simulated'})
    answer('target', 'set', FRONT, '--latency', '50ms', '--sender', 'me', '--wait', '20s')
    code, out, err = answer('watch', '--once', '--timeout', '20s')
    assert code == 0, err
    assert 'manager: in control' in out
    (line,) = [line for line in out.splitlines() if line.startswith(FRONT)]
    assert 'target latency ≤ 50 ms for 0.95 of frames; met' in line
    assert ' of 50 ms' in line and 'p95 ' in line and 'ms of' in line
    assert '  frames: ' in out and ' served, 0 replaced' in out
    assert '  last switch: ' in out

    code, out, err = answer('watch', '--once', '--json', '--timeout', '20s')
    assert code == 0, err
    data = json.loads(out)
    row = data['applications'][FRONT]
    assert row['target']['state'] == 'met'
    assert 0 < row['latency'] < 0.05
    assert row['frames']['served'] > 10
    assert row['presented']['bundle'] == 'scripted'
    assert data['manager']['mode'] == 'control'
    assert data['platform']['name'] == 'xavier_nx_simulated'
    assert data['platform']['simulated'] and data['platform']['power'] > 0


@pytest.mark.system
def test_watch_goes_on_in_a_pipe_until_it_is_interrupted(
    served: ScriptedApplication, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        ['dynamic-dnn', 'watch'],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(12)]
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert sum(line.startswith('manager: ') for line in lines) >= 2
    assert not errors, rest


def report(**fields: Any) -> TargetReport:
    return TargetReport(
        FRONT,
        TargetState.MISSED,
        Target(FRONT, latency=0.025, accuracy=0.35, energy=0.2, rate=20.0, priority=2),
        ('latency', 'accuracy', 'energy', 'rate'),
        (0.025, 0.35, 0.2, 20.0),
        (0.02, 0.31, math.nan, 25.0),
        (0.03, math.nan, math.nan, 19.0),
        (0.005, 0.04, 0.0, 1.0),
        decision=Prediction('s2', 'gpu', (('gpu', 510e6),), power=5.25),
        metric='map_50_95',
        **fields,
    )


def test_reports_name_the_metric_and_people_s_units() -> None:
    rows = dict(report_lines(report()))
    assert rows['accuracy (AP 50:95)'] == 'at least 35.0%, expected 31.0%: missed by 4 points'
    assert rows['latency'] == 'at most 25 ms, expected 20 ms, measured 30 ms: missed by 5 ms'
    assert rows['energy'] == 'at most 200 mJ, expected –'
    assert rows['rate'] == 'at least 20 Hz, expected 25 Hz, measured 19 Hz: missed by 1 Hz'
    assert rows['chosen'] == 's2 on gpu, gpu 510 MHz, 5.25 W'
    assert rows['target'] == (
        'latency ≤ 25 ms for 0.95 of frames, accuracy (AP 50:95) ≥ 35.0%, energy ≤ 200 mJ, '
        'rate ≥ 20 Hz, priority 2'
    )


def test_targets_without_limits_name_their_objective() -> None:
    assert target_text(Target(FRONT, objective=Objective.MINIMUM_LATENCY)) == 'minimum latency'
    assert target_text(Target(FRONT)) == 'minimum energy'
    assert target_text(None) == 'none'
    assert in_unit('energy', 2.5) == '2.5 J'


def test_tables_are_aligned() -> None:
    assert aligned(('a', 'bb'), [('long', 'x'), ('s', 'yyy')]) == 'a     bb\nlong  x\ns     yyy'
