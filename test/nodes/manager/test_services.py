# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The services of the manager node, as a process, over real DDS."""

from __future__ import annotations

from collections.abc import Callable
import math
import time
from typing import Any

import pytest

from dynamic_dnn_ros.management.expectation import Expectation
from dynamic_dnn_ros.msg import ManagerInputs, ManagerStatus, PerformanceTarget, TargetStatus
from dynamic_dnn_ros.srv import AskTarget, ClearTarget, SetTarget
from support.applications import empty_points
from support.graph import Collector, Graph
from support.process import NodeProcess
from support.scripted_application import NAMESPACE, ScriptedApplication

pytestmark = pytest.mark.system

FRONT = '/front/inference_node'

Start = Callable[..., NodeProcess]


class Services:
    """A manager and its services."""

    def __init__(self, graph: Graph, start_node: Start, **parameters: Any) -> None:
        self.graph = graph
        self.statuses: Collector[ManagerStatus] = graph.collect(
            ManagerStatus, f'{NAMESPACE}/manager_status'
        )
        self.process = start_node('manager_node', parameters=parameters)
        self.statuses.wait(1, 40.0)

    def set(self, application: str = FRONT, sender: str = 'test', **fields: Any) -> Any:
        request = SetTarget.Request(application=application, sender=sender, **fields)
        return self.graph.call(SetTarget, f'{NAMESPACE}/set_target', request)

    def ask(self, application: str = FRONT, sender: str = 'test', **fields: Any) -> Any:
        request = AskTarget.Request(application=application, sender=sender, **fields)
        return self.graph.call(AskTarget, f'{NAMESPACE}/ask_target', request)

    def clear(self, application: str = FRONT, sender: str = 'test') -> Any:
        request = ClearTarget.Request(application=application, sender=sender)
        return self.graph.call(ClearTarget, f'{NAMESPACE}/clear_target', request)

    def present(self, **options: Any) -> ScriptedApplication:
        """Start an application and wait until it is decided for."""
        front = ScriptedApplication(self.graph, FRONT, **options)
        self.statuses.wait_for(
            lambda status: any(
                row.application == FRONT and row.decision.sub_network for row in status.targets
            ),
            20.0,
        )
        return front


@pytest.fixture
def services(graph: Graph, start_node: Start) -> Services:
    return Services(graph, start_node)


def test_set_ask_and_clear(services: Services) -> None:
    front = services.present()
    answer = services.ask(latency=0.02, accuracy=0.85)
    assert answer.accepted
    assert answer.expected == AskTarget.Response.EXPECTED_MET
    assert 'It would be met' in answer.message
    assert answer.status.state == TargetStatus.STATE_ANSWERED
    assert answer.status.runner_up.sub_network
    assert not answer.replaced.application
    assert not front.message.target.application  # nothing has changed by it

    done = services.set(latency=0.02, accuracy=0.85)
    assert done.accepted
    assert done.expected == SetTarget.Response.EXPECTED_MET
    assert done.message == 'It is expected to be met.'
    assert not done.replaced.application
    assert list(done.status.names) == ['latency', 'accuracy']
    assert done.status.decision.sub_network == answer.status.decision.sub_network
    assert done.status.runner_up.sub_network == answer.status.runner_up.sub_network
    assert done.status.runner_up_reason and done.status.reason
    assert done.status.sender == 'test'
    services.graph.spin_until(
        lambda: front.message.target.accuracy == 0.85, 10.0, 'the target at the application'
    )

    gone = services.clear(sender='somebody else')
    assert gone.accepted
    assert gone.replaced.sender == 'test'
    assert gone.message == 'This withdraws the target of test.'
    again = services.clear()
    assert again.accepted and again.message == 'There was no target.'


def test_a_second_sender_is_told_whom_it_replaces(services: Services) -> None:
    services.present()
    services.set(sender='navigation', latency=0.05)
    asked = services.ask(sender='docking', latency=0.02)
    assert 'It would replace the target of navigation.' in asked.message
    assert asked.replaced.latency == 0.05
    done = services.set(sender='docking', latency=0.02)
    assert 'It replaces the target of navigation.' in done.message
    assert (done.replaced.sender, done.replaced.latency) == ('navigation', 0.05)
    same = services.set(sender='docking', latency=0.03)
    assert 'replaces' not in same.message
    assert same.replaced.latency == 0.02


def test_what_cannot_be_met_is_set_and_said(services: Services) -> None:
    services.present()
    done = services.set(latency=0.001)
    assert done.accepted
    assert done.expected == SetTarget.Response.EXPECTED_MISSED
    assert 'latency 1 ms (expected: ' in done.message
    assert done.status.state == TargetStatus.STATE_INFEASIBLE
    assert done.status.decision.sub_network == 's0'


def test_an_application_that_nobody_knows_is_answered(services: Services) -> None:
    for answer in (services.ask('/nobody', latency=0.1), services.set('/nobody', latency=0.1)):
        assert answer.accepted
        assert answer.expected == SetTarget.Response.EXPECTED_UNKNOWN
        assert '/nobody is not there' in answer.message
    assert services.clear('/nobody').accepted
    for answer in (services.ask('', latency=0.1), services.set('front'), services.clear('')):
        assert not answer.accepted
        assert 'fully qualified node name' in answer.message


def test_an_application_without_a_profile_is_answered(services: Services) -> None:
    ScriptedApplication(services.graph, FRONT, points=empty_points())
    services.statuses.wait_for(
        lambda status: any(row.application == FRONT for row in status.targets), 20.0
    )
    answer = services.ask(latency=0.1)
    assert answer.accepted and answer.expected == AskTarget.Response.EXPECTED_UNKNOWN
    assert 'has no profile' in answer.message
    assert services.set(latency=0.1).expected == SetTarget.Response.EXPECTED_UNKNOWN


BAD = [
    ({'latency': math.nan}, 'latency = nan'),
    ({'latency': math.inf}, 'latency = inf'),
    ({'latency': -0.1}, 'latency = -0.1'),
    ({'latency': 1e300}, 'latency = 1e+300'),
    ({'latency': 0.1, 'latency_quantile': 0.0}, 'latency_quantile = 0.0'),
    ({'latency': 0.1, 'latency_quantile': 1.0}, 'latency_quantile = 1.0'),
    ({'latency': 0.1, 'latency_quantile': math.nan}, 'latency_quantile = nan'),
    ({'latency_quantile': 0.5}, 'latency_quantile = 0.5'),
    ({'accuracy': 80.0}, 'accuracy = 80.0'),
    ({'accuracy': -1.0}, 'accuracy = -1.0'),
    ({'energy': math.nan}, 'energy = nan'),
    ({'energy': 1e300}, 'energy = 1e+300'),
    ({'rate': -1.0}, 'rate = -1.0'),
    ({'rate': 1e300}, 'rate = 1e+300'),
    ({'objective': 9}, 'objective = 9'),
    ({'late_frames': 9}, 'late_frames = 9'),
]


def test_bad_numbers_are_refused_by_field_and_the_target_stays(services: Services) -> None:
    services.present()
    services.set(latency=0.05)
    for fields, named in BAD:
        for answer in (services.set(**fields), services.ask(**fields)):
            assert not answer.accepted, fields
            assert named in answer.message
            assert 'Give' in answer.message
    assert services.ask(latency=0.05).replaced.latency == 0.05


def test_the_topic_says_the_same_as_the_service(services: Services) -> None:
    services.present()
    answer = services.ask(latency=0.0001)
    topic = services.graph.publisher(PerformanceTarget, f'{NAMESPACE}/performance_target')
    services.graph.wait_for_subscriptions(topic)
    topic.publish(
        PerformanceTarget(
            application=FRONT, action=PerformanceTarget.ACTION_ASK, latency=0.0001, sender='test'
        )
    )
    status = services.statuses.wait_for(
        lambda one: any(row.state == TargetStatus.STATE_ANSWERED for row in one.targets), 20.0
    )
    row = next(row for row in status.targets if row.state == TargetStatus.STATE_ANSWERED)
    assert row.message.split(' (')[0] == answer.message.split(' (')[0]
    assert row.decision.sub_network == answer.status.decision.sub_network


def test_a_flood_of_questions_holds_no_decision_up(services: Services) -> None:
    services.present()
    client = services.graph.node.create_client(AskTarget, f'{NAMESPACE}/ask_target')
    services.graph.spin_until(client.service_is_ready, 20.0)
    request = AskTarget.Request(application=FRONT, latency=0.02)
    # The inputs of each decision are published; its outcome only where it is another one.
    decisions = services.graph.collect(ManagerInputs, f'{NAMESPACE}/manager_inputs')
    decisions.wait(1, 10.0)
    decisions.clear()
    pending = [client.call_async(request) for _ in range(20)]
    answered = 0
    end = time.monotonic() + 4.0
    while time.monotonic() < end:
        services.graph.spin_for(0.005)
        done = [future for future in pending if future.done()]
        answered += len(done)
        pending = [future for future in pending if not future.done()]
        pending += [client.call_async(request) for _ in done]
    # It decides twice a second, as if nobody asked.
    gaps = [b - a for a, b in zip(decisions.arrived, decisions.arrived[1:])]
    assert answered > 50
    assert max(gaps) < 1.0


def test_says_that_it_only_advises(graph: Graph, start_node: Start) -> None:
    services = Services(graph, start_node, mode='advise')
    services.present()
    assert 'only advises' in services.set(latency=0.05).message


def test_only_the_active_manager_offers_services(services: Services) -> None:
    name = f'{NAMESPACE}/set_target'
    known = services.graph.node.get_service_names_and_types
    services.graph.spin_until(lambda: name in dict(known()), 20.0, name)
    assert services.graph.change_state('/manager_node', 'deactivate')
    services.graph.spin_until(lambda: name not in dict(known()), 20.0, 'its end')
    assert services.graph.change_state('/manager_node', 'activate')
    services.graph.spin_until(lambda: name in dict(known()), 20.0, name)
    assert services.set('/nobody', latency=0.1).accepted


def test_expectations_have_the_numbers_of_the_services() -> None:
    for service in (SetTarget, AskTarget):
        for value in Expectation:
            assert getattr(service.Response, f'EXPECTED_{value.name}') == value
