# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What can be checked of the launch files without starting anything, and without launch."""

from __future__ import annotations

import ast
import configparser
from pathlib import Path
from typing import Any

import pytest
import yaml

from dynamic_dnn_ros.nodes.common.lifecycle import COMMON_PARAMETERS
from dynamic_dnn_ros.nodes.inference.node import InferenceNode
from dynamic_dnn_ros.nodes.manager.node import ManagerNode
from dynamic_dnn_ros.nodes.platform.node import PlatformNode
from support.shared_data import REPOSITORY

LAUNCH = REPOSITORY / 'launch'
FILES = ('dynamic_dnn', 'two_cameras', 'replay')
NODES: dict[str, Any] = {
    'inference_node': InferenceNode,
    'manager_node': ManagerNode,
    'platform_node': PlatformNode,
}


def tree(name: str) -> ast.Module:
    return ast.parse((LAUNCH / f'{name}.launch.py').read_text())


def value(name: str, variable: str) -> Any:
    """Return what a launch file assigns to a variable."""
    for node in tree(name).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            if node.targets[0].id == variable:
                return ast.literal_eval(node.value)
    raise AssertionError(f'{name} assigns nothing to {variable}')


def arguments(name: str) -> dict[str, tuple[str | None, str]]:
    """Return default and description of each argument that a launch file describes."""
    return {row[0]: (row[1], row[2]) for row in value(name, 'ARGUMENTS')}


def calls(name: str, function: str) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == function
    ]


def keywords(call: ast.Call) -> dict[str | None, ast.expr]:
    return {keyword.arg: keyword.value for keyword in call.keywords}


def test_these_are_all_launch_files() -> None:
    assert sorted(path.name for path in LAUNCH.iterdir() if path.is_file()) == sorted(
        f'{name}.launch.py' for name in FILES
    )


@pytest.mark.parametrize('name', FILES)
def test_every_argument_is_described(name: str) -> None:
    own = arguments(name)
    assert own
    for argument, (default, text) in own.items():
        assert len(text) > 10, argument
        assert default is None or isinstance(default, str), argument


@pytest.mark.parametrize('name', ['two_cameras', 'replay'])
def test_shared_arguments_are_described_by_the_launch_file_that_takes_them(name: str) -> None:
    shared = value(name, 'SHARED_ARGUMENTS')
    assert set(shared) <= set(arguments('dynamic_dnn'))
    assert not set(shared) & set(arguments(name))
    assert len(shared) == len(set(shared))


def test_nothing_of_the_included_file_is_out_of_reach() -> None:
    known = set(arguments('dynamic_dnn'))
    # Two cameras give these themselves, a pair of arguments each, or to one of the two only.
    decided = {'namespace', 'image', 'bundle', 'manager', 'platform_node', 'sub_network'}
    assert known - decided == set(value('two_cameras', 'SHARED_ARGUMENTS'))
    # The bag decides on these, and its time is the only one that makes sense.
    decided = {'image', 'image_transport', 'use_sim_time', 'manager', 'platform_node'}
    assert known - decided == set(value('replay', 'SHARED_ARGUMENTS'))


def test_executables_are_installed_and_parameters_exist() -> None:
    setup = configparser.ConfigParser()
    setup.read(REPOSITORY / 'setup.cfg')
    installed = setup['options.entry_points']['dynamic_dnn_ros.nodes']
    nodes = calls('dynamic_dnn', 'Node')
    assert len(nodes) == 3
    for call in nodes:
        executable = ast.literal_eval(keywords(call)['executable'])
        assert f'{executable} = ' in installed
        known = {row.name for row in (*COMMON_PARAMETERS, *NODES[executable].PARAMETERS)}
        given = [
            ast.literal_eval(argument)
            for inner in ast.walk(call)
            if isinstance(inner, ast.Call)
            and isinstance(inner.func, ast.Name)
            and inner.func.id == 'given'
            for argument in inner.args
        ]
        assert given
        assert set(given) <= known
        assert set(given) <= set(arguments('dynamic_dnn'))


def test_dds_profile_exists() -> None:
    source = (LAUNCH / 'dynamic_dnn.launch.py').read_text()
    assert "'config', 'dds', 'shared_memory.xml'" in source
    assert (REPOSITORY / 'config' / 'dds' / 'shared_memory.xml').is_file()


def test_replay_never_applies_recorded_switches_and_settings() -> None:
    refused = value('replay', 'NEVER_REPLAYED')
    for name in ('SubNetworkSwitch', 'DvfsSetting'):
        assert f'dynamic_dnn_ros/msg/{name}' in refused
        assert (REPOSITORY / 'msg' / f'{name}.msg').is_file()


def test_bag_topics_are_chosen(tmp_path: Path) -> None:
    pytest.importorskip(
        'launch_ros', reason='launch and launch_ros are not installed (no wheels of them exist)'
    )
    replay: dict[str, Any] = {'__name__': 'replay'}
    exec(compile(tree('replay'), 'replay.launch.py', 'exec'), replay)
    recorded = {
        '/imu': 'sensor_msgs/msg/Imu',
        '/front/image_raw/compressed': 'sensor_msgs/msg/CompressedImage',
        '/rear/image_raw': 'sensor_msgs/msg/Image',
        '/tf': 'tf2_msgs/msg/TFMessage',
        '/front/inference_node/sub_network_switch': 'dynamic_dnn_ros/msg/SubNetworkSwitch',
        '/dynamic_dnn/performance_target': 'dynamic_dnn_ros/msg/PerformanceTarget',
        '/clock': 'rosgraph_msgs/msg/Clock',
    }
    rows = [
        {'topic_metadata': {'name': name, 'type': kind}, 'message_count': 1}
        for name, kind in recorded.items()
    ]
    information = {'rosbag2_bagfile_information': {'topics_with_message_count': rows}}
    (tmp_path / 'metadata.yaml').write_text(yaml.safe_dump(information, sort_keys=False))
    assert replay['recorded_topics'](tmp_path) == recorded
    sensors = ['/imu', '/front/image_raw/compressed', '/rear/image_raw', '/tf']
    choose_topics, choose_image = replay['choose_topics'], replay['choose_image']
    assert choose_topics(recorded, []) == sensors
    target = '/dynamic_dnn/performance_target'
    assert choose_topics(recorded, [target]) == [target]
    with pytest.raises(RuntimeError, match='never replayed'):
        choose_topics(recorded, ['/front/inference_node/sub_network_switch'])
    with pytest.raises(RuntimeError, match=r'no topic /left. Choose from: /clock'):
        choose_topics(recorded, ['/left'])
    assert choose_image(recorded, '') == ('/front/image_raw', 'compressed')
    assert choose_image(recorded, '/rear/image_raw') == ('/rear/image_raw', 'raw')
    with pytest.raises(RuntimeError, match='no image topic /left'):
        choose_image(recorded, '/left')
    with pytest.raises(RuntimeError, match=r'no readable metadata.yaml.*ros2 bag reindex'):
        replay['recorded_topics'](tmp_path / 'absent')
