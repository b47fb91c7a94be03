# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The launch files under the real ``ros2 launch``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import importlib.util
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage

from dynamic_dnn_ros.msg import (
    Application,
    Classification,
    ManagerStatus,
    PerformanceTarget,
    SubNetworkSwitch,
)
from support.bag_recorder import BagRecorder
from support.bundles import make_bundle
from support.domain import isolated_environment
from support.graph import LATCHED, RELIABLE, Graph
from support.images import compressed_message, jpeg, noise
from support.shared_data import REPOSITORY

REAL_ROS2 = shutil.which('ros2')

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        REAL_ROS2 is None or importlib.util.find_spec('launch_ros') is None,
        reason='`ros2 launch` is not installed (there are no wheels of it)',
    ),
]

LATCHED_MANY = QoSProfile(depth=16, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
PROFILES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')


class Launch:
    """A running ``ros2 launch``."""

    def __init__(self, arguments: list[str], environment: dict[str, str], log: Path) -> None:
        self.log = log
        assert REAL_ROS2 is not None
        with log.open('wb') as output:
            self.process = psutil.Popen(
                [REAL_ROS2, 'launch', 'dynamic_dnn_ros', *arguments],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def node(self, name: str, namespace: str, timeout: float = 30.0) -> psutil.Process:
        """Return the process of a node once it runs, given its executable and namespace."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for child in self.process.children(recursive=True):
                try:
                    command = child.cmdline()
                except psutil.NoSuchProcess:
                    continue
                if any(part.endswith(f'/{name}') for part in command):
                    if f'__ns:={namespace}' in command:
                        return child
            time.sleep(0.1)
        raise TimeoutError(f'{name} does not run; launch said:\n{self.log.read_text()}')

    def stop(self) -> int:
        """End it as Ctrl-C does; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return int(self.process.wait(30))


StartLaunch = Callable[..., Launch]


@pytest.fixture
def start_launch(domain_id: int, tmp_path: Path) -> Iterator[StartLaunch]:
    """Start launch files, and end all that they have started."""
    launches: list[Launch] = []

    def start(*arguments: str, **variables: str) -> Launch:
        environment = {
            **os.environ,
            **isolated_environment(domain_id),
            'ROS_LOG_DIR': str(tmp_path / 'log'),
            **variables,
        }
        for name in PROFILES:
            if name not in variables:
                environment.pop(name, None)
        launch = Launch(list(arguments), environment, tmp_path / f'launch_{len(launches)}.log')
        launches.append(launch)
        return launch

    yield start
    for launch in launches:
        children = launch.process.children(recursive=True) if launch.process.is_running() else []
        try:
            launch.stop()
        finally:
            for child in children:
                if child.is_running():
                    child.kill()


@pytest.fixture(scope='module')
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('bundle')
    make_bundle(folder)
    return folder


def test_one_camera(graph: Graph, start_launch: StartLaunch, bundle: Path) -> None:
    launch = start_launch(
        'dynamic_dnn.launch.py',
        f'bundle:={bundle}',
        'namespace:=front',
        'image:=/camera/image_raw',
        'image_transport:=compressed',
        'platform:=xavier_nx_simulated',
        'mode:=advise',
        'sub_network:=s1',
    )
    for name in (
        '/front/inference_node',
        '/dynamic_dnn/manager_node',
        '/dynamic_dnn/platform_node',
    ):
        graph.wait_for_state(name, 'active', timeout=60.0)
    assert graph.parameter('/front/inference_node', 'sub_network') == 's1'
    assert graph.parameter('/dynamic_dnn/manager_node', 'mode') == 'advise'
    assert graph.parameter('/dynamic_dnn/platform_node', 'platform') == 'xavier_nx_simulated'
    # What was not given is left to the node.
    assert graph.parameter('/front/inference_node', 'engine') == ''
    environment = launch.node('inference_node', '/front').environ()
    for name in PROFILES:
        assert Path(environment[name]).name == 'shared_memory.xml'
        assert Path(environment[name]).is_file()

    results = graph.collect(Classification, '/front/inference_node/classification')
    camera = graph.publisher(CompressedImage, '/camera/image_raw/compressed')
    graph.wait_for_subscriptions(camera)
    graph.wait_for_publishers('/front/inference_node/classification')
    picture = jpeg(noise(64, 48, 0))
    graph.spin_until(lambda: camera.publish(compressed_message(picture)) or len(results), 20.0)
    assert results.messages[0].sub_network == 's1'

    for name, namespace in (
        ('inference_node', '/front'),
        ('manager_node', '/dynamic_dnn'),
        ('platform_node', '/dynamic_dnn'),
    ):
        before = launch.node(name, namespace)
        before.kill()
        before.wait(10)
        after = launch.node(name, namespace)
        assert after.pid != before.pid
        graph.spin_until(lambda full=f'{namespace}/{name}': is_active(graph, full), 60.0, name)
    children = launch.process.children(recursive=True)
    launch.stop()
    assert not [child for child in children if child.is_running()]
    for name in ('inference_node', 'manager_node', 'platform_node'):
        assert f'[{name}-' in launch.log.read_text()
    assert 'finished cleanly' in launch.log.read_text()


def is_active(graph: Graph, name: str) -> bool:
    """Tell whether a node is active; a question that its dead predecessor got stays open."""
    try:
        return graph.lifecycle_state(name, timeout=2.0) == 'active'
    except TimeoutError:
        return False


def test_profile_of_the_user_stays_and_respawn_can_be_off(
    graph: Graph, start_launch: StartLaunch, bundle: Path, tmp_path: Path
) -> None:
    own = tmp_path / 'own.xml'
    own.write_text('<dds xmlns="http://www.eprosima.com"><profiles/></dds>')
    params = tmp_path / 'params.yaml'
    params.write_text('/**:\n  ros__parameters:\n    results: 2\n    sub_network: s0\n')
    launch = start_launch(
        'dynamic_dnn.launch.py',
        f'bundle:={bundle}',
        'sub_network:=s2',
        f'params_file:={params}',
        'manager:=false',
        'platform_node:=false',
        'respawn:=false',
        FASTRTPS_DEFAULT_PROFILES_FILE=str(own),
    )
    graph.wait_for_state('/inference_node', 'active', timeout=60.0)
    assert graph.parameter('/inference_node', 'results') == 2
    assert graph.parameter('/inference_node', 'sub_network') == 's2'
    node = launch.node('inference_node', '/')
    environment = node.environ()
    assert environment['FASTRTPS_DEFAULT_PROFILES_FILE'] == str(own)
    assert Path(environment['FASTDDS_DEFAULT_PROFILES_FILE']).name == 'shared_memory.xml'
    assert len(launch.process.children()) == 1
    node.kill()
    # Without respawn nothing is left to do for launch, so it ends.
    launch.process.wait(30)


def test_two_cameras(graph: Graph, start_launch: StartLaunch, bundle: Path) -> None:
    start_launch(
        'two_cameras.launch.py',
        f'front_bundle:={bundle}',
        f'rear_bundle:={bundle}',
        'rear_image:=/rear_camera/image',
        'platform:=xavier_nx_simulated',
    )
    applications = graph.collect(Application, '/dynamic_dnn/application', LATCHED_MANY)
    statuses = graph.collect(ManagerStatus, '/dynamic_dnn/manager_status')
    for name in (
        '/front/inference_node',
        '/rear/inference_node',
        '/dynamic_dnn/manager_node',
        '/dynamic_dnn/platform_node',
    ):
        graph.wait_for_state(name, 'active', timeout=90.0)
    both = {'/front/inference_node', '/rear/inference_node'}
    graph.spin_until(lambda: {message.id for message in applications} >= both, 20.0)
    for topic in ('/front/image', '/rear_camera/image'):
        graph.spin_until(lambda topic=topic: graph.node.count_subscribers(topic), 20.0, topic)
    targets = graph.publisher(PerformanceTarget, '/dynamic_dnn/performance_target')
    graph.wait_for_subscriptions(targets)
    for name in both:
        targets.publish(PerformanceTarget(application=name, latency=0.2, sender='test'))
    for name in both:
        statuses.wait_for(
            lambda message, name=name: any(
                target.application == name and target.sender == 'test'
                for target in message.targets
            ),
            timeout=20.0,
        )
    assert len({message.instance for message in statuses}) == 1
    assert graph.node.count_publishers('/dynamic_dnn/system_load') == 1


def test_cameras_of_a_file(
    graph: Graph, start_launch: StartLaunch, bundle: Path, tmp_path: Path
) -> None:
    """Three cameras, each with something of its own."""
    other = tmp_path / 'other'
    shutil.copytree(bundle, other)
    cameras = tmp_path / 'cameras.yaml'
    cameras.write_text(
        f"""
cameras:
  - name: front
  - name: arm/left
    image: /left/image_raw
    bundle: {other}
    image_transport: compressed
  - name: rear
    image: image_raw
    parameters: {{sub_network: s1, results: 2}}
"""
    )
    launch = start_launch(
        'cameras.launch.py',
        f'cameras:={cameras}',
        f'bundle:={bundle}',
        'platform:=xavier_nx_simulated',
        'manager_namespace:=/robot',
    )
    names = ('/front/inference_node', '/arm/left/inference_node', '/rear/inference_node')
    for name in (*names, '/robot/manager_node', '/robot/platform_node'):
        graph.wait_for_state(name, 'active', timeout=90.0)
    applications = graph.collect(Application, '/robot/application', LATCHED_MANY)
    graph.spin_until(lambda: {message.id for message in applications} >= set(names), 20.0)
    for topic in ('/front/image', '/left/image_raw/compressed', '/rear/image_raw'):
        graph.spin_until(lambda topic=topic: graph.node.count_subscribers(topic), 20.0, topic)
    assert graph.parameter('/arm/left/inference_node', 'bundle') == str(other)
    assert graph.parameter('/rear/inference_node', 'sub_network') == 's1'
    assert graph.parameter('/rear/inference_node', 'results') == 2
    assert graph.parameter('/front/inference_node', 'results') == 5
    launch.stop()


def test_a_bad_file_of_cameras_ends_the_launch_and_is_named(
    graph: Graph, start_launch: StartLaunch, tmp_path: Path
) -> None:
    cameras = tmp_path / 'cameras.yaml'
    cameras.write_text('cameras: [{name: front, bundel: mine}]')
    launch = start_launch('cameras.launch.py', f'cameras:={cameras}')
    assert launch.process.wait(30) != 0
    text = launch.log.read_text()
    assert "unknown key 'bundel' (did you mean 'bundle'?)" in text
    assert str(cameras) in text


def test_the_parameter_file_to_start_from(
    graph: Graph, start_launch: StartLaunch, bundle: Path, tmp_path: Path
) -> None:
    """It loads as it is; a line that is changed is in force, and an argument goes over it."""
    text = (REPOSITORY / 'config' / 'robot.yaml').read_text()
    for before, after in (
        ('    # resource_period: 0.5', '    resource_period: 0.25'),
        ("    mode: 'control'", "    mode: 'advise'"),
    ):
        assert text.count(before) == 1
        text = text.replace(before, after)
    own = tmp_path / 'robot.yaml'
    own.write_text(text)
    start_launch(
        'dynamic_dnn.launch.py',
        f'params_file:={own}',
        f'bundle:={bundle}',
        'platform:=xavier_nx_simulated',
        'namespace:=front',
    )
    for name in (
        '/front/inference_node',
        '/dynamic_dnn/manager_node',
        '/dynamic_dnn/platform_node',
    ):
        graph.wait_for_state(name, 'active', timeout=90.0)
    assert graph.parameter('/dynamic_dnn/manager_node', 'resource_period') == 0.25
    assert graph.parameter('/dynamic_dnn/manager_node', 'mode') == 'advise'
    assert graph.parameter('/front/inference_node', 'bundle') == str(bundle)


def test_driven_by_the_command_line(
    graph: Graph, start_launch: StartLaunch, bundle: Path, domain_id: int
) -> None:
    for package in ('ros2topic', 'ros2service', 'ros2param', 'ros2lifecycle'):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f'{package} is not installed (there are no wheels of it)')
    start_launch('dynamic_dnn.launch.py', f'bundle:={bundle}', 'platform:=xavier_nx_simulated')
    for name in ('/inference_node', '/dynamic_dnn/manager_node', '/dynamic_dnn/platform_node'):
        graph.wait_for_state(name, 'active', timeout=60.0)
    statuses = graph.collect(ManagerStatus, '/dynamic_dnn/manager_status')

    def ros2(*arguments: str) -> str:
        result = subprocess.run(
            [str(REAL_ROS2), *arguments],
            env={**os.environ, **isolated_environment(domain_id)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    direct = ('--no-daemon', '--spin-time', '3')
    # A plain publication, once: nothing about durability, nothing kept alive.
    ros2(
        *('topic', 'pub', '--once', '/dynamic_dnn/performance_target'),
        'dynamic_dnn_ros/msg/PerformanceTarget',
        '{application: /inference_node, sender: by hand, accuracy: 0.65, objective: 1}',
    )
    statuses.wait_for(
        lambda message: any(
            target.application == '/inference_node'
            and target.sender == 'by hand'
            and target.target.accuracy == 0.65
            for target in message.targets
        ),
        timeout=20.0,
    )
    said = ros2(
        *('service', 'call', '/dynamic_dnn/ask_target', 'dynamic_dnn_ros/srv/AskTarget'),
        '{application: /inference_node, latency: 0.5}',
    )
    assert 'accepted=True' in said and 'It would replace the target of by hand.' in said
    said = ros2(
        *('service', 'call', '/dynamic_dnn/set_target', 'dynamic_dnn_ros/srv/SetTarget'),
        '{application: /inference_node, latency: .nan}',
    )
    assert 'accepted=False' in said and 'latency = nan' in said
    assert 'String value is: raw' in ros2(
        'param', 'get', '/inference_node', 'image_transport', *direct
    )
    ros2('param', 'set', '/inference_node', 'results', '3', *direct)
    assert graph.parameter('/inference_node', 'results') == 3
    ros2('lifecycle', 'set', '/inference_node', 'deactivate', *direct)
    assert graph.lifecycle_state('/inference_node') == 'inactive'
    ros2('lifecycle', 'set', '/inference_node', 'activate', *direct)
    assert graph.lifecycle_state('/inference_node') == 'active'


def test_replay_serves_the_bag_and_applies_no_recorded_switch(
    graph: Graph, start_launch: StartLaunch, bundle: Path, tmp_path: Path
) -> None:
    bag = tmp_path / 'bag'
    record_bag(graph, bag)
    folder = tmp_path / 'bin'
    folder.mkdir()
    script = Path(__file__).parents[1] / 'support' / 'ros2_bag_play.py'
    (folder / 'ros2').write_text(f'#!/bin/sh\nexec {sys.executable} {script} "$@"\n')
    (folder / 'ros2').chmod(0o755)
    results = graph.collect(Classification, '/inference_node/classification')
    switches = graph.collect(SubNetworkSwitch, '/inference_node/sub_network_switch', RELIABLE)
    targets = graph.collect(PerformanceTarget, '/dynamic_dnn/performance_target')
    launch = start_launch(
        'replay.launch.py',
        f'bag:={bag}',
        f'bundle:={bundle}',
        'sub_network:=s2',
        'mode:=advise',
        'start_delay:=0.5',
        'log_level:=warn',
        PATH=f'{folder}:{os.environ["PATH"]}',
        REAL_ROS2=str(REAL_ROS2),
    )
    graph.spin_until(lambda: launch.process.poll() is not None, 90.0, 'the end of the launch')
    text = launch.log.read_text()
    assert 'the bag is at its end' in text or results.messages, text
    assert results.messages, text
    # The stamps are the bag's, and so is the time of the nodes.
    assert {message.header.stamp.sec for message in results} <= {1000, 1001}
    assert {message.sub_network for message in results} == {'s2'}
    assert len(switches) == 0
    assert len(targets) == 0


def record_bag(graph: Graph, path: Path) -> None:
    """Record a camera together with a switch and a target that must not be replayed."""
    switch = SubNetworkSwitch(
        application='/inference_node', manager='recorded', sequence=1, sub_network='s0'
    )
    target = PerformanceTarget(application='/inference_node', latency=0.001)
    topics = {
        '/camera/image_raw/compressed': 'sensor_msgs/msg/CompressedImage',
        '/inference_node/sub_network_switch': 'dynamic_dnn_ros/msg/SubNetworkSwitch',
        '/dynamic_dnn/performance_target': 'dynamic_dnn_ros/msg/PerformanceTarget',
    }
    camera = graph.publisher(CompressedImage, '/camera/image_raw/compressed')
    switching = graph.publisher(SubNetworkSwitch, '/inference_node/sub_network_switch', LATCHED)
    asking = graph.publisher(PerformanceTarget, '/dynamic_dnn/performance_target')
    picture = jpeg(noise(64, 48, 0))
    with BagRecorder(graph, path, topics) as recorder:
        for publisher in (camera, switching, asking):
            graph.wait_for_subscriptions(publisher)
        switching.publish(switch)
        asking.publish(target)
        for index in range(40):
            camera.publish(compressed_message(picture, 1000 * 10**9 + index * 5 * 10**7))
            graph.spin_for(0.05)
        graph.spin_until(lambda: not recorder.missing(), 10.0)
    for publisher in (camera, switching, asking):
        graph.node.destroy_publisher(publisher)
