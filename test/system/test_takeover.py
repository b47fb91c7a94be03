# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Several applications on a computer whose clocks are files: who comes late, dies or returns.

Applications are scripted, so that nothing but manager and platform decides how this ends.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import threading
import time

import pytest

from dynamic_dnn_ros.msg import (
    ManagerStatus,
    PerformanceTarget,
    SystemLoad,
    TargetStatus,
)
from support.applications import operating_points
from support.graph import Graph
from support.kernel import Kernel, xavier_nx
from support.process import NodeProcess
from support.scripted_application import ScriptedApplication

pytestmark = pytest.mark.system

NAMESPACE = '/dynamic_dnn'
TABLE = (114.75e6, 306e6, 510e6, 803.25e6, 1109.25e6)
FOUND = (114750000, 1109250000)
ADOPTION = 3.0
"""Seconds: the manager's own default."""


class Watch:
    """Writes down every change of the limits, as an observer without ROS sees them."""

    def __init__(self, limits: Callable[[], tuple[int, int]]) -> None:
        self._limits = limits
        self.seen: list[tuple[int, int]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while not self._stop.wait(0.01):
            limits = self._limits()
            if not self.seen or limits != self.seen[-1]:
                self.seen.append(limits)

    def stop(self) -> None:
        """End it."""
        self._stop.set()
        self._thread.join()


class Robot:
    """A platform node on a file tree, a manager, and what they say."""

    def __init__(self, graph: Graph, start_node: Callable[..., NodeProcess], folder: Path) -> None:
        self.graph = graph
        self.start_node = start_node
        self.folder = folder
        self.tree: Kernel = xavier_nx(folder / 'root')
        self.tree.file('/sys/devices/gpu.0/load', 0)
        self.statuses = graph.collect(ManagerStatus, f'{NAMESPACE}/manager_status')
        self.loads = graph.collect(SystemLoad, f'{NAMESPACE}/system_load')
        self.targets = graph.publisher(PerformanceTarget, f'{NAMESPACE}/performance_target')
        self.platform = self.start_platform()
        self.manager = self.start_manager()

    def start_platform(self) -> NodeProcess:
        """Start a platform node, which may set the GPU's clock."""
        return self.start_node(
            'platform_node',
            parameters={'sysfs_root': str(self.tree.root), 'state_folder': str(self.folder)},
        )

    def start_manager(self) -> NodeProcess:
        """Start a manager node as it is by default."""
        return self.start_node('manager_node')

    def limits(self) -> tuple[int, int]:
        """Return what the GPU's files hold, Hz; a file that is being written is read again."""
        clock = self.tree.clocks['17000000.gv11b']
        while True:
            try:
                return int(clock.minimum_file.read_text()), int(clock.maximum_file.read_text())
            except ValueError:
                continue

    def application(self, name: str, instance: str = 'first') -> ScriptedApplication:
        """Start a scripted application whose profile knows the clock of the GPU."""
        points = operating_points(TABLE)
        return ScriptedApplication(self.graph, name, points, instance)

    def ask(self, application: str, **fields: float) -> PerformanceTarget:
        target = PerformanceTarget(
            application=application,
            sender='test',
            objective=PerformanceTarget.OBJECTIVE_MINIMUM_ENERGY,
            **fields,
        )
        self.graph.wait_for_subscriptions(self.targets)
        self.targets.publish(target)
        return target

    def wait_for(
        self,
        application: str,
        condition: Callable[[TargetStatus], bool],
        what: str,
        timeout: float = 40.0,
    ) -> TargetStatus:
        """Return the first report on an application from now on that fulfils a condition."""
        first = len(self.statuses)

        def search() -> TargetStatus | None:
            for status in self.statuses.messages[first:]:
                for row in status.targets:
                    if row.application == application and condition(row):
                        return row
            return None

        row = self.graph.spin_until(
            search, timeout, lambda: f'{what} of {application}; the last: {self.statuses.last}'
        )
        assert row is not None
        return row

    def wait_until_met(self, application: str) -> TargetStatus:
        return self.wait_for(
            application, lambda row: row.state == TargetStatus.STATE_MET, 'a target that is met'
        )

    def wait_for_lease(self, others: tuple[str, ...] = ()) -> str:
        """Wait until a manager, none of `others`, holds the lease; return its instance."""
        first = len(self.loads)

        def holder() -> str:
            rows = self.loads.messages[first:]
            return next(
                (m.lease_manager for m in rows if m.lease_manager not in ('', *others)), ''
            )

        return str(self.graph.spin_until(holder, 40.0, f'a lease; last: {self.loads.last}'))


@pytest.fixture
def robot(graph: Graph, start_node: Callable[..., NodeProcess], tmp_path: Path) -> Robot:
    return Robot(graph, start_node, tmp_path)


def test_a_manager_that_is_killed_and_restarted_takes_over_without_a_jump(robot: Robot) -> None:
    """Neither clocks nor sub-networks move, from its death until its successor has learnt."""
    names = ('/front/inference_node', '/rear/inference_node')
    applications = [robot.application(name) for name in names]
    for name in names:
        robot.ask(name, latency=0.08, accuracy=0.85)
        robot.wait_until_met(name)
    first = robot.wait_for_lease()
    robot.graph.spin_for(4.0)  # what is learnt of the slow-down has settled
    pinned = robot.limits()
    assert pinned[0] == pinned[1]
    served = [application.message.sub_network for application in applications]
    switches = [len(application.switches) for application in applications]

    watch = Watch(robot.limits)
    try:
        robot.manager.kill()
        robot.manager = robot.start_manager()
        second = robot.wait_for_lease((first,))
        assert second != first
        robot.graph.spin_for(ADOPTION)
    finally:
        watch.stop()
    assert watch.seen == [pinned]
    assert [application.message.sub_network for application in applications] == served
    # A switch may hand over a target, but names what serves already.
    for application, count, name in zip(applications, switches, served):
        assert all(switch.sub_network == name for switch in application.switches[count:])
    for name in names:
        assert robot.wait_until_met(name).target.accuracy == 0.85
    assert robot.manager.stop() == 0
    robot.graph.spin_until(lambda: robot.limits() == FOUND, 10.0, 'the limits found')


def test_without_a_successor_the_limits_found_come_back(robot: Robot) -> None:
    robot.application('/front/inference_node')
    robot.ask('/front/inference_node', latency=0.08, accuracy=0.85)
    robot.wait_for_lease()
    robot.graph.spin_until(lambda: robot.limits() != FOUND, 20.0, 'a setting')
    robot.manager.kill()
    load = robot.loads.wait_for(
        lambda load: load.setting_result == SystemLoad.SETTING_EXPIRED, 40.0
    )
    assert load.lease_manager == ''
    assert robot.limits() == FOUND


def test_three_applications_that_join_late_die_and_return(robot: Robot) -> None:
    front = robot.application('/front/inference_node')
    robot.ask(front.id, latency=0.08, accuracy=0.85)
    robot.wait_until_met(front.id)
    # Two join late: of one the target was there first.
    robot.ask('/side/inference_node', latency=0.2, accuracy=0.80)
    robot.wait_for(
        '/side/inference_node',
        lambda row: row.state == TargetStatus.STATE_WAITING,
        'a target that waits',
    )
    side = robot.application('/side/inference_node')
    rear = robot.application('/rear/inference_node')
    robot.ask(rear.id, latency=0.2, accuracy=0.80)
    for application in (front, side, rear):
        robot.wait_until_met(application.id)
    robot.wait_for_lease()

    # One dies without a word: its target waits for it, and the others' are met.
    side.fall_silent()
    robot.wait_for(
        side.id, lambda row: row.state == TargetStatus.STATE_WAITING, 'a target that waits'
    )
    for application in (front, rear):
        robot.wait_until_met(application.id)

    # It returns as another instance, and is asked for the same.
    returned = robot.application(side.id, 'second')
    report = robot.wait_until_met(side.id)
    assert (report.target.latency, report.target.accuracy) == (0.2, 0.80)
    robot.graph.spin_until(
        lambda: returned.message.target.accuracy == 0.80, 10.0, 'the target to be handed over'
    )

    # All leave in order: there is nothing to set clocks for, and they are given back.
    for application in (front, rear, returned):
        application.depart()
    robot.graph.spin_until(lambda: robot.limits() == FOUND, 20.0, 'the limits found')
    assert robot.manager.running and robot.platform.running


def test_a_platform_that_is_killed_and_restarted_gets_the_setting_again(robot: Robot) -> None:
    front = robot.application('/front/inference_node')
    robot.ask(front.id, latency=0.08, accuracy=0.85)
    robot.wait_for_lease()
    robot.graph.spin_until(lambda: robot.limits() != FOUND, 20.0, 'a setting')
    robot.platform.kill()
    killed = time.monotonic()
    while robot.limits() != FOUND:
        assert time.monotonic() - killed < 1.0, robot.limits()
        time.sleep(0.005)
    robot.platform = robot.start_platform()
    robot.graph.spin_until(lambda: robot.limits() != FOUND, 40.0, 'a setting')
    assert front.message.sub_network
