# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The client against a manager node as a process, over real DDS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import math
import os
from pathlib import Path
import shutil
import subprocess
import sys
import threading
import time

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is absent')

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from rclpy.node import Node
from std_msgs.msg import Empty

from dynamic_dnn_ros.client import (
    ClientError,
    Expectation,
    ManagerAbsentError,
    NoAnswerError,
    NotMetError,
    Objective,
    TargetClient,
    TargetRefusedError,
    TargetReport,
    TargetState,
)
from dynamic_dnn_ros.msg import ManagerStatus, PerformanceTarget
from dynamic_dnn_ros.srv import SetTarget
from support.graph import Graph
from support.process import NodeProcess
from support.scripted_application import NAMESPACE, ScriptedApplication

pytestmark = pytest.mark.system

FRONT = '/front/inference_node'
EXAMPLE = Path(__file__).resolve().parents[1] / 'examples' / 'set_target.py'

Start = Callable[..., NodeProcess]


@pytest.fixture
def client(domain_id: int) -> Iterator[TargetClient]:
    with TargetClient(sender='test', timeout=20.0) as made:
        yield made


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


def test_set_ask_wait_and_clear(served: ScriptedApplication, client: TargetClient) -> None:
    asked = client.ask_target(FRONT, latency=0.02, accuracy=0.85)
    assert asked.expected is Expectation.MET
    assert asked.replaced is None
    assert asked.report is not None and asked.report.state is TargetState.ANSWERED
    answer = client.set_target(
        FRONT, latency=0.02, accuracy=0.85, objective=Objective.MAXIMUM_ACCURACY
    )
    assert answer.expected is Expectation.MET
    assert answer.report is not None and answer.report.target is not None
    assert answer.report.target.objective is Objective.MAXIMUM_ACCURACY
    assert answer.report.runner_up.sub_network
    report = client.wait_until_met(FRONT, timeout=20.0)
    assert report.state is TargetState.MET
    assert report.target is not None and report.target.sender == 'test'
    assert client.targets()[FRONT].target == report.target
    summary = client.applications()[FRONT]
    assert summary.bundle == 'scripted'
    assert [entry.id for entry in summary.sub_networks] == ['s0', 's1', 's2', 's3']
    gone = client.clear_target(FRONT)
    assert gone.replaced is not None and gone.replaced.latency == 0.02


def test_refusals_name_the_field_and_nothing_is_sent(
    served: ScriptedApplication, client: TargetClient
) -> None:
    for fields, named in (
        ({'latency': math.nan}, 'latency = nan'),
        ({'latency': -1.0}, 'latency = -1.0'),
        ({'latency': 1e300}, 'latency = 1e[+]300'),
        ({'latency': 0.1, 'latency_quantile': 0}, 'latency_quantile = 0'),
        ({'accuracy': 85}, 'accuracy = 85'),
        ({'priority': 300}, 'priority = 300'),
        ({'latency': '25ms'}, '25ms'),
    ):
        with pytest.raises(TargetRefusedError, match=named):
            client.set_target(FRONT, **fields)  # type: ignore[arg-type]
    for call in (client.set_target, client.ask_target):
        with pytest.raises(TypeError, match="no field 'latncy'. Known are: latency, latency_quan"):
            call(FRONT, latncy=0.1)
    with pytest.raises(TargetRefusedError, match='fully qualified node name'):
        client.clear_target('front')
    assert client.targets()[FRONT].target is None


def test_a_target_that_is_never_met_says_why(
    served: ScriptedApplication, client: TargetClient
) -> None:
    answer = client.set_target(FRONT, latency=0.001)
    assert answer.expected is Expectation.MISSED
    with pytest.raises(NotMetError, match=r'infeasible after 2 s: No operating point') as error:
        client.wait_until_met(FRONT, timeout=2.0)
    assert error.value.report is not None
    assert error.value.report.state is TargetState.INFEASIBLE
    with pytest.raises(NotMetError, match='says nothing of /nobody: no such application'):
        client.wait_until_met('/nobody', timeout=0.7)


def test_waiting_ends_when_somebody_else_takes_over(
    served: ScriptedApplication, client: TargetClient, domain_id: int
) -> None:
    client.set_target(FRONT, latency=0.001)
    with TargetClient(sender='navigation', timeout=20.0) as other:
        timer = threading.Timer(0.5, lambda: other.set_target(FRONT, latency=0.3))
        timer.start()
        began = time.monotonic()
        with pytest.raises(NotMetError, match='was replaced by navigation'):
            client.wait_until_met(FRONT, timeout=30.0)
        assert time.monotonic() - began < 10.0
        timer.join()
        client.set_target(FRONT, latency=0.001)
        timer = threading.Timer(0.7, lambda: other.clear_target(FRONT))
        timer.start()
        with pytest.raises(NotMetError, match='was cleared by somebody else'):
            client.wait_until_met(FRONT, timeout=30.0)
        timer.join()


def test_reports_are_watched_and_iterated_over(
    served: ScriptedApplication, client: TargetClient, capfd: pytest.CaptureFixture[str]
) -> None:
    heard: list[TargetReport] = []
    with client.watch(heard.append, FRONT):
        reports = client.reports(timeout=5.0)
        assert next(reports).application == FRONT
        assert next(reports).application == FRONT
        reports.close()
    assert heard
    count = len(heard)
    # A callback that fails ends alone.
    client.watch(lambda report: 1 // 0)
    assert len([report for _, report in zip(range(3), client.reports(timeout=5.0))]) == 3
    assert len(heard) == count
    assert 'ZeroDivisionError' in capfd.readouterr().err
    assert list(client.reports('/nobody', timeout=0.3)) == []


def test_call_inside_a_callback_of_watch_is_refused_instead_of_waiting_for_ever(
    served: ScriptedApplication, client: TargetClient
) -> None:
    errors: list[Exception] = []

    def call(report: TargetReport) -> None:
        try:
            client.clear_target(FRONT)
        except ClientError as error:
            errors.append(error)

    with client.watch(call):
        next(client.reports(timeout=5.0))
        time.sleep(0.1)
    assert 'inside a callback' in str(errors[0])


def test_calls_of_a_callback_of_the_callers_node_do_not_wait_for_ever(
    served: ScriptedApplication, graph: Graph
) -> None:
    """The node is spun by one thread, which the call itself holds up."""
    node = Node('robot', context=graph.context)
    graph.add_node(node)
    client = TargetClient(node, timeout=20.0)
    answers = []
    node.create_subscription(
        Empty, '/go', lambda _: answers.append(client.set_target(FRONT, latency=0.05)), 1
    )
    go = node.create_publisher(Empty, '/go', 1)
    # The application is spun by the same thread: what it says waits, and nothing else does.
    end = time.monotonic() + 20.0
    while not answers and time.monotonic() < end:
        go.publish(Empty())
        time.sleep(0.2)
    assert answers[0].report.target.sender == '/robot'
    client.close()
    client.close()


def test_manager_that_is_absent_is_named_with_the_remedy(domain_id: int) -> None:
    with TargetClient(manager_namespace='/robot/brain', timeout=0.5) as client:
        for call in (
            lambda: client.set_target(FRONT, latency=0.1),
            lambda: client.ask_target(FRONT, latency=0.1),
            lambda: client.clear_target(FRONT),
        ):
            with pytest.raises(ManagerAbsentError, match='no service /robot/brain/') as error:
                call()
            assert f'ROS_DOMAIN_ID={domain_id}' in str(error.value)
            assert 'ros2 launch' in str(error.value)
        with pytest.raises(ManagerAbsentError, match='/robot/brain/manager_status'):
            client.targets()
        assert client.applications() == {}
        with pytest.raises(NotMetError, match='no active manager_node'):
            client.wait_until_met(FRONT, timeout=0.2)


def test_manager_that_never_answers(graph: Graph) -> None:
    """Somebody offers the service and is not spun."""
    node = Node('mute', context=graph.context)
    node.create_service(SetTarget, f'{NAMESPACE}/set_target', lambda _, response: response)
    with TargetClient(timeout=2.0) as client, pytest.raises(NoAnswerError, match='within 2 s'):
        client.set_target(FRONT, latency=0.1)
    node.destroy_node()


def test_context_that_the_caller_has_shut_down(domain_id: int) -> None:
    graph = Graph(domain_id, 'short_lived')
    client = TargetClient(graph.node, timeout=1.0)
    graph.close()
    with pytest.raises(ClientError, match='was shut down. Make a new client'):
        client.set_target(FRONT, latency=0.1)
    client.close()


def test_target_of_the_topic_is_seen(
    served: ScriptedApplication, graph: Graph, client: TargetClient
) -> None:
    topic = graph.publisher(PerformanceTarget, f'{NAMESPACE}/performance_target')
    graph.wait_for_subscriptions(topic)
    topic.publish(PerformanceTarget(application=FRONT, latency=0.07, sender='by topic'))
    for report in client.reports(FRONT, timeout=10.0):
        if report.target is not None and report.target.sender == 'by topic':
            break
    else:
        raise AssertionError('the target was not seen')
    answer = client.set_target(FRONT, latency=0.05)
    assert 'It replaces the target of by topic.' in answer.message


def test_the_example_runs(served: ScriptedApplication, tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, str(EXAMPLE), FRONT],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        env=dict(os.environ),
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert 'before: It would be met' in answer.stdout
    assert 'docking with s' in answer.stdout
    assert 'the target is withdrawn' in answer.stdout


@pytest.fixture(scope='module')
def cpp_example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the example in C++ and return its program."""
    try:
        get_package_prefix('rclcpp')
    except PackageNotFoundError:
        pytest.skip('rclcpp is not installed, of which there are no wheels')
    if shutil.which('cmake') is None or shutil.which('c++') is None:
        pytest.skip('there is no cmake, or no C++ compiler')
    folder = tmp_path_factory.mktemp('cpp')
    for command in (
        ['cmake', '-S', str(EXAMPLE.parent / 'cpp'), '-B', str(folder)],
        ['cmake', '--build', str(folder)],
    ):
        built = subprocess.run(command, capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stdout + built.stderr
    return folder / 'set_target'


def test_the_example_in_cpp(
    cpp_example: Path, served: ScriptedApplication, tmp_path: Path
) -> None:
    answer = subprocess.run(
        [cpp_example, FRONT],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert 'before: It would be met' in answer.stdout
    assert 'docking with s' in answer.stdout
    assert 'the target is withdrawn' in answer.stdout


def test_the_example_without_a_manager(domain_id: int, tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, str(EXAMPLE), FRONT],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 1
    assert 'there is no service /dynamic_dnn/ask_target' in answer.stderr
