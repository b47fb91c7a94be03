# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the launch files come to, without starting anything; most of it without launch."""

from __future__ import annotations

import configparser
from pathlib import Path
import runpy
from typing import Any

import pytest
import yaml

pytest.importorskip('rclpy', reason='ROS 2 is absent')

from dynamic_dnn_ros.launching.arguments import (
    EVERY_APPLICATION,
    ONE_APPLICATION,
    SYSTEM,
    without,
)
from dynamic_dnn_ros.launching.bags import (
    NEVER_REPLAYED,
    choose_image,
    choose_topics,
    recorded_topics,
)
from dynamic_dnn_ros.launching.cameras import Camera, SharedNode, read_cameras
from dynamic_dnn_ros.launching.processes import (
    OF_INFERENCE,
    OF_MANAGER,
    OF_PLATFORM,
    ArgumentError,
    describe_nodes,
    is_true,
    number,
)
from dynamic_dnn_ros.nodes.common.lifecycle import COMMON_PARAMETERS
from dynamic_dnn_ros.nodes.common.written_parameters import WrittenError
from dynamic_dnn_ros.nodes.inference.node import InferenceNode
from dynamic_dnn_ros.nodes.manager.node import ManagerNode
from dynamic_dnn_ros.nodes.platform.node import PlatformNode
from support.shared_data import REPOSITORY

LAUNCH = REPOSITORY / 'launch'
FILES = ('cameras', 'dynamic_dnn', 'replay', 'two_cameras')
ARGUMENTS = (*EVERY_APPLICATION, *ONE_APPLICATION, *SYSTEM)
OWN = {
    'cameras': {'cameras'},
    'dynamic_dnn': {'image', 'namespace', 'sub_network'},
    'replay': {
        *('bag', 'image', 'topics', 'rate', 'loop', 'start_delay'),
        *('namespace', 'sub_network'),
    },
    'two_cameras': {
        f'{name}_{kind}' for name in ('front', 'rear') for kind in ('image', 'bundle')
    },
}
"""What a launch file asks beside what all ask."""
LEFT_OUT = {
    'cameras': set(),
    'dynamic_dnn': set(),
    # The bag decides on these.
    'replay': {'image_transport', 'use_sim_time', 'manager', 'platform_node'},
    'two_cameras': {'bundle'},
}
NODES: dict[str, tuple[Any, tuple[str, ...]]] = {
    'inference_node': (InferenceNode, OF_INFERENCE),
    'manager_node': (ManagerNode, OF_MANAGER),
    'platform_node': (PlatformNode, OF_PLATFORM),
}


def values(**given: str) -> dict[str, str]:
    """Return the arguments of dynamic_dnn.launch.py, with their defaults."""
    return {argument.name: argument.default or '' for argument in ARGUMENTS} | given


def test_these_are_all_launch_files() -> None:
    assert sorted(path.name for path in LAUNCH.iterdir() if path.is_file()) == [
        f'{name}.launch.py' for name in FILES
    ]


def test_arguments_are_described_once_each() -> None:
    names = [argument.name for argument in ARGUMENTS]
    assert len(names) == len(set(names))
    assert all(len(argument.description) > 10 for argument in ARGUMENTS)
    assert [argument.name for argument in without(SYSTEM, 'mode')] == [
        argument.name for argument in SYSTEM if argument.name != 'mode'
    ]


@pytest.mark.parametrize('name', FILES)
def test_arguments_of_a_launch_file(name: str) -> None:
    # The folder of the launch files would pass for `launch`.
    pytest.importorskip('launch_ros', reason='launch is not installed (no wheels of it)')
    from launch.actions import DeclareLaunchArgument

    description = runpy.run_path(str(LAUNCH / f'{name}.launch.py'))[
        'generate_launch_description'
    ]()
    declared = {
        action.name: action
        for action in description.entities
        if isinstance(action, DeclareLaunchArgument)
    }
    shared = {argument.name for argument in (*EVERY_APPLICATION, *SYSTEM)}
    assert set(declared) == (shared - LEFT_OUT[name]) | OWN[name]
    needed = {key for key, action in declared.items() if action.default_value is None}
    assert needed == {'cameras': {'cameras'}, 'replay': {'bag'}}.get(name, set())


def test_executables_are_installed_and_parameters_exist() -> None:
    setup = configparser.ConfigParser()
    setup.read(REPOSITORY / 'setup.cfg')
    installed = setup['options.entry_points']['dynamic_dnn_ros.nodes']
    described = describe_nodes(values(), [Camera('')])
    assert [node.executable for node in described] == list(NODES)
    for executable, (node, taken) in NODES.items():
        assert f'{executable} = ' in installed
        known = {row.name for row in (*COMMON_PARAMETERS, *node.PARAMETERS)}
        assert set(taken) <= known
        assert set(taken) <= {argument.name for argument in ARGUMENTS}


def test_what_is_not_given_is_left_to_the_node() -> None:
    inference, manager, platform = describe_nodes(values(mode='advise'), [Camera('front')])
    assert inference.parameters == {
        'manager_namespace': '/dynamic_dnn',
        'image_transport': 'raw',
    }
    assert manager.parameters == {'manager_namespace': '/dynamic_dnn', 'mode': 'advise'}
    assert platform.parameters == {'manager_namespace': '/dynamic_dnn'}
    assert (inference.namespace, manager.namespace) == ('front', '/dynamic_dnn')


def test_what_a_camera_says_goes_over_the_arguments() -> None:
    cameras = [
        Camera('front', 'image_raw', {'bundle': 'mine', 'threads': 2}),
        Camera('rear', '/rear_camera/image'),
    ]
    front, rear = describe_nodes(
        values(bundle='theirs', manager='false', platform_node='0'), cameras
    )
    assert front.parameters['bundle'] == 'mine' and front.parameters['threads'] == 2
    assert rear.parameters['bundle'] == 'theirs'
    assert front.remappings == {'image': 'image_raw', 'image/compressed': 'image_raw/compressed'}
    assert rear.remappings['image/compressed'] == '/rear_camera/image/compressed'


def test_cameras_that_share_a_node_are_its_streams(tmp_path: Path) -> None:
    path = tmp_path / 'cameras.yaml'
    path.write_text(
        'share: true\nbundle: mine\nparameters: {threads: 2}\n'
        'cameras: [{name: front, image: image_raw, parameters: {priority: 1}}, '
        '{name: rear, image: /rear_camera/image, image_transport: compressed}]\n'
    )
    shared = read_cameras(path)
    own = {'front.priority': 1, 'rear.image_transport': 'compressed'}
    assert shared == (
        SharedNode(
            {'front': 'image_raw', 'rear': '/rear_camera/image'},
            {'bundle': 'mine', 'threads': 2, **own},
        ),
    )
    node = describe_nodes(values(bundle='theirs'), shared)[0]
    assert (node.executable, node.namespace) == ('inference_node', '')
    assert node.parameters == {
        'manager_namespace': '/dynamic_dnn',
        'image_transport': 'raw',
        'bundle': 'mine',
        'threads': 2,
        'cameras': ['front', 'rear'],
        **own,
    }
    assert node.remappings == {
        'front/image': 'front/image_raw',
        'front/image/compressed': 'front/image_raw/compressed',
        'rear/image': '/rear_camera/image',
        'rear/image/compressed': '/rear_camera/image/compressed',
    }


def test_arguments_that_are_neither_true_nor_false_nor_a_number() -> None:
    assert is_true('loop', 'True') and not is_true('loop', '0')
    with pytest.raises(ArgumentError, match=r"loop is 'yes'\. Give true or false"):
        is_true('loop', 'yes')
    assert number('rate', '1.5') == 1.5
    assert number('start_delay', '0', zero=True) == 0.0
    for text in ('fast', '0', '-1', 'nan', 'inf', ''):
        with pytest.raises(ArgumentError, match='rate is .* Give a number above 0'):
            number('rate', text)


def test_dds_profile_exists() -> None:
    assert (REPOSITORY / 'config' / 'dds' / 'shared_memory.xml').is_file()


def test_the_example_of_cameras_can_be_read() -> None:
    front, rear = read_cameras(REPOSITORY / 'config' / 'cameras.yaml')
    assert front == Camera('front', 'image_raw', {})
    assert rear.namespace == 'rear' and rear.image == '/rear_camera/color/image_raw'
    assert rear.parameters == {
        'bundle': 'cifar10_ofa',
        'image_transport': 'compressed',
        'threads': 1,
        'results': 3,
    }


@pytest.mark.parametrize(
    ('text', 'problem'),
    [
        ('', 'there is no list "cameras" at the top'),
        ('cameras: []', 'holds no list of cameras'),
        ('cameras: {front: {}}', 'holds no list of cameras'),
        ('camera: [{name: front}]', 'there is no list "cameras" at the top'),
        ('{cameras: [{name: a}], bundle: x}', "unknown key 'bundle'. Known: share, cameras"),
        ('{cameras: [{name: a}], share: 2}', 'share is 2. Give true or false.'),
        ('{share: true, cameras: [{name: a, bundle: x}]}', 'Give it once, beside "share".'),
        (
            '{share: true, cameras: [{name: a, parameters: {threads: 2}}]}',
            'threads is that of all cameras of a node',
        ),
        ('{share: true, cameras: [{name: a/b}]}', "'a/b' is no name of a camera"),
        ('cameras: [{name: a, parameters: {cameras: [b]}}]', 'cameras stand in the list'),
        ('cameras: [front]', "camera 1 is 'front'. Give keys and values"),
        ('cameras: [{image: /a}]', "name is '', which is no namespace"),
        ('cameras: [{name: /front}]', "name is '/front', which is no namespace"),
        ('cameras: [{name: front left}]', 'which is no namespace'),
        ('cameras: [{name: 2}]', 'name is 2, not text. Put it into quotes: name: "2"'),
        ('cameras: [{name: on}]', 'name is True, not text'),
        ('cameras: [{name: a}, {name: b}, {name: a}]', "camera 'a' is listed twice"),
        ('cameras: [{name: a, topic: /b}]', "unknown key 'topic'. Known: name, image"),
        ('cameras: [{name: a, imag: /b}]', "did you mean 'image'?"),
        ('cameras: [{name: a, image: /b/compressed}]', 'Name the topic without "/compressed"'),
        ('cameras: [{name: a, image: ""}]', "image is ''"),
        ('cameras: [{name: a, bundle: 2024}]', 'bundle is 2024, not text'),
        ('cameras: [{name: a, image_transport: jpeg}]', "'image_transport' is 'jpeg', not one of"),
        ('cameras: [{name: a, parameters: [1]}]', 'parameters are [1]. Give keys and values'),
        ('cameras: [{name: a, parameters: {thread: 1}}]', "did you mean 'threads'?"),
        ('cameras: [{name: a, parameters: {threads: 0}}]', "'threads' is 0, outside"),
        ('cameras: [{name: a, bundle: x, parameters: {bundle: y}}]', 'bundle is given twice'),
        ('cameras: [{name: a, name: b}]', "'name' is given twice"),
        ('cameras: [', 'cannot be read'),
        (None, 'cannot be read'),
    ],
)
def test_a_bad_file_of_cameras_is_named(tmp_path: Path, text: str | None, problem: str) -> None:
    path = tmp_path / 'cameras.yaml'
    if text is not None:
        path.write_text(text)
    with pytest.raises(WrittenError) as error:
        read_cameras(path)
    assert str(path) in str(error.value)
    assert problem in str(error.value)


def test_replay_never_applies_recorded_switches_and_settings() -> None:
    for name in ('SubNetworkSwitch', 'DvfsSetting'):
        assert f'dynamic_dnn_ros/msg/{name}' in NEVER_REPLAYED
        assert (REPOSITORY / 'msg' / f'{name}.msg').is_file()


def test_bag_topics_are_chosen(tmp_path: Path) -> None:
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
    assert recorded_topics(tmp_path) == recorded
    sensors = ['/imu', '/front/image_raw/compressed', '/rear/image_raw', '/tf']
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
        recorded_topics(tmp_path / 'absent')
