# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn replay` of bags that were made up; of real nodes: test/system."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer

from dynamic_dnn_ros.cli.main import main
from dynamic_dnn_ros.cli.replay import ReplayError, read
from dynamic_dnn_ros.management.observations import Application, Load, points_digest
from dynamic_dnn_ros.msg import DomainSetting, ManagerStatus, SystemLoad
from dynamic_dnn_ros.nodes.manager.inputs import Input, InputKind, InputLog, abridged
from dynamic_dnn_ros.nodes.manager.messages import application_of
from dynamic_dnn_ros.nodes.manager.parameters import PARAMETERS
from support.bag_player import PACKAGE, type_store
from support.presentation import presentation
from support.shared_data import DRIVING_BAG, shared_data


def test_refuses_what_is_no_bag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['replay', str(tmp_path / 'absent')]) == 1
    error = capsys.readouterr().err
    assert 'absent' in error
    assert 'Give the folder' in error


def test_refuses_a_bag_without_a_manager(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['replay', str(shared_data(DRIVING_BAG)), '--manager', 'alert']) == 1
    assert 'has no messages of this package. Record' in capsys.readouterr().err


def test_refuses_an_unknown_manager(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['replay', str(tmp_path), '--manager', 'best']) == 1
    assert "'best' is unknown" in capsys.readouterr().err


def write_bag(path: Path, messages: list[tuple[str, object]]) -> Path:
    """Write a bag of messages of this package, each on a topic of its type's name."""
    store = type_store()
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = {}
        for time, (name, message) in enumerate(messages):
            if name not in connections:
                kind = f'{PACKAGE}/msg/{name}'
                connections[name] = writer.add_connection(f'/robot/{name}', kind, typestore=store)
            writer.write(connections[name], time, serialize_message(message))
    return path


def decision(instance: str, number: int, domain: str) -> tuple[str, object]:
    """Return what a manager says that it decided; here only which domain it set."""
    domains = [DomainSetting(name=domain, maximum=1e9)]
    return 'ManagerStatus', ManagerStatus(instance=instance, decisions=number, domains=domains)


def test_each_manager_and_each_of_its_beginnings_is_a_session(tmp_path: Path) -> None:
    parameters = {row.name: row.default for row in PARAMETERS}
    messages: list[tuple[str, object]] = []
    for instance, dwell, numbers in (('a', 1.0, (1, 2)), ('b', 2.0, (7, 8)), ('a', 3.0, (1,))):
        log = InputLog(instance, {**parameters, 'dwell': dwell})
        for number in numbers:
            load = serialize_message(SystemLoad(platform='board', period=0.1))
            log.add(Input(InputKind.SYSTEM_LOAD, number - 0.5, 0, load))
            # One that the manager ignores: nobody could tell when it is stale.
            log.add(Input(InputKind.SYSTEM_LOAD, number - 0.4, 0, serialize_message(SystemLoad())))
            messages.append(('ManagerInputs', log.message(number, float(number))))
            if (instance, number) != ('b', 7):
                messages.append(decision(instance, number, f'{instance} {dwell:g}'))
    first, again, other = read(write_bag(tmp_path / 'bag', messages)).sessions

    assert [one.instance for one in (first, again, other)] == ['a', 'a', 'b']
    assert [one.settings.resource.dwell for one in (first, again, other)] == [1.0, 3.0, 2.0]
    assert [one.number for one in first.rounds] == [1, 2]
    assert (first.missing, again.missing, other.missing) == (0, 0, 6)
    for session, domain in ((first, 'a 1'), (again, 'a 3')):
        for one in session.rounds:
            assert one.decision is not None
            assert one.decision.frequencies == ((domain, 1_000_000),)
            assert [type(entry.told) for entry in one.entries] == [Load]
            assert one.time - one.entries[0].time == 0.5
    assert other.rounds[0].decision is None


def test_parameters_that_changed_count_from_the_decision_on(tmp_path: Path) -> None:
    parameters = {row.name: row.default for row in PARAMETERS}
    log = InputLog('a', parameters)
    messages: list[tuple[str, object]] = []
    for number, cap in ((1, 0.0), (2, 0.0), (3, 7.5), (4, 7.5)):
        if cap:
            log.adjust({**parameters, 'power_cap': cap})
        load = serialize_message(SystemLoad(platform='board', period=0.1))
        log.add(Input(InputKind.SYSTEM_LOAD, number - 0.5, 0, load))
        messages.append(('ManagerInputs', log.message(number, float(number))))
    (session,) = read(write_bag(tmp_path / 'bag', messages)).sessions
    assert session.settings.power_cap == math.inf
    caps = [one.settings.power_cap if one.settings else None for one in session.rounds]
    assert caps == [None, None, 7.5, None]


def test_says_what_the_recording_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = InputLog('late', {row.name: row.default for row in PARAMETERS})
    load = serialize_message(SystemLoad(platform='board', period=0.1))
    log.add(Input(InputKind.SYSTEM_LOAD, 0.5, 0, load))
    path = write_bag(
        tmp_path / 'late',
        [('ManagerInputs', log.message(9, 1.0)), decision('late', 9, 'gpu')],
    )
    assert main(['replay', str(path)]) == 0
    said = capsys.readouterr().out
    assert 'manager late: 0 of 1 decisions are the same' in said
    assert '8 of its decisions are not in the recording' in said
    assert "recorded   () (('gpu', 1000000),)" in said

    path = write_bag(
        tmp_path / 'without', [decision('one', 1, 'gpu'), ('SystemLoad', SystemLoad(period=1.0))]
    )
    assert main(['replay', str(path)]) == 1
    assert 'has no manager_inputs' in capsys.readouterr().err


def test_refuses_messages_of_another_version(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = type_store()
    with Writer(tmp_path / 'old', version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        kind = f'{PACKAGE}/msg/SystemLoad'
        connection = writer.add_connection('/dynamic_dnn/system_load', kind, typestore=store)
        writer.write(connection, 0, serialize_message(SystemLoad()) + bytes(16))
    assert main(['replay', str(tmp_path / 'old')]) == 1
    assert 'has messages of another version of this package' in capsys.readouterr().err

    log = InputLog('old', {'a parameter of the past': 1.0})
    log.add(Input(InputKind.SYSTEM_LOAD, 0.5, 0, serialize_message(SystemLoad())))
    path = write_bag(tmp_path / 'older', [('ManagerInputs', log.message(1, 1.0))])
    assert main(['replay', str(path)]) == 1
    assert 'has messages of another version of this package' in capsys.readouterr().err


def test_operating_points_are_those_of_the_recorded_presentation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = presentation(20)
    log = InputLog('one', {row.name: row.default for row in PARAMETERS})
    recorded: list[tuple[str, object]] = []
    for number, server in enumerate(('s1', 's2'), 1):
        message.sub_network = server
        log.add(Input(InputKind.APPLICATION, number - 0.5, 0, abridged(message)))
        recorded += [
            ('ManagerInputs', log.message(number, float(number))),
            decision('one', number, 'gpu'),
        ]
    # A late recorder hears only the newest presentation, with the same operating points.
    (session,) = read(write_bag(tmp_path / 'bag', [*recorded, ('Application', message)])).sessions
    assert session.missing == 0
    told = [entry.told for one in session.rounds for entry in one.entries]
    expected = application_of(message)[0].operating_points
    assert [one.sub_network for one in told if isinstance(one, Application)] == ['s1', 's2']
    for one in told:
        assert isinstance(one, Application)
        assert points_digest(one.operating_points) == points_digest(expected)

    log.add(Input(InputKind.SYSTEM_LOAD, 2.5, 0, serialize_message(SystemLoad(period=0.1))))
    recorded += [('ManagerInputs', log.message(3, 3.0)), decision('one', 3, 'gpu')]
    path = write_bag(tmp_path / 'without', recorded)
    (session,) = read(path).sessions
    assert [one.number for one in session.rounds] == [3]
    assert main(['replay', str(path)]) == 0
    said = capsys.readouterr().out
    assert '2 of its decisions are not in the recording' in said
    assert 'record /dynamic_dnn/application too' in said


def test_reads_an_application_without_a_profile(tmp_path: Path) -> None:
    message = presentation(0)
    recording = read(write_bag(tmp_path / 'bag', [('Application', message)]))
    (entry,) = recording.entries
    assert isinstance(entry.told, Application)
    assert entry.told.id == message.id


def test_refuses_presentations_of_another_version(tmp_path: Path) -> None:
    store = type_store()
    for name, data in (
        ('longer', serialize_message(presentation(2)) + bytes(16)),
        ('shorter', serialize_message(presentation(2))[:-40]),
    ):
        with Writer(tmp_path / name, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
            kind = f'{PACKAGE}/msg/Application'
            connection = writer.add_connection('/application', kind, typestore=store)
            writer.write(connection, 0, data)
        with pytest.raises(ReplayError, match='another version'):
            read(tmp_path / name)
