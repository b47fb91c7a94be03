# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn simulate`: a table, a picture, and what is wrong said plainly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from dynamic_dnn_ros.cli.main import main
from dynamic_dnn_ros.cli.report.record import read_run
from dynamic_dnn_ros.management.registry import GROUP
from dynamic_dnn_ros.scheduling.registry import scheduler_names
from dynamic_dnn_ros.simulation.requests.compare import choices
from support.scenarios import FRONT, application, mapping


def scenario(folder: Path, data: dict[str, Any]) -> str:
    """Write a scenario file and return its path."""
    path = folder / 'scenario.yaml'
    path.write_text(yaml.safe_dump(data))
    return str(path)


def test_writes_a_table_and_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip('matplotlib')
    path = scenario(tmp_path, mapping(duration=8.0))
    picture = tmp_path / 'run.png'
    arguments = ['simulate', path, '--manager', 'dynamic_dnn,smallest', '--seeds', '2']
    arguments += ['--governor', 'performance', '--picture', str(picture)]
    assert main([*arguments, '--record', str(tmp_path / 'runs')]) == 0
    printed = capsys.readouterr().out
    rows = [line for line in printed.splitlines() if FRONT in line]
    assert [row.split('|')[1].strip() for row in rows] == ['dynamic_dnn'] * 2 + ['smallest'] * 2
    assert [row.split('|')[2].strip() for row in rows] == ['3', '4', '3', '4']
    assert 'simulated, model of xavier_nx' in printed
    for name in ('dynamic_dnn', 'smallest'):
        written = tmp_path / f'run_{name}.png'
        assert f'picture: {written}' in printed
        assert written.read_bytes().startswith(b'\x89PNG')
        run = read_run(tmp_path / 'runs' / f'scenario_{name}.json')
        assert run.manager == name
        assert run.applications[FRONT].frames


def test_names_the_picture_after_scenario_and_manager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip('matplotlib')
    monkeypatch.chdir(tmp_path)
    assert main(['simulate', scenario(tmp_path, mapping(duration=6.0))]) == 0
    assert [path.name for path in tmp_path.glob('*.png')] == ['scenario_dynamic_dnn.png']


def test_runs_the_decider_of_another_package(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], offer: Callable[..., None]
) -> None:
    offer(GROUP, theirs='support.deciders:second_largest')
    path = scenario(tmp_path, mapping(duration=8.0))
    assert main(['simulate', path, '--manager', 'theirs', '--picture', 'none']) == 0
    assert '| theirs |' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('change', 'arguments', 'parts'),
    [
        ({}, ['--manager', 'best'], ("'best'", 'is unknown', 'oracle')),
        ({}, ['--governor', 'ondemand'], ("'ondemand'", 'is not modelled', 'schedutil')),
        ({}, ['--rail', 'VDD_GPU'], ('VDD_GPU', 'has none', 'VDD_CPU_GPU_CV')),
        ({}, ['--seeds', '0'], ('--seeds 0',)),
        ({'platform': {'board': 'toaster_simulated'}}, [], ('toaster_simulated', 'Choose of')),
        (
            {'applications': [application(network={'bundle': 'absent'})]},
            [],
            (FRONT, 'absent', 'Shipped are'),
        ),
        (
            {'applications': [application(network={'levels': 'absent.json'})]},
            [],
            ('absent.json', 'is absent'),
        ),
        (
            {'applications': [application(network={'measured': 'resnet50'})]},
            [],
            ("'resnet50'", 'was not measured on xavier_nx'),
        ),
        ({'applications': [application(sub_network='s9')]}, [], ("'s9'", 's0, s1, s2, s3')),
    ],
)
def test_says_what_is_wrong(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, Any],
    arguments: list[str],
    parts: tuple[str, ...],
) -> None:
    path = scenario(tmp_path, mapping(**change))
    assert main(['simulate', path, '--picture', 'none', *arguments]) == 1
    error = capsys.readouterr().err
    for part in ('dynamic-dnn simulate:', *parts):
        assert part in error


def test_names_the_scenarios_that_ship(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['simulate', 'absent']) == 1
    assert 'two_cameras' in capsys.readouterr().err


def test_keeps_the_power_of_a_rail_low(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = scenario(tmp_path, mapping(duration=8.0))
    joules = []
    for more in ([], ['--rail', 'VDD_CPU_GPU_CV']):
        assert main(['simulate', path, '--picture', 'none', *more]) == 0
        (row,) = [line for line in capsys.readouterr().out.splitlines() if FRONT in line]
        joules.append([float(row.split('|')[column]) for column in (8, 10)])
    (module, processing), (other_module, other_processing) = joules
    assert module < other_module
    assert other_processing < processing


def requests(folder: Path) -> str:
    """Write a workload of few requests and return its path."""
    networks = [{'synthetic': 'mobilenet', 'pattern': 'block'}, {'synthetic': 'bert'}]
    return scenario(folder, {'requests': {'rates': [20], 'count': 30, 'networks': networks}})


def test_compares_schedulers_on_requests(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip('matplotlib')
    picture = tmp_path / 'requests.png'
    arguments = ['simulate', requests(tmp_path), '--scheduler', 'all', '--seeds', '2']
    assert main([*arguments, '--picture', str(picture)]) == 0
    printed = capsys.readouterr().out
    assert 'simulated' in printed
    rows = [line for line in printed.splitlines() if line.startswith('| 20 |')]
    assert [row.split('|')[3].strip() for row in rows] == list(choices())
    assert picture.read_bytes().startswith(b'\x89PNG')


def test_runs_a_scenario_under_a_scheduler(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = scenario(tmp_path, mapping(duration=6.0))
    arguments = ['--scheduler', 'dysta,first_come', '--manager', 'smallest', '--picture', 'none']
    assert main(['simulate', path, *arguments]) == 0
    printed = capsys.readouterr().out
    assert '| smallest, dysta |' in printed and '| smallest, first_come |' in printed


def test_a_scheduler_that_does_not_exist_is_answered_by_all_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for write in (lambda folder: scenario(folder, mapping(duration=6.0)), requests):
        path = write(tmp_path)
        assert main(['simulate', path, '--scheduler', 'fifo', '--picture', 'none']) != 0
        printed = capsys.readouterr().err
        assert "'fifo'" in printed and all(name in printed for name in scheduler_names())
