# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The manager node as a process, with scripted applications and the real platform node."""

from __future__ import annotations

from collections.abc import Callable
import math
from pathlib import Path
import shutil
import subprocess
import sys
from typing import Any

import pytest
from std_msgs.msg import String

from dynamic_dnn_ros.management.baselines import ztt
from dynamic_dnn_ros.management.baselines.weights_file import write_decider
from dynamic_dnn_ros.msg import (
    DvfsSetting,
    InferenceStatus,
    ManagerInputs,
    ManagerStatus,
    PerformanceTarget,
    SubNetworkSwitch,
    SystemLoad,
    TargetStatus,
)
from dynamic_dnn_ros.nodes.manager.node import ManagerNode
from support.applications import empty_points, operating_points
from support.graph import LATCHED, Collector, Graph
from support.process import NodeProcess
from support.scripted_application import NAMESPACE, ScriptedApplication

pytestmark = pytest.mark.system

FRONT = '/front/inference_node'
REAR = '/robot/rear/inference_node'
MEMORY_LIMIT = 100e6

PUBLISH_ONCE = """
import sys, time
import rclpy
from dynamic_dnn_ros.msg import PerformanceTarget
rclpy.init()
node = rclpy.create_node('_ros2cli_once')
publisher = node.create_publisher(PerformanceTarget, sys.argv[1], 10)
while publisher.get_subscription_count() == 0:
    rclpy.spin_once(node, timeout_sec=0.1)
publisher.publish(PerformanceTarget(application=sys.argv[2], latency=0.03, sender='once'))
time.sleep(1.0)
rclpy.shutdown()
"""
"""
What `ros2 topic pub --once --keep-alive 1` does, for machines without it: there are no wheels.

By itself it ends after 0.1 s, before a manager on a busy computer has found it.
"""

Start = Callable[..., NodeProcess]


class Session:
    """The test's side: sends targets, and hears the manager and the settings."""

    def __init__(self, graph: Graph, start_node: Start) -> None:
        self.graph = graph
        self.start_node = start_node
        self.statuses: Collector[ManagerStatus] = graph.collect(
            ManagerStatus, f'{NAMESPACE}/manager_status'
        )
        self.settings: Collector[DvfsSetting] = graph.collect(
            DvfsSetting, f'{NAMESPACE}/dvfs_setting'
        )
        self.loads: Collector[SystemLoad] = graph.collect(SystemLoad, f'{NAMESPACE}/system_load')
        self.targets = graph.publisher(PerformanceTarget, f'{NAMESPACE}/performance_target')

    def start_manager(self, **parameters: Any) -> NodeProcess:
        """Start a manager and wait until it decides."""
        last = self.statuses.last
        process = self.start_node('manager_node', parameters=parameters)
        # What one that was killed said last may still lie in the queue.
        self.statuses.wait_for(lambda s: last is None or s.instance != last.instance, 40.0)
        self.graph.wait_for_subscriptions(self.targets)
        return process

    def start_platform(self, **parameters: Any) -> NodeProcess:
        """Start the simulated Xavier NX and wait for its load."""
        values = {'platform': 'xavier_nx_simulated', **parameters}
        process = self.start_node('platform_node', parameters=values)
        self.loads.wait(1, 40.0)
        return process

    def ask(self, application: str, **fields: Any) -> PerformanceTarget:
        """Send a target."""
        message = PerformanceTarget(application=application, sender='test', **fields)
        self.targets.publish(message)
        return message

    def wait_for(
        self,
        application: str,
        condition: Callable[[TargetStatus], bool],
        what: str,
        timeout: float = 20.0,
    ) -> TargetStatus:
        """Return the first report on an application, from now on, that fulfils the condition."""
        self.statuses.clear()

        def fits(status: ManagerStatus) -> bool:
            return any(row.application == application and condition(row) for row in status.targets)

        status = self.statuses.wait_for(fits, timeout, what)
        return next(
            row for row in status.targets if row.application == application and condition(row)
        )

    def wait_for_state(self, application: str, state: int, timeout: float = 20.0) -> TargetStatus:
        """Return the first report on an application in a state."""
        return self.wait_for(
            application, lambda row: row.state == state, f'state {state}', timeout
        )


@pytest.fixture
def session(graph: Graph, start_node: Start) -> Session:
    return Session(graph, start_node)


def test_meets_a_target_and_sets_the_clocks_under_a_lease(session: Session) -> None:
    session.start_platform()
    manager = session.start_manager(lease=1.5)
    front = ScriptedApplication(session.graph, FRONT)
    session.wait_for(FRONT, lambda row: bool(row.decision.sub_network), 'a decision')
    session.ask(FRONT, latency=0.02, accuracy=0.85, rate=20.0)
    report = session.wait_for_state(FRONT, TargetStatus.STATE_MET)
    assert list(report.names) == ['latency', 'accuracy', 'rate']
    assert list(report.missed_by) == [0.0, 0.0, 0.0]
    assert report.sender == 'test'
    assert report.decision.accuracy >= 0.85
    assert report.decision.latency <= 0.02
    assert front.message.sub_network == report.decision.sub_network
    assert front.message.target.latency == 0.02
    assert report.runner_up.sub_network and report.runner_up_reason

    held = session.statuses.wait_for(lambda status: status.holds_lease, 10.0)
    load = session.loads.wait_for(lambda load: load.lease_manager == held.instance, 10.0)
    assert load.setting_result == SystemLoad.SETTING_APPLIED
    gpu = {row.name: row for row in load.domains}['gpu']
    assert gpu.requested_minimum == gpu.requested_maximum
    assert gpu.requested_maximum in gpu.available

    session.settings.clear()
    renewals = session.settings.wait(4, 10.0)
    assert all(not row.release and row.lease == 1.5 for row in renewals)
    assert [row.sequence for row in renewals] == list(
        range(renewals[0].sequence, renewals[0].sequence + 4)
    )
    session.loads.clear()
    assert all(row.lease_manager == held.instance for row in session.loads.wait(10, 10.0))

    session.loads.clear()
    assert manager.stop() == 0
    released = session.loads.wait_for(lambda load: not load.lease_manager, 10.0)
    assert released.setting_result == SystemLoad.SETTING_RELEASED


def test_keeps_a_target_for_an_application_that_is_not_there_yet(session: Session) -> None:
    session.start_manager()
    session.ask(REAR, latency=0.05, accuracy=0.9)
    report = session.wait_for_state(REAR, TargetStatus.STATE_WAITING)
    assert report.target.latency == 0.05
    rear = ScriptedApplication(session.graph, REAR)
    session.wait_for_state(REAR, TargetStatus.STATE_MET)
    assert rear.message.target.accuracy == 0.9

    rear.depart()
    session.wait_for_state(REAR, TargetStatus.STATE_WAITING)
    again = ScriptedApplication(session.graph, REAR, instance='second')
    session.wait_for_state(REAR, TargetStatus.STATE_MET)
    assert again.message.target.accuracy == 0.9

    again.fall_silent()
    session.wait_for_state(REAR, TargetStatus.STATE_WAITING)


def test_hears_a_target_that_is_published_once(session: Session, tmp_path: Path) -> None:
    session.start_manager()
    ScriptedApplication(session.graph, FRONT)
    topic = f'{NAMESPACE}/performance_target'
    if shutil.which('ros2'):
        text = f'{{application: {FRONT}, latency: 0.03, sender: once}}'
        kind = 'dynamic_dnn_ros/msg/PerformanceTarget'
        command = ['ros2', 'topic', 'pub', '--once', '--keep-alive', '1', topic, kind, text]
    else:
        command = [sys.executable, '-c', PUBLISH_ONCE, topic, FRONT]
    # Elsewhere, since the sources would hide the installed package.
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        report = session.wait_for(FRONT, lambda row: row.sender == 'once', 'the target', 40.0)
    finally:
        _, errors = process.communicate(timeout=30)
    assert not errors
    assert report.target.latency == 0.03


@pytest.mark.parametrize(
    ('fields', 'field', 'remedy'),
    [
        ({'latency': math.nan}, 'latency = nan', 'Give seconds'),
        ({'latency': math.inf}, 'latency = inf', 'Give seconds'),
        ({'rate': -1.0}, 'rate = -1.0', 'Give hertz'),
        ({'accuracy': 80.0}, 'accuracy = 80.0', '0.9 for 90 percent'),
        ({'latency': 0.1, 'latency_quantile': 1.0}, 'latency_quantile = 1.0', '0.95'),
        ({'latency_quantile': 0.5}, 'contradicts latency = 0', 'leave the quantile 0'),
        ({'objective': 9}, 'objective = 9', 'minimum_energy'),
        ({'action': 9}, 'action = 9', '1 to clear'),
    ],
)
def test_refuses_a_bad_target_and_keeps_the_one_before(
    shared_session: Session, fields: dict[str, Any], field: str, remedy: str
) -> None:
    session = shared_session
    session.ask(FRONT, latency=0.04)
    session.wait_for(
        FRONT,
        lambda row: row.target.latency == 0.04 and row.state != TargetStatus.STATE_REFUSED,
        'the good target',
    )
    session.ask(FRONT, **fields)
    report = session.wait_for_state(FRONT, TargetStatus.STATE_REFUSED)
    assert field in report.message
    assert remedy in report.message
    assert 'test' in report.message
    assert report.target.latency == 0.04


def test_answers_what_would_become_of_a_target_and_sets_nothing(
    shared_session: Session,
) -> None:
    session = shared_session
    session.ask(FRONT, latency=0.04)
    session.wait_for(
        FRONT,
        lambda row: row.target.latency == 0.04 and row.decision.sub_network != '',
        'a decision for the target in force',
    )
    session.statuses.clear()
    session.ask(FRONT, action=PerformanceTarget.ACTION_ASK, latency=0.0001)
    status = session.statuses.wait_for(
        lambda one: any(row.state == TargetStatus.STATE_ANSWERED for row in one.targets),
        20.0,
        'the answer',
    )
    in_force, answer = sorted(status.targets, key=lambda row: row.state)
    assert in_force.target.latency == 0.04
    assert answer.target.latency == 0.0001
    assert 'It would miss latency' in answer.message
    assert answer.missed_by[0] > 0
    assert 'It would miss latency' in answer.message


@pytest.fixture
def shared_session(session: Session) -> Session:
    session.start_manager()
    ScriptedApplication(session.graph, FRONT)
    return session


def test_answers_a_target_for_something_that_is_no_node(session: Session) -> None:
    session.start_manager()
    session.ask('front', latency=0.1)
    report = session.wait_for_state('front', TargetStatus.STATE_REFUSED)
    assert 'fully qualified' in report.message


def test_serves_the_nearest_point_to_an_impossible_target(session: Session) -> None:
    session.start_manager()
    front = ScriptedApplication(session.graph, FRONT)
    session.ask(FRONT, latency=0.001)
    report = session.wait_for_state(FRONT, TargetStatus.STATE_INFEASIBLE)
    assert report.decision.sub_network == 's0'
    assert report.missed_by[0] == pytest.approx(report.predicted[0] - 0.001, rel=0.5)
    assert report.binding_constraint == TargetStatus.CONSTRAINT_LATENCY
    assert 'latency 1 ms' in report.message
    session.graph.spin_until(lambda: front.message.sub_network == 's0', 10.0, 'the nearest')
    session.ask(FRONT, action=PerformanceTarget.ACTION_CLEAR)
    session.wait_for_state(FRONT, TargetStatus.STATE_NO_TARGET)
    session.graph.spin_until(
        lambda: not front.message.target.application, 10.0, 'the target withdrawn'
    )


def test_hands_a_new_target_over_without_a_switch(session: Session) -> None:
    session.start_manager()
    front = ScriptedApplication(session.graph, FRONT)
    session.ask(FRONT, accuracy=0.9)
    session.wait_for_state(FRONT, TargetStatus.STATE_MET)
    served, count = front.message.sub_network, len(front.switches)
    session.ask(FRONT, accuracy=0.89)
    session.graph.spin_until(lambda: len(front.switches) > count, 10.0, 'the target handed over')
    switch = front.switches[-1]
    assert switch.reason == SubNetworkSwitch.REASON_TARGET_ECHO
    assert switch.sub_network == served
    assert switch.target.accuracy == 0.89


def test_restart_takes_over_targets_and_sub_networks_without_a_switch(session: Session) -> None:
    session.start_platform()
    manager = session.start_manager()
    front = ScriptedApplication(session.graph, FRONT)
    rear = ScriptedApplication(session.graph, REAR)
    session.ask(FRONT, latency=0.05, accuracy=0.85)
    session.ask(REAR, latency=0.08, accuracy=0.8, priority=3)
    session.wait_for_state(FRONT, TargetStatus.STATE_MET)
    session.wait_for_state(REAR, TargetStatus.STATE_MET)
    session.graph.spin_for(4.0)  # what is learnt of the slow-down has settled
    old = session.statuses.last
    assert old is not None
    manager.kill()
    session.graph.spin_for(0.5)  # what it sent last may still lie in the queue
    served = front.message.sub_network, rear.message.sub_network
    counts = len(front.switches), len(rear.switches)
    session.start_manager()
    for name, latency in ((FRONT, 0.05), (REAR, 0.08)):
        report = session.wait_for_state(name, TargetStatus.STATE_MET)
        assert report.target.latency == latency
        assert report.sender == 'test'
    session.statuses.wait_for(lambda s: s.instance != old.instance and s.holds_lease, 15.0)
    session.graph.spin_for(5.0)  # past the time in which it leaves everything alone
    assert (front.message.sub_network, rear.message.sub_network) == served
    assert (len(front.switches), len(rear.switches)) == counts


def test_sends_a_switch_again_until_it_is_acknowledged(session: Session) -> None:
    session.start_manager()
    front = ScriptedApplication(session.graph, FRONT)
    front.obeys = False
    session.ask(FRONT, latency=0.01)
    session.graph.spin_until(lambda: len(front.switches) >= 3, 15.0, 'the switch again')
    assert [switch.sub_network for switch in front.switches[-2:]] == ['s0', 's0']
    assert [switch.sequence for switch in front.switches] == [1, 2, 3]
    assert session.wait_for(FRONT, lambda row: True, 'a report').state == (
        TargetStatus.STATE_PENDING
    )
    front.obeys = True
    session.graph.spin_until(lambda: front.message.sub_network == 's0', 10.0, 'obedience')


def test_leaves_out_a_sub_network_that_the_application_refuses(session: Session) -> None:
    session.start_manager()
    front = ScriptedApplication(session.graph, FRONT)
    front.refuses = 11
    session.ask(FRONT, latency=0.01)
    session.graph.spin_until(lambda: front.switches, 10.0, 'a switch')
    front.refuses = 0
    first = front.switches[0].sub_network
    session.graph.spin_until(
        lambda: front.message.sub_network != 's3', 15.0, 'another sub-network'
    )
    assert front.message.sub_network != first


def test_advises_without_touching_anything(session: Session) -> None:
    session.start_platform()
    session.start_manager(mode='advise')
    front = ScriptedApplication(session.graph, FRONT)
    session.ask(FRONT, latency=0.01)
    report = session.wait_for(
        FRONT, lambda row: row.decision.sub_network == 's0', 'the advice', 20.0
    )
    assert report.state in (TargetStatus.STATE_PENDING, TargetStatus.STATE_MISSED)
    status = session.statuses.last
    assert status is not None
    assert status.mode == ManagerStatus.MODE_ADVISE
    assert [row.name for row in status.domains] == ['gpu']
    session.graph.spin_for(3.0)
    assert not front.switches
    assert front.message.sub_network == 's3'
    assert not len(session.settings)


def test_mode_and_bounds_change_while_it_works(session: Session) -> None:
    session.start_platform()
    manager = session.start_manager(mode='advise')
    front = ScriptedApplication(session.graph, FRONT)
    session.ask(FRONT, latency=0.01)
    session.wait_for(FRONT, lambda row: row.decision.sub_network == 's0', 'the advice')
    assert not front.switches
    assert session.graph.set_parameter('/manager_node', 'mode', 'control') == (True, '')
    session.graph.spin_until(lambda: front.message.sub_network == 's0', 5.0, 'the switch')
    session.settings.wait_for(lambda setting: not setting.release, 5.0)
    assert session.graph.set_parameter('/manager_node', 'power_cap', 6.0) == (True, '')
    session.statuses.wait_for(lambda status: status.power < 6.0, 5.0, 'a plan below the cap')
    assert session.graph.set_parameter('/manager_node', 'mode', 'advise') == (True, '')
    session.settings.wait_for(lambda setting: setting.release, 5.0)
    session.statuses.wait_for(lambda status: status.mode == ManagerStatus.MODE_ADVISE, 5.0)
    taken, reason = session.graph.set_parameter('/manager_node', 'decider', 'largest')
    assert not taken and 'at the next configure' in reason
    manager.wait_for_log('From now on mode = control')
    manager.wait_for_log('power_cap = 6.0')  # beside the mode, where both came at once


def test_the_log_tells_of_each_target_and_the_summary_of_all(session: Session) -> None:
    summaries = session.graph.collect(String, f'{NAMESPACE}/summary')
    manager = session.start_manager()
    ScriptedApplication(session.graph, FRONT)
    session.wait_for(FRONT, lambda row: bool(row.decision.sub_network), 'a decision')
    for _ in range(5):
        session.ask(FRONT, latency=0.05)
        session.ask('/nobody', latency=0.05)
        session.ask('nobody', latency=0.05)
        session.graph.spin_for(0.2)
    session.wait_for_state(FRONT, TargetStatus.STATE_MET)
    session.graph.spin_for(1.0)
    session.targets.publish(PerformanceTarget(application=FRONT, sender='other', latency=0.06))
    manager.wait_for_log('It replaces the target of test')
    lines = manager.log.splitlines()
    assert sum('target of test: latency ≤ 50 ms' in line for line in lines) == 2
    (warned,) = [line for line in lines if '[WARN]' in line and '/nobody' in line]
    assert f'is kept until it appears. Those that are there: {FRONT}.' in warned
    (refused,) = [line for line in lines if 'fully qualified node name' in line]
    assert f'Those that are there: {FRONT}.' in refused
    (met,) = [line for line in lines if f'{FRONT}: met by s' in line]
    assert '[INFO]' in met and '(≤ 50 ms)' in met
    said = summaries.wait(1)[-1].data.split('\n')
    assert said[0].startswith('control, no platform node: clocks are left alone')
    (front,) = [line for line in said if line.startswith(f'{FRONT}: ')]
    assert '; serves s' in front
    assert any(line.startswith('/nobody: waiting') for line in said)


def test_status_is_published_on_change_and_once_a_second(session: Session) -> None:
    session.start_platform(rate=50.0)
    session.start_manager(resource_period=0.1)
    ScriptedApplication(session.graph, FRONT)
    decisions = session.graph.collect(ManagerInputs, f'{NAMESPACE}/manager_inputs')
    session.ask(FRONT, latency=0.05)
    session.wait_for_state(FRONT, TargetStatus.STATE_MET)
    session.graph.spin_for(3.0)
    session.statuses.clear()
    decisions.clear()
    session.graph.spin_for(4.0)
    assert len(decisions) > 30
    assert 3 <= len(session.statuses) <= 6
    session.statuses.clear()
    session.ask(FRONT, latency=0.04)
    session.statuses.wait_for(
        lambda status: any(row.target.latency == 0.04 for row in status.targets), 0.8
    )


def test_second_manager_gives_way(session: Session, start_node: Start) -> None:
    session.start_manager()
    first = session.statuses.last
    assert first is not None
    second = start_node('manager_node', parameters={}, node_name='second_manager')
    line = second.wait_for_log('gives way', 40.0)
    assert first.instance in line
    assert 'manager_namespace' in line
    # What the second one said before it gave way may still lie in the queue.
    session.graph.spin_for(0.5)
    session.statuses.clear()
    assert {status.instance for status in session.statuses.wait(4, 10.0)} == {first.instance}
    assert session.graph.lifecycle_state('/second_manager') == 'unconfigured'


def test_recorded_status_of_an_earlier_manager_stops_nobody(session: Session) -> None:
    session.start_manager()
    ghosts = session.graph.publisher(ManagerStatus, f'{NAMESPACE}/manager_status')
    session.graph.wait_for_subscriptions(ghosts)
    for _ in range(5):
        ghosts.publish(ManagerStatus(instance='recorded'))
        session.graph.spin_for(0.2)
    assert session.graph.lifecycle_state('/manager_node') == 'active'


def test_managers_in_two_namespaces_do_not_meet(session: Session, start_node: Start) -> None:
    session.start_manager()
    other = session.graph.collect(ManagerStatus, '/other/manager_status')
    start_node('manager_node', parameters={'manager_namespace': '/other'}, node_name='other')
    other.wait(2, 40.0)
    session.statuses.clear()
    session.statuses.wait(2, 10.0)


def test_leaves_an_application_without_a_profile_as_it_is(session: Session) -> None:
    session.start_manager()
    front = ScriptedApplication(session.graph, FRONT, points=empty_points())
    session.ask(FRONT, latency=0.05, accuracy=0.9)
    report = session.wait_for_state(FRONT, TargetStatus.STATE_MET)
    assert 'no profile' in report.message
    assert report.decision.sub_network == 's3'
    assert {switch.reason for switch in front.switches} == {SubNetworkSwitch.REASON_TARGET_ECHO}
    assert front.message.target.accuracy == 0.9


def test_survives_an_application_that_makes_no_sense(session: Session) -> None:
    manager = session.start_manager()
    broken = ScriptedApplication(session.graph, FRONT)
    broken.message.operating_points.latency_mean = [math.nan]
    broken.present()
    nameless = ScriptedApplication(session.graph, REAR)
    nameless.message.id = 'not a name'
    nameless.present()
    manager.wait_for_log('latency_mean')
    manager.wait_for_log('not a name')
    session.statuses.clear()
    session.statuses.wait(2, 10.0)


def test_gives_the_clocks_back_when_the_platform_falls_silent(session: Session) -> None:
    platform = session.start_platform()
    session.start_manager()
    ScriptedApplication(session.graph, FRONT)
    session.ask(FRONT, latency=0.05)
    session.statuses.wait_for(lambda status: status.holds_lease, 20.0)
    platform.kill()
    stale = session.statuses.wait_for(
        lambda status: status.platform_state == ManagerStatus.PLATFORM_STALE, 15.0
    )
    assert 'platform node' in stale.message
    assert not stale.holds_lease
    session.settings.wait_for(lambda setting: setting.release, 10.0)
    session.settings.clear()
    session.graph.spin_for(2.0)
    assert not len(session.settings)


def test_refuses_a_parameter_out_of_range(graph: Graph, start_node: Start) -> None:
    process = start_node('manager_node', parameters={'utilisation_limit': 7.0})
    line = process.wait_for_log('utilisation_limit')
    assert '0.1 to 1' in line
    graph.wait_for_state('/manager_node', 'unconfigured')
    assert graph.set_parameter('/manager_node', 'utilisation_limit', 0.7)[0]
    assert graph.change_state('/manager_node', 'configure')


def test_is_small_and_imports_no_engine(session: Session, start_node: Start) -> None:
    process = start_node('manager_node', log_imports=True)
    session.statuses.wait(1, 40.0)
    ScriptedApplication(session.graph, FRONT, points=operating_points(spread=0.1))
    session.graph.wait_for_subscriptions(session.targets)
    session.ask(FRONT, latency=0.05)
    session.wait_for_state(FRONT, TargetStatus.STATE_MET)
    assert process.resident_memory() < MEMORY_LIMIT
    assert process.loaded_engines() == []
    engines = {'torch', 'onnxruntime', 'openvino', 'tensorrt'}
    assert not {name.split('.')[0] for name in process.imported_modules()} & engines


def deciding_manager(graph: Graph) -> ManagerNode:
    """Return a manager of this process that has decided once."""
    node = ManagerNode(context=graph.context)
    graph.add_node(node)
    node.start()
    graph.spin_until(node.diagnose, 10.0, 'a decision')
    return node


def test_a_manager_that_was_stopped_listens_before_it_decides(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was not heard meanwhile was not silent."""
    node = deciding_manager(graph)
    decided = node._decisions
    monkeypatch.setattr(node, '_awake', node._awake - 5.0)
    node._decide()
    assert node._decisions == decided
    graph.spin_until(lambda: node._decisions > decided, 10.0, 'a decision')
    node.stop()


def test_a_crowd_s_statuses_do_not_wait_for_a_decision_each(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = deciding_manager(graph)
    monkeypatch.setattr(node._manager, 'observe', lambda status, now: True)
    status = InferenceStatus(
        application=FRONT, instance='one', event=InferenceStatus.EVENT_SERVED, sub_network='s0'
    )
    graph.spin_until(lambda: not node._deciding, 10.0, 'rest')
    # A decision that took 3 s has ended 1 s ago.
    now = node._rests_until + 100.0
    monkeypatch.setattr(node, '_rests_until', now + 2.0)
    node._on_status(status, now, 0)
    assert not node._deciding and node._wanted
    monkeypatch.setattr(node._manager, 'observe', lambda status, now: False)
    node._on_status(status, now + 2.1, 0)
    assert node._deciding, 'what was wanted before is decided then'
    graph.spin_until(lambda: not node._wanted, 10.0, 'the decision')
    # A target waits for nothing.
    monkeypatch.setattr(node, '_rests_until', math.inf)
    node._carry_out(PerformanceTarget(application=FRONT, latency=0.05), now, 0)
    assert node._deciding
    node.stop()


def test_an_inactive_manager_says_nothing_of_targets(graph: Graph) -> None:
    node = deciding_manager(graph)
    node.trigger_deactivate()
    assert node.configured and not node.diagnose()
    node.stop()


def test_latched_targets_match_too(session: Session) -> None:
    session.start_manager()
    ScriptedApplication(session.graph, FRONT)
    latched = session.graph.publisher(
        PerformanceTarget, f'{NAMESPACE}/performance_target', LATCHED
    )
    session.graph.wait_for_subscriptions(latched)
    latched.publish(PerformanceTarget(application=FRONT, latency=0.07, sender='latched'))
    session.wait_for(FRONT, lambda row: row.sender == 'latched', 'the target')


@pytest.mark.parametrize('decider', ['alert', 'dynamic_ofa'])
def test_another_decider_meets_a_target(session: Session, decider: str) -> None:
    session.start_platform()
    session.start_manager(decider=decider)
    front = ScriptedApplication(session.graph, FRONT)
    session.ask(FRONT, latency=0.05)
    report = session.wait_for_state(FRONT, TargetStatus.STATE_MET)
    assert list(report.names) == ['latency']
    assert 0 < report.measured[0] <= 0.05
    assert front.message.sub_network == report.decision.sub_network
    session.targets.publish(
        PerformanceTarget(
            application=FRONT, action=PerformanceTarget.ACTION_ASK, latency=0.01, sender='test'
        )
    )
    answer = session.wait_for_state(FRONT, TargetStatus.STATE_ANSWERED)
    assert 'predicts nothing' in answer.message


def test_a_trained_decider_serves_and_one_that_is_none_is_said(
    session: Session, tmp_path: Path
) -> None:
    path = tmp_path / 'ztt.npz'
    write_decider(path, 'ztt', {}, ztt.learner().arrays())
    session.start_platform()
    parameters = {'decider': 'ztt', 'decider_file': str(tmp_path)}
    node = session.start_node('manager_node', parameters=parameters)
    node.wait_for_log('cannot be read', 40.0)
    assert node.stop() == 0
    session.start_manager(decider='ztt', decider_file=str(path))
    ScriptedApplication(session.graph, FRONT)
    session.ask(FRONT, latency=0.5)
    report = session.wait_for_state(FRONT, TargetStatus.STATE_MET)
    assert 0 < report.measured[0] <= 0.5


def test_unknown_decider_is_said(session: Session) -> None:
    node = session.start_node('manager_node', parameters={'decider': 'dice'})
    node.wait_for_log("decider 'dice' is unknown. Choose one of: dynamic_dnn, largest", 40.0)
