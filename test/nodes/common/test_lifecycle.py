# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable, Iterator
import threading
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
import pytest
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter

from dynamic_dnn_ros.nodes.common import giving_way, lifecycle, qos
from dynamic_dnn_ros.nodes.common.giving_way import Sign
from dynamic_dnn_ros.nodes.common.lifecycle import ManagedNode, NodeError
from dynamic_dnn_ros.nodes.common.parameters import ParameterSpecification
from support.graph import Graph

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


RIVAL = Sign(DiagnosticArray, '/rival', qos.DIAGNOSTICS, lambda message: True)


class Managed(ManagedNode):
    PARAMETERS = (ParameterSpecification('rate', 10.0, 'How often.', 'Hz', minimum=1.0),)

    def __init__(self, **arguments: Any) -> None:
        self.calls: list[str] = []
        self.failing: dict[str, Exception] = {}
        super().__init__('managed', **arguments)

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if call in self.failing:
            raise self.failing[call]

    def configure(self) -> None:
        self._note('configure')

    def activate(self) -> None:
        self._note('activate')

    def deactivate(self) -> None:
        self._note('deactivate')

    def clean_up(self) -> None:
        self._note('clean_up')


Create = Callable[..., Managed]


@pytest.fixture
def create(graph: Graph) -> Iterator[Create]:
    nodes: list[Managed] = []

    def make(**overrides: object) -> Managed:
        node = Managed(
            context=graph.context,
            parameter_overrides=[Parameter(n, value=v) for n, v in overrides.items()],
        )
        nodes.append(node)
        graph.add_node(node)
        return node

    yield make
    for node in nodes:
        graph.remove_node(node)
        node.destroy_node()


def diagnosed(graph: Graph, name: str = 'managed: state') -> Callable[[], DiagnosticStatus]:
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')

    def last() -> DiagnosticStatus:
        diagnostics.clear()
        message = diagnostics.wait_for(lambda m: any(s.name == name for s in m.status))
        return next(status for status in message.status if status.name == name)

    return last


def test_starts_and_stops_by_itself(create: Create) -> None:
    node = create()
    node.start()
    assert node.active and node.configured
    node.stop()
    assert node.calls == ['configure', 'activate', 'deactivate', 'clean_up']


def test_misspelt_parameters_are_named_at_start(
    create: Create, capfd: pytest.CaptureFixture[str]
) -> None:
    create(raet=5.0, robot_description='x')
    lines = capfd.readouterr().err.splitlines()
    warned = next(line for line in lines if '[WARN]' in line)
    assert "'raet' (did you mean 'rate'?)" in warned and 'ros2 param list /managed' in warned
    # It may be another node's: parameter files have sections for all.
    noted = next(line for line in lines if 'robot_description' in line)
    assert '[INFO]' in noted


def test_what_a_parameter_says_is_what_holds(graph: Graph, create: Create) -> None:
    node = create()
    node.start()
    taken, reason = graph.set_parameter('/managed', 'rate', 20.0)
    assert not taken and 'at the next configure' in reason
    assert node.get_parameter('rate').value == node.parameters['rate'] == 10.0
    node.stop()
    assert graph.set_parameter('/managed', 'rate', 20.0) == (True, '')
    node.start()
    assert node.parameters['rate'] == 20.0


def test_waits_for_a_lifecycle_manager_without_autostart(create: Create) -> None:
    node = create(autostart=False)
    node.start()
    assert not node.configured and node.calls == []


@pytest.mark.parametrize('error', [NodeError('no camera. Plug it in.'), RuntimeError('broken')])
def test_failed_configuration_is_said_and_may_be_tried_again(
    graph: Graph, create: Create, error: Exception
) -> None:
    node = create()
    last = diagnosed(graph)
    node.failing['configure'] = error
    node.start()
    assert node.calls == ['configure', 'clean_up']
    status = last()
    assert status.level == DiagnosticStatus.ERROR
    assert str(error) in status.message
    node.failing.clear()
    assert node.trigger_configure() == SUCCESS
    assert node.trigger_activate() == SUCCESS
    assert last().level == DiagnosticStatus.OK


def test_failed_activation_leaves_the_node_inactive(create: Create) -> None:
    node = create()
    publisher = node.create_lifecycle_publisher(DiagnosticArray, 'said', 1)
    node.failing['activate'] = RuntimeError('broken')
    node.start()
    assert node.configured and not node.active and not publisher.is_activated
    assert 'broken' in node.problem
    node.failing.clear()
    assert node.trigger_activate() == SUCCESS
    assert node.active and not node.problem


def test_failures_on_the_way_down_do_not_hold_the_node_up(create: Create) -> None:
    node = create()
    node.start()
    node.failing = {'deactivate': RuntimeError('broken'), 'clean_up': RuntimeError('broken')}
    node.stop()
    assert not node.active and not node.configured


def test_bad_parameter_keeps_the_node_unconfigured_until_it_is_set_right(
    graph: Graph, create: Create
) -> None:
    node = create(rate=0.5)
    last = diagnosed(graph)
    node.start()
    assert not node.configured and node.calls == ['clean_up']
    assert "'rate' is 0.5, outside at least 1 Hz" in last().message
    node.set_parameters([Parameter('rate', value=5.0)])
    assert node.trigger_configure() == SUCCESS


def test_node_that_gives_way_stops_and_says_why(graph: Graph, create: Create) -> None:
    node = create()
    node.start()
    node.give_way('Another one is here. End it.', RIVAL)
    graph.spin_until(lambda: not node.configured, timeout=5.0)
    assert node.problem.startswith('Another one is here. End it. This one starts again by itself')
    assert node.calls[-2:] == ['deactivate', 'clean_up']
    assert node.trigger_configure() == SUCCESS
    assert node._waiting is None


def test_a_node_that_gave_way_starts_again_once_the_other_one_is_silent(
    graph: Graph, create: Create, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(giving_way, 'LOOK', 0.05)
    monkeypatch.setattr(giving_way, 'SILENCE', 0.4)
    publisher = graph.publisher(DiagnosticArray, '/rival')
    node = create()
    node.start()
    node.give_way('Another one is here. End it.', RIVAL)
    graph.spin_until(lambda: node._waiting is not None, timeout=5.0)
    graph.wait_for_subscriptions(publisher)
    for _ in range(8):
        publisher.publish(DiagnosticArray())
        graph.spin_for(0.1)
    assert not node.configured
    graph.spin_until(lambda: node.active, timeout=5.0)
    assert node.problem == '' and node._waiting is None


def test_two_words_of_a_rival_stop_the_node_once(
    graph: Graph, create: Create, capfd: pytest.CaptureFixture[str]
) -> None:
    node = create()
    node.start()
    for _ in range(2):
        node.give_way('Another one is here. End it.', RIVAL)
    done: list[bool] = []
    node.call_soon(lambda: done.append(True))
    graph.spin_until(lambda: done, timeout=5.0)
    assert node.calls.count('clean_up') == 1
    assert capfd.readouterr().err.count('Another one is here') == 1


def test_what_is_called_soon_is_called_once_in_order_and_leaves_nothing(
    graph: Graph, create: Create
) -> None:
    node = create()
    known = len(node.default_callback_group.entities)
    calls: list[str] = []

    def first() -> None:
        calls.append('first')
        node.call_soon(lambda: calls.append('third'))
        assert calls == ['first'], 'not within the present callback'

    node.call_soon(first)
    node.call_soon(lambda: calls.append('second'))
    graph.spin_until(lambda: len(calls) == 3, timeout=5.0)
    graph.spin_for(0.2)
    assert calls == ['first', 'second', 'third']
    for number in range(200):
        node.call_soon(lambda number=number: calls.append(str(number)))
    graph.spin_until(lambda: len(calls) == 203, timeout=10.0)
    assert calls[3:] == [str(number) for number in range(200)]
    assert len(node.default_callback_group.entities) == known


def test_what_another_thread_has_called_soon_is_called(graph: Graph, create: Create) -> None:
    node = create()
    calls: list[int] = []

    def ask() -> None:
        for number in range(200):
            node.call_soon(lambda number=number: calls.append(number))

    thread = threading.Thread(target=ask)
    thread.start()
    graph.spin_until(lambda: len(calls) == 200, timeout=10.0)
    thread.join()
    assert calls == list(range(200))


def test_nothing_waits_for_a_simulated_time_that_stands(graph: Graph, create: Create) -> None:
    node = create(use_sim_time=True)
    last = diagnosed(graph)
    node.start()
    calls: list[str] = []
    node.call_soon(lambda: calls.append('soon'))
    node.own(node.destroy_timer, node.create_steady_timer(0.05, lambda: calls.append('timer')))
    graph.spin_until(lambda: {'soon', 'timer'} <= set(calls), timeout=5.0)
    assert last().level == DiagnosticStatus.OK
    node.destroy_owned()


def test_the_same_complaint_is_logged_once(
    create: Create, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = create()
    for number in range(3):
        node.complain('no light')
        node.complain(f'setting {number}', 'settings')
    assert capfd.readouterr().err.count('no light') == 1
    monkeypatch.setattr(lifecycle, 'COMPLAINT_PERIOD', 0.0)
    node.complain('no light')
    node.complain('setting 4', 'settings')
    said = capfd.readouterr().err
    assert 'no light' in said and 'setting 4' in said


def test_a_player_of_recordings_is_no_rival(graph: Graph, create: Create) -> None:
    node, rival = create(), Node('other', context=graph.context)
    graph.add_node(rival)
    topics = {n: node.shared_topic(n) for n in ('said', 'heard')}
    node.create_publisher(DiagnosticArray, topics['said'], 1)
    node.create_subscription(DiagnosticArray, topics['heard'], lambda _: None, 1)
    rival.create_publisher(DiagnosticArray, topics['said'], 1)
    graph.spin_until(lambda: node.count_publishers(topics['said']) == 2, timeout=5.0)
    assert not node.has_rival('said', 'heard')
    rival.create_subscription(DiagnosticArray, topics['heard'], lambda _: None, 1)
    graph.spin_until(lambda: node.has_rival('said', 'heard'), timeout=5.0)


def test_shared_topics_lie_under_the_managers_namespace(create: Create) -> None:
    assert create(manager_namespace='/robot/brain').shared_topic('x') == '/robot/brain/x'


@pytest.mark.parametrize('namespace', ['relative', '/ends/'])
def test_namespace_that_is_not_absolute_is_refused(create: Create, namespace: str) -> None:
    node = create(manager_namespace=namespace)
    assert node.trigger_configure() == FAILURE
    assert 'not an absolute namespace' in node.problem


@pytest.mark.parametrize(
    ('before', 'identifier', 'state'),
    [
        (('configure', 'activate'), Transition.TRANSITION_CONFIGURE, 'active'),
        (('configure', 'activate'), 250, 'active'),
        (('configure', 'activate', 'deactivate'), Transition.TRANSITION_DEACTIVATE, 'inactive'),
        ((), Transition.TRANSITION_ACTIVATE, 'unconfigured'),
        ((), 250, 'unconfigured'),
    ],
)
def test_impossible_transition_is_answered_at_once(
    graph: Graph,
    create: Create,
    capfd: pytest.CaptureFixture[str],
    before: tuple[str, ...],
    identifier: int,
    state: str,
) -> None:
    node = create()
    name = node.identifier
    for transition in before:
        assert graph.change_state(name, transition)
    request = ChangeState.Request()
    request.transition.id = identifier
    response = graph.call(ChangeState, f'{name}/change_state', request, timeout=5.0)
    assert not response.success
    assert graph.lifecycle_state(name) == state
    assert f'Refused transition {identifier}: the node is {state}' in capfd.readouterr().err
    # Those that there are still work.
    possible = {'active': 'deactivate', 'inactive': 'activate', 'unconfigured': 'configure'}
    assert graph.change_state(name, possible[state])


def test_a_start_that_failed_is_tried_again_until_it_succeeds(
    graph: Graph, create: Create, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, 'FIRST_RETRY', 0.05)
    node = create()
    node.failing['configure'] = NodeError('the bundle is not there yet')
    node.start()
    assert not node.configured and 'not there yet' in node.problem
    graph.spin_until(lambda: node.calls.count('configure') == 2, 10.0, 'another try')
    node.failing.clear()
    graph.spin_until(lambda: node.active, 10.0, 'the start')
    assert node.problem == '' and node._retry_timer is None


def test_a_node_that_was_stopped_or_configured_by_hand_does_not_start_by_itself(
    create: Create,
) -> None:
    for take_over in (Managed.stop, Managed.trigger_configure):
        node = create()
        node.failing['configure'] = NodeError('the bundle is not there yet')
        node.start()
        assert node._retry_timer is not None
        node.failing.clear()
        take_over(node)
        assert node._retry_timer is None and not node.active
