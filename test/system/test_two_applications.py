# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Two applications in two namespaces under one manager, which is killed on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
import time

import pytest

from dynamic_dnn_ros.msg import Application as ApplicationMessage
from dynamic_dnn_ros.msg import (
    InferenceStatus,
    ManagerStatus,
    PerformanceTarget,
    SubNetworkSwitch,
    TargetStatus,
)
from support.application import APPLICATION_TOPIC, Application
from support.graph import ALL_LATCHED, LATCHED, Collector, Graph
from support.images import image_message, noise
from support.process import NodeProcess

pytestmark = pytest.mark.system

ANSWERED = (
    TargetStatus.STATE_PENDING,
    TargetStatus.STATE_MET,
    TargetStatus.STATE_MISSED,
    TargetStatus.STATE_INFEASIBLE,
)
MANAGER_STATUS = '/dynamic_dnn/manager_status'
WATCH = 5.0
"""Seconds for which a manager that took over is watched: ten of its decisions."""


class Cameras:
    """Publishes frames for both applications while the graph is spun."""

    def __init__(self, graph: Graph, applications: list[Application], rate: float) -> None:
        self._applications = applications
        self._frames = [image_message(noise(320, 240, index)) for index in range(4)]
        self._count = 0
        self._graph = graph
        graph.node.create_timer(1.0 / rate, self._publish)

    def _publish(self) -> None:
        self._count += 1
        frame = self._frames[self._count % len(self._frames)]
        frame.header.stamp = self._graph.node.get_clock().now().to_msg()
        for application in self._applications:
            application.images.publish(frame)


def target_statuses(
    messages: list[ManagerStatus], application: str
) -> Iterator[tuple[ManagerStatus, TargetStatus]]:
    """Iterate over what the manager said of one application."""
    for message in messages:
        for target in message.targets:
            if target.application == application:
                yield message, target


def same(one: PerformanceTarget, other: PerformanceTarget) -> bool:
    """Return whether two targets ask for the same; a manager may fill in what was left open."""
    fields = ('application', 'latency', 'accuracy', 'energy', 'rate', 'priority', 'objective')
    return all(getattr(one, name) == getattr(other, name) for name in fields)


def wait_for_answer(statuses: Collector[ManagerStatus], target: PerformanceTarget) -> TargetStatus:
    """Wait until the manager says how a target stands."""
    return statuses.graph.spin_until(
        lambda: next(
            (
                status
                for _, status in target_statuses(statuses.messages, target.application)
                if same(status.target, target) and status.state in ANSWERED
            ),
            None,
        ),
        30.0,
        lambda: f'an answer to {target}; the last: {statuses.last}',
    )


def wait_for_echo(presented: Collector[ApplicationMessage], target: PerformanceTarget) -> None:
    """Wait until an application presents a target as the one in force."""
    presented.wait_for(lambda message: same(message.target, target), 20.0, f'the echo of {target}')


def test_three_targets_each_and_a_manager_that_is_killed(
    graph: Graph, start_node: Callable[..., NodeProcess], synthetic_bundle: Path
) -> None:
    start_node('platform_node', parameters={'platform': 'xavier_nx_simulated'})
    manager = start_node('manager_node')
    statuses = graph.collect(ManagerStatus, MANAGER_STATUS)
    presented = graph.collect(ApplicationMessage, APPLICATION_TOPIC, ALL_LATCHED)
    applications = [
        Application(graph, start_node, synthetic_bundle, namespace, platform='auto')
        for namespace in ('/front', '/rear')
    ]
    cameras = Cameras(graph, applications, 8.0)
    targets = graph.publisher(PerformanceTarget, '/dynamic_dnn/performance_target')
    graph.wait_for_subscriptions(targets)
    switches = {
        application.id: graph.collect(
            SubNetworkSwitch, f'{application.id}/sub_network_switch', LATCHED
        )
        for application in applications
    }

    asked = [
        {'latency': 0.5, 'accuracy': 0.65},
        {'latency': 0.4, 'objective': PerformanceTarget.OBJECTIVE_MINIMUM_LATENCY},
        {'rate': 5.0, 'accuracy': 0.55, 'objective': PerformanceTarget.OBJECTIVE_MINIMUM_ENERGY},
    ]
    last = {}
    for round_number in range(len(asked)):
        for index, application in enumerate(applications):
            # The applications ask for different things at one time.
            limits = asked[(round_number + index) % len(asked)]
            target = PerformanceTarget(
                application=application.id,
                sender=f'test {round_number}',
                priority=index,
                **limits,
            )
            last[application.id] = target
            targets.publish(target)
            answer = wait_for_answer(statuses, target)
            assert answer.sender == f'test {round_number}'
            assert answer.decision.sub_network in ('s0', 's1', 's2')
            assert answer.decision.accuracy >= limits.get('accuracy', 0.0)
            wait_for_echo(presented, target)

    # Let the decisions settle: the same sub-networks for a while.
    def serving() -> dict[str, str]:
        return {
            application.id: application.statuses[-1].sub_network for application in applications
        }

    def settled() -> bool:
        newest = {
            application.id: list(target_statuses(statuses.messages, application.id))[-1][1]
            for application in applications
        }
        return all(
            status.state in (TargetStatus.STATE_MET, TargetStatus.STATE_MISSED)
            and status.decision.sub_network == serving()[name]
            for name, status in newest.items()
        )

    graph.spin_until(settled, 30.0, lambda: f'confirmed decisions; the last: {statuses.last}')
    graph.spin_for(2.0)
    before = serving()
    # The cheapest ones that are accurate enough: not what the applications began with.
    assert before == {'/front/inference_node': 's1', '/rear/inference_node': 's2'}
    first_instance = statuses.messages[-1].instance
    manager.kill()
    died = time.monotonic()
    graph.spin_for(1.5)
    assert serving() == before, 'applications go on with what they serve'
    for collector in switches.values():
        collector.clear()
    for application in applications:
        application.all_statuses.clear()

    start_node('manager_node')
    taken_over = statuses.wait_for(
        lambda status: (
            status.instance != first_instance
            and sum(target.state in ANSWERED for target in status.targets) == 2
        ),
        30.0,
        'a new manager that knows both applications',
    )
    assert taken_over.instance != first_instance
    graph.spin_for(WATCH)
    assert time.monotonic() - died > WATCH
    for application in applications:
        of_new = [
            status
            for message, status in target_statuses(statuses.messages, application.id)
            if message.instance != first_instance and status.state in ANSWERED
        ]
        assert of_new
        for status in of_new:
            assert same(status.target, last[application.id])
            assert status.sender == 'test 2'
        # A switch that only hands over the target in force names what serves already.
        for switch in switches[application.id]:
            assert switch.sub_network == before[application.id], switch
        served = [
            status.sub_network
            for status in application.statuses
            if status.event == InferenceStatus.EVENT_SERVED
        ]
        assert len(served) > 10
        assert set(served) == {before[application.id]}
    assert cameras


def test_a_target_for_an_application_that_is_not_there_waits_for_it(
    graph: Graph, start_node: Callable[..., NodeProcess], synthetic_bundle: Path
) -> None:
    start_node('manager_node')
    statuses = graph.collect(ManagerStatus, MANAGER_STATUS)
    targets = graph.publisher(PerformanceTarget, '/dynamic_dnn/performance_target')
    graph.wait_for_subscriptions(targets)
    graph.wait_for_publishers(MANAGER_STATUS)
    target = PerformanceTarget(application='/late/inference_node', accuracy=0.55, sender='early')
    targets.publish(target)
    waiting = statuses.wait_for(
        lambda message: any(
            status.state == TargetStatus.STATE_WAITING and same(status.target, target)
            for status in message.targets
        )
    )
    assert waiting.targets[0].application == '/late/inference_node'
    assert waiting.targets[0].message

    application = Application(graph, start_node, synthetic_bundle, '/late')
    assert wait_for_answer(statuses, target).decision.accuracy >= 0.55

    # It leaves, and its target is kept again.
    assert application.process.stop() == 0
    statuses.clear()
    statuses.wait_for(
        lambda message: any(
            status.state == TargetStatus.STATE_WAITING and same(status.target, target)
            for status in message.targets
        ),
        30.0,
        'the target to be kept after its application has left',
    )


def test_an_application_that_crashed_gets_its_target_again(
    graph: Graph, start_node: Callable[..., NodeProcess], synthetic_bundle: Path
) -> None:
    """SIGKILL announces nothing: the manager notices, keeps the target, and hands it over."""
    start_node('manager_node')
    statuses = graph.collect(ManagerStatus, MANAGER_STATUS)
    presented = graph.collect(ApplicationMessage, APPLICATION_TOPIC, ALL_LATCHED)
    targets = graph.publisher(PerformanceTarget, '/dynamic_dnn/performance_target')
    graph.wait_for_subscriptions(targets)
    application = Application(graph, start_node, synthetic_bundle, '/front')
    target = PerformanceTarget(
        application=application.id,
        sender='operator',
        accuracy=0.55,
        objective=PerformanceTarget.OBJECTIVE_MINIMUM_LATENCY,
    )
    targets.publish(target)
    wait_for_answer(statuses, target)
    wait_for_echo(presented, target)

    application.process.kill()
    statuses.clear()
    statuses.wait_for(
        lambda message: any(
            status.state == TargetStatus.STATE_WAITING and same(status.target, target)
            for status in message.targets
        ),
        60.0,
        'the crash to be noticed',
    )

    statuses.clear()
    presented.clear()
    restarted = Application(graph, start_node, synthetic_bundle, '/front')
    answer = wait_for_answer(statuses, target)
    assert answer.sender == 'operator'
    wait_for_echo(presented, target)

    def decided() -> str:
        # A node without a profile measures one at start, which the first answer may not know.
        newest = list(target_statuses(statuses.messages, restarted.id))[-1][1]
        return str(newest.decision.sub_network)

    graph.spin_until(
        lambda: restarted.statuses[-1].sub_network == decided(),
        10.0,
        lambda: f'{decided()} to serve; the last: {restarted.statuses[-1]}',
    )
