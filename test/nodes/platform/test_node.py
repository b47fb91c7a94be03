# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The platform node as a process: settings over DDS, leases, and what its death leaves behind."""

from __future__ import annotations

from collections.abc import Callable
import math
import os
from pathlib import Path
import signal
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
import psutil
import pytest

from dynamic_dnn_ros.msg import (
    DomainSetting,
    DvfsSetting,
    InferenceStatus,
    NamedValue,
    SystemLoad,
)
from dynamic_dnn_ros.platforms.frequency_control import MemoryControl
from support.cpufreq import CpufreqTree
from support.graph import Collector, Graph
from support.kernel import Kernel, xavier_nx
from support.process import NodeProcess

pytestmark = pytest.mark.system

NAMESPACE = '/dynamic_dnn'
XAVIER = {'platform': 'xavier_nx_simulated'}
FOUND = [(800000, 2000000)] * 2
PINNED = [(1200000, 1200000)] * 2


class Manager:
    """The test's side: hears the platform and sends settings as a manager does."""

    def __init__(self, graph: Graph, instance: str = 'manager_1') -> None:
        self.graph = graph
        self.instance = instance
        self.sequence = 0
        self.loads: Collector[SystemLoad] = graph.collect(SystemLoad, f'{NAMESPACE}/system_load')
        self.publisher = graph.publisher(DvfsSetting, f'{NAMESPACE}/dvfs_setting')

    def connect(self) -> SystemLoad:
        """Wait until both sides have found each other, and return a load."""
        self.graph.wait_for_subscriptions(self.publisher)
        return self.loads.wait(1, 30.0)[-1]

    def setting(self, **changes: Any) -> DvfsSetting:
        """Return a sound setting, then changed."""
        load = self.loads.last
        assert load is not None
        self.sequence += 1
        message = DvfsSetting()
        message.platform = load.platform
        message.boot_id = load.boot_id
        message.manager = self.instance
        message.sequence = self.sequence
        message.issued = load.monotonic_time
        message.lease = 5.0
        message.domains = [DomainSetting(name='gpu', minimum=510e6, maximum=510e6)]
        for name, value in changes.items():
            setattr(message, name, value)
        return message

    def send(self, message: DvfsSetting) -> SystemLoad:
        """Send a setting and return the first load that answers it."""
        seen = len(self.loads)
        self.publisher.publish(message)
        return self.wait(
            lambda load: (
                (load.setting_sequence, load.setting_manager)
                == (message.sequence, message.manager)
            ),
            seen,
        )

    def wait(self, condition: Callable[[SystemLoad], bool], seen: int = 0) -> SystemLoad:
        """Return the first load after `seen` that fulfils a condition."""

        def search() -> list[SystemLoad]:
            return [load for load in self.loads.messages[seen:] if condition(load)]

        return self.graph.spin_until(search, 10.0, lambda: f'a load; last: {self.loads.last}')[0]


@pytest.fixture
def manager(graph: Graph) -> Manager:
    return Manager(graph)


def domain(load: SystemLoad, name: str) -> Any:
    return next(row for row in load.domains if row.name == name)


def cpu(minimum: float, maximum: float) -> list[DomainSetting]:
    return [DomainSetting(name='cpu', minimum=minimum, maximum=maximum)]


@pytest.fixture
def tree(tmp_path: Path) -> CpufreqTree:
    return CpufreqTree(tmp_path / 'root')


@pytest.fixture
def start_linux(
    start_node: Callable[..., NodeProcess], tree: CpufreqTree, tmp_path: Path
) -> Callable[..., NodeProcess]:
    """Start a node that may set the CPU clocks of the tree."""

    def start(**options: Any) -> NodeProcess:
        parameters = {
            'platform': 'linux',
            'sysfs_root': str(tree.root),
            'manage_cpu': True,
            **options.pop('parameters', {}),
        }
        environment = {'XDG_RUNTIME_DIR': str(tmp_path)}
        return start_node(
            'platform_node', parameters=parameters, environment=environment, **options
        )

    return start


def test_publishes_the_load_of_the_simulated_board(
    start_node: Callable[..., NodeProcess], manager: Manager
) -> None:
    start_node('platform_node', parameters=XAVIER)
    load = manager.connect()
    assert load.platform == 'xavier_nx_simulated'
    assert load.kind == SystemLoad.KIND_SIMULATED
    assert [row.name for row in load.domains] == ['cpu', 'gpu', 'memory']
    gpu = domain(load, 'gpu')
    assert len(gpu.available) == 15
    assert list(gpu.available) == sorted(gpu.available)
    assert gpu.granted in gpu.available
    assert load.total_power_rail in [row.name for row in load.power]
    assert load.period == pytest.approx(0.1)
    assert (load.setting_result, load.lease_manager) == (SystemLoad.SETTING_NONE, '')
    times = [entry.monotonic_time for entry in manager.loads.wait(20)]
    assert times == sorted(times)
    assert len({entry.instance for entry in manager.loads}) == 1


def test_without_parameters_it_reads_this_computer(
    start_node: Callable[..., NodeProcess], manager: Manager
) -> None:
    start_node('platform_node')
    manager.connect()
    load = manager.loads.wait(10)[-1]
    assert load.platform == 'linux'
    assert load.kind == SystemLoad.KIND_MEASURED
    (state,) = load.domains
    assert state.name == 'cpu'
    assert list(state.available) == []  # nothing is set unless that is switched on
    assert 0.0 <= state.utilisation_own + state.utilisation_foreign <= 2.0
    memory = {row.name: row.value for row in load.memory}
    assert 0 < memory['available'] < memory['total']
    assert list(load.slow_downs) == []


def test_setting_renewal_release(start_node: Callable[..., NodeProcess], manager: Manager) -> None:
    start_node('platform_node', parameters=XAVIER)
    manager.connect()
    load = manager.send(manager.setting())
    assert load.setting_result == SystemLoad.SETTING_APPLIED, load.setting_message
    assert load.lease_manager == 'manager_1'
    assert 0.0 < load.lease_remaining <= 5.0
    gpu = domain(load, 'gpu')
    assert (gpu.requested_minimum, gpu.requested_maximum, gpu.granted) == (510e6, 510e6, 510e6)
    load = manager.send(manager.setting(domains=[DomainSetting(name='gpu', maximum=408e6)]))
    gpu = domain(load, 'gpu')
    assert (gpu.requested_minimum, gpu.requested_maximum) == (114.75e6, 408e6)
    load = manager.send(manager.setting(release=True, lease=0.0))
    assert load.setting_result == SystemLoad.SETTING_RELEASED
    assert (load.lease_manager, load.lease_remaining) == ('', 0.0)
    assert domain(load, 'gpu').requested_maximum == 0.0


@pytest.mark.parametrize('use_sim_time', [False, True])
def test_lease_ends_by_itself(
    start_node: Callable[..., NodeProcess], manager: Manager, use_sim_time: bool
) -> None:
    """Also where nobody publishes `/clock`: a lease is counted on the monotonic clock."""
    start_node('platform_node', parameters={**XAVIER, 'use_sim_time': use_sim_time})
    manager.connect()
    load = manager.send(manager.setting(lease=0.6))
    applied = load.monotonic_time
    load = manager.wait(lambda entry: entry.setting_result == SystemLoad.SETTING_EXPIRED)
    assert 0.3 < load.monotonic_time - applied < 1.6
    assert load.setting_message
    assert (load.lease_manager, domain(load, 'gpu').requested_maximum) == ('', 0.0)


REFUSALS: list[tuple[str, dict[str, Any], int]] = [
    ('platform', {'platform': 'orin_nx'}, SystemLoad.SETTING_REFUSED_PLATFORM),
    ('boot', {'boot_id': 'another-boot'}, SystemLoad.SETTING_REFUSED_BOOT),
    ('manager', {'manager': 'manager_2'}, SystemLoad.SETTING_REFUSED_MANAGER),
    ('sequence', {'sequence': 1}, SystemLoad.SETTING_REFUSED_SEQUENCE),
    ('no lease', {'lease': 0.0}, SystemLoad.SETTING_REFUSED_LEASE),
    ('NaN lease', {'lease': math.nan}, SystemLoad.SETTING_REFUSED_LEASE),
    ('long lease', {'lease': 1e6}, SystemLoad.SETTING_REFUSED_LEASE),
    ('expired', {'issued': -100.0}, SystemLoad.SETTING_REFUSED_LEASE),
    (
        'domain',
        {'domains': [DomainSetting(name='dla')]},
        SystemLoad.SETTING_REFUSED_DOMAIN,
    ),
    (
        'off the table',
        {'domains': [DomainSetting(name='gpu', minimum=5e8, maximum=5e8)]},
        SystemLoad.SETTING_REFUSED_FREQUENCY,
    ),
    (
        'above the limit',
        {'domains': [DomainSetting(name='cpu', minimum=0.0, maximum=1907.2e6)]},
        SystemLoad.SETTING_REFUSED_FREQUENCY,
    ),
    (
        'contradictory',
        {'domains': [DomainSetting(name='gpu', minimum=510e6, maximum=408e6)]},
        SystemLoad.SETTING_REFUSED_FREQUENCY,
    ),
]


def test_every_refusal_says_why_and_costs_only_itself(
    start_node: Callable[..., NodeProcess], manager: Manager
) -> None:
    """One node, one setting in force, all refusals one after the other."""
    node = start_node('platform_node', parameters=XAVIER)
    manager.connect()
    manager.send(manager.setting(lease=20.0))
    for name, changes, result in REFUSALS:
        load = manager.send(manager.setting(**changes))
        assert load.setting_result == result, name
        assert load.setting_message.count('. ') >= 1, name
        assert load.lease_manager == 'manager_1', name
        assert domain(load, 'gpu').granted == 510e6, name
    assert manager.send(manager.setting()).setting_result == SystemLoad.SETTING_APPLIED
    # A manager asks four times a second as long as it is refused.
    said = node.log.count('Setting refused')
    for _ in range(3):
        manager.send(manager.setting(lease=0.0))
    assert node.log.count('Setting refused') == said


def test_replayed_recording_sets_nothing(
    start_node: Callable[..., NodeProcess], manager: Manager
) -> None:
    start_node('platform_node', parameters=XAVIER)
    manager.connect()
    recorded = [manager.setting(lease=0.5) for _ in range(3)]
    for message in recorded:
        manager.send(message)
    manager.wait(lambda entry: entry.setting_result == SystemLoad.SETTING_EXPIRED)
    for message in recorded:
        manager.publisher.publish(message)
    load = manager.wait(lambda entry: entry.setting_result >= SystemLoad.SETTING_REFUSED_PLATFORM)
    assert load.lease_manager == ''
    assert domain(load, 'gpu').requested_maximum == 0.0


def test_utilisation_and_slow_downs_come_from_the_applications(
    start_node: Callable[..., NodeProcess], manager: Manager, graph: Graph
) -> None:
    start_node('platform_node', parameters={**XAVIER, 'seed': 3, 'foreign_load_cpu': 0.1})
    manager.connect()
    publisher = graph.publisher(InferenceStatus, f'{NAMESPACE}/inference_status')
    graph.wait_for_subscriptions(publisher)
    manager.send(manager.setting(lease=20.0))
    started = time.monotonic()
    for name in ('/front/inference_node', '/rear/inference_node'):
        # A row that cannot be is passed over.
        publisher.publish(
            InferenceStatus(
                application=name,
                instance='x',
                processor='gpu',
                busy=[NamedValue(name='gpu', value=math.nan)],
            )
        )
    for _ in range(40):
        elapsed = time.monotonic() - started
        for name in ('/front/inference_node', '/rear/inference_node'):
            status = InferenceStatus(application=name, instance=name, processor='gpu')
            status.busy = [
                NamedValue(name='cpu', value=0.2 * elapsed),
                NamedValue(name='gpu', value=0.3 * elapsed),
            ]
            publisher.publish(status)
        graph.spin_for(0.05)
    load = manager.loads.last
    assert load is not None
    assert domain(load, 'gpu').utilisation_own == pytest.approx(0.6, rel=0.2)
    assert domain(load, 'cpu').utilisation_own == pytest.approx(0.4 / 6, rel=0.2)
    assert domain(load, 'cpu').utilisation_foreign >= 0.1
    slow_downs = {row.name: row.value for row in load.slow_downs}
    assert set(slow_downs) == {'/front/inference_node', '/rear/inference_node'}
    assert all(value > 1.0 for value in slow_downs.values())


def test_sigkill_restores_within_a_second(
    start_linux: Callable[..., NodeProcess], manager: Manager, tree: CpufreqTree
) -> None:
    node = start_linux()
    manager.connect()
    load = manager.send(manager.setting(domains=cpu(1.2e9, 1.2e9), lease=20.0))
    assert load.setting_result == SystemLoad.SETTING_APPLIED, load.setting_message
    assert tree.limits() == PINNED
    os.kill(node.pid, signal.SIGKILL)
    killed = time.monotonic()
    while tree.limits() != FOUND:
        assert time.monotonic() - killed < 1.0, tree.limits()
        time.sleep(0.005)
    assert_no_guard_left(tree)


def test_a_node_that_hangs_is_restored_for_when_its_lease_has_ended(
    start_linux: Callable[..., NodeProcess], manager: Manager, tree: CpufreqTree
) -> None:
    node = start_linux()
    manager.connect()
    load = manager.send(manager.setting(domains=cpu(1.2e9, 1.2e9), lease=1.0))
    assert load.setting_result == SystemLoad.SETTING_APPLIED, load.setting_message
    os.kill(node.pid, signal.SIGSTOP)
    try:
        stopped = time.monotonic()
        while tree.limits() != FOUND:
            assert time.monotonic() - stopped < 3.0, tree.limits()
            time.sleep(0.01)
        time.sleep(max(0.0, stopped + 1.6 - time.monotonic()))
    finally:
        os.kill(node.pid, signal.SIGCONT)
    node.wait_for_log('This node was stopped for .* The lease ran out meanwhile')


def test_a_guard_that_does_not_answer_keeps_nobody_from_giving_a_lease_back(
    start_linux: Callable[..., NodeProcess], manager: Manager, tree: CpufreqTree
) -> None:
    node = start_linux()
    manager.connect()
    manager.send(manager.setting(domains=cpu(1.2e9, 1.2e9), lease=20.0))
    folder = str(tree.root.parent)
    (guard,) = [each for each in psutil.process_iter() if _is_guard_of(each, folder)]
    guard.suspend()
    load = manager.send(manager.setting(release=True, lease=0.0))
    assert load.setting_result == SystemLoad.SETTING_RELEASED, load.setting_message
    assert tree.limits() == FOUND
    node.wait_for_log('does not answer')
    # The next setting has a guard again.
    load = manager.send(manager.setting(domains=cpu(1.2e9, 1.2e9), lease=20.0))
    assert load.setting_result == SystemLoad.SETTING_APPLIED, load.setting_message
    (successor,) = [each for each in psutil.process_iter() if _is_guard_of(each, folder)]
    assert successor.pid != guard.pid


def assert_no_guard_left(tree: CpufreqTree) -> None:
    """Check that no process that knows the tree's state file outlives its node."""
    folder = str(tree.root.parent)
    deadline = time.monotonic() + 5.0
    while True:
        guards = [
            process.pid for process in psutil.process_iter() if _is_guard_of(process, folder)
        ]
        if not guards:
            return
        assert time.monotonic() < deadline, f'guards {guards} outlive their node'
        time.sleep(0.05)


def _is_guard_of(process: psutil.Process, folder: str) -> bool:
    try:
        line = process.cmdline()
    except psutil.Error:
        return False
    return any('guard_process' in word for word in line) and any(folder in word for word in line)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_orderly_end_restores_and_exits_with_zero(
    start_linux: Callable[..., NodeProcess],
    manager: Manager,
    tree: CpufreqTree,
    number: signal.Signals,
) -> None:
    node = start_linux()
    manager.connect()
    manager.send(manager.setting(domains=cpu(1.2e9, 1.2e9), lease=20.0))
    assert tree.limits() == PINNED
    node.process.send_signal(number)
    assert node.wait() == 0
    assert tree.limits() == FOUND
    assert_no_guard_left(tree)


def test_deactivation_and_expiry_restore_the_files(
    start_linux: Callable[..., NodeProcess], manager: Manager, tree: CpufreqTree, graph: Graph
) -> None:
    start_linux()
    manager.connect()
    manager.send(manager.setting(domains=cpu(1.2e9, 1.2e9), lease=0.5))
    assert tree.limits() == PINNED
    manager.wait(lambda entry: entry.setting_result == SystemLoad.SETTING_EXPIRED)
    assert tree.limits() == FOUND
    manager.send(manager.setting(domains=cpu(1.2e9, 1.2e9), lease=20.0))
    assert tree.limits() == PINNED
    assert graph.change_state('/platform_node', 'deactivate')
    assert tree.limits() == FOUND
    assert graph.change_state('/platform_node', 'cleanup')
    assert graph.change_state('/platform_node', 'configure')
    assert graph.change_state('/platform_node', 'activate')
    manager.connect()
    load = manager.send(manager.setting(domains=cpu(1.6e9, 1.6e9), lease=20.0))
    assert load.setting_result == SystemLoad.SETTING_APPLIED, load.setting_message


def test_refused_write_is_said_and_nothing_stays(
    start_linux: Callable[..., NodeProcess], manager: Manager, tree: CpufreqTree
) -> None:
    """The second policy's files are gone for good but its minimum can still be read."""
    start_linux()
    manager.connect()
    refused = tree.folders[1] / 'scaling_max_freq'
    refused.unlink()
    refused.symlink_to('/proc/sys/kernel/random/entropy_avail')  # a number that none may write
    load = manager.send(manager.setting(domains=cpu(1.2e9, 1.2e9)))
    assert load.setting_result == SystemLoad.SETTING_REFUSED_HARDWARE
    assert 'scaling_max_freq' in load.setting_message
    assert load.lease_manager == ''
    assert tree.limits()[0] == FOUND[0]


def test_cpu_of_a_real_computer_is_set_only_where_that_is_switched_on(
    start_linux: Callable[..., NodeProcess], manager: Manager, tree: CpufreqTree
) -> None:
    start_linux(parameters={'manage_cpu': False})
    load = manager.connect()
    assert load.kind == SystemLoad.KIND_MEASURED
    assert list(domain(load, 'cpu').available) == []
    load = manager.send(manager.setting(domains=cpu(1.2e9, 1.2e9)))
    assert load.setting_result == SystemLoad.SETTING_REFUSED_DOMAIN
    assert tree.limits() == FOUND


def test_second_platform_node_gives_way(
    start_node: Callable[..., NodeProcess], manager: Manager, graph: Graph
) -> None:
    start_node('platform_node', parameters=XAVIER)
    first = manager.connect().instance
    second = start_node('platform_node', parameters=XAVIER, node_name='second_platform_node')
    line = second.wait_for_log('another one')
    assert 'Run one platform node on a board' in line
    graph.wait_for_state('/second_platform_node', 'unconfigured')
    assert graph.lifecycle_state('/platform_node') == 'active'
    # What the second one said before it gave way may still lie in the queue.
    graph.spin_for(0.5)
    manager.loads.clear()
    manager.loads.wait(5)
    assert {load.instance for load in manager.loads} == {first}


def test_recorded_load_of_an_earlier_node_stops_nobody(
    start_node: Callable[..., NodeProcess], manager: Manager, graph: Graph
) -> None:
    start_node('platform_node', parameters=XAVIER)
    boot = manager.connect().boot_id
    ghosts = graph.publisher(SystemLoad, f'{NAMESPACE}/system_load')
    graph.wait_for_subscriptions(ghosts)
    for _ in range(5):
        ghosts.publish(SystemLoad(instance='recorded', boot_id=boot))
        graph.spin_for(0.2)
    assert graph.lifecycle_state('/platform_node') == 'active'


def test_second_platform_node_on_one_tree_is_refused_by_the_lock(
    start_linux: Callable[..., NodeProcess], manager: Manager
) -> None:
    """Even where the two cannot hear each other."""
    start_linux()
    manager.connect()
    second = start_linux(
        node_name='second_platform_node', parameters={'manager_namespace': '/elsewhere'}
    )
    line = second.wait_for_log('Could not configure')
    assert 'another platform node sets the clocks' in line


def test_bad_parameter_leaves_the_node_ready_for_another_try(
    start_node: Callable[..., NodeProcess], manager: Manager, graph: Graph
) -> None:
    node = start_node('platform_node', parameters={'platform': 'toaster_simulated'})
    assert 'xavier_nx_simulated' in node.wait_for_log('Could not configure')
    graph.wait_for_state('/platform_node', 'unconfigured')
    assert graph.set_parameter('/platform_node', 'platform', 'xavier_nx_simulated')[0]
    assert graph.change_state('/platform_node', 'configure')
    assert graph.change_state('/platform_node', 'activate')
    assert manager.connect().platform == 'xavier_nx_simulated'


def test_small_and_without_an_engine(
    start_node: Callable[..., NodeProcess], manager: Manager, graph: Graph
) -> None:
    node = start_node('platform_node', parameters=XAVIER, log_imports=True)
    manager.connect()
    manager.send(manager.setting(lease=20.0))
    graph.spin_for(2.0)
    assert node.resident_memory() < 100e6
    modules = {name.partition('.')[0] for name in node.imported_modules()}
    assert 'rclpy' in modules
    assert not modules & {'torch', 'torchvision', 'onnxruntime', 'openvino', 'tensorrt'}
    assert node.loaded_engines() == []


# What happens to a real computer meanwhile.


@pytest.fixture
def xavier(tmp_path: Path) -> Kernel:
    """Return the files of a Xavier NX; the kernel's rules are not behind what a process writes."""
    return xavier_nx(tmp_path / 'root')


@pytest.fixture
def start_jetson(
    start_node: Callable[..., NodeProcess], xavier: Kernel, tmp_path: Path
) -> Callable[..., NodeProcess]:
    def start(**parameters: Any) -> NodeProcess:
        return start_node(
            'platform_node',
            parameters={
                'sysfs_root': str(xavier.root),
                'state_folder': str(tmp_path),
                'manage_cpu': True,
                **parameters,
            },
        )

    return start


def gpu(frequency: float) -> list[DomainSetting]:
    return [DomainSetting(name='gpu', minimum=frequency, maximum=frequency)]


def limits_of(kernel: Kernel) -> dict[str, tuple[str, str]]:
    """Return what the files hold."""
    return {
        name: (clock.minimum_file.read_text().strip(), clock.maximum_file.read_text().strip())
        for name, clock in kernel.clocks.items()
    }


def hardware_diagnostic(graph: Graph) -> Callable[[str], str]:
    """Collect `/diagnostics`; the result waits for a message of part `hardware`."""
    arrays: Collector[DiagnosticArray] = graph.collect(DiagnosticArray, '/diagnostics')

    def wait(text: str) -> str:
        def search() -> str:
            rows = [
                status.message
                for array in arrays.messages
                for status in array.status
                if status.name == 'platform_node: hardware'
            ]
            return next((row for row in rows if text in row), '')

        return str(graph.spin_until(search, 15.0, f'a diagnostic of the hardware with {text!r}'))

    return wait


def test_a_jetson_is_known_by_its_files_and_set_and_restored(
    start_jetson: Callable[..., NodeProcess], manager: Manager, xavier: Kernel, tmp_path: Path
) -> None:
    before = limits_of(xavier)
    node = start_jetson()
    load = manager.connect()
    assert (load.platform, list(load.processors)) == ('xavier_nx', ['cpu', 'gpu'])
    assert load.total_power_rail == 'VDD_IN'
    domains = [*cpu(1.2672e9, 1.2672e9), *gpu(510e6)]
    load = manager.send(manager.setting(domains=domains, lease=20.0))
    assert load.setting_result == SystemLoad.SETTING_APPLIED, load.setting_message
    pinned = limits_of(xavier)
    assert pinned['17000000.gv11b'] == ('510000000', '510000000')
    assert pinned['policy4'] == ('1267200', '1267200')
    (state,) = tmp_path.glob('*.json')
    assert '17000000.gv11b' in state.read_text()
    os.kill(node.pid, signal.SIGKILL)
    killed = time.monotonic()
    while limits_of(xavier) != before:
        assert time.monotonic() - killed < 1.0, limits_of(xavier)
        time.sleep(0.005)


def test_a_domain_that_could_not_be_set_at_the_start_is_guarded_as_well(
    start_jetson: Callable[..., NodeProcess], manager: Manager, xavier: Kernel, tmp_path: Path
) -> None:
    """The memory clock, the only domain that may be set, was fixed by somebody else meanwhile."""
    lock = xavier.root / MemoryControl.FOLDER.lstrip('/') / 'mrq_rate_locked'
    lock.write_text('1\n')
    node = start_jetson(manage_cpu=False, manage_gpu=False, manage_memory=True)
    manager.connect()
    lock.write_text('0\n')
    memory = [DomainSetting(name='memory', minimum=800e6, maximum=800e6)]
    load = manager.send(manager.setting(domains=memory, lease=20.0))
    assert load.setting_result == SystemLoad.SETTING_APPLIED, load.setting_message
    assert lock.read_text().strip() == '1'
    (state,) = tmp_path.glob('*.json')
    assert 'mrq_rate_locked' in state.read_text()
    os.kill(node.pid, signal.SIGKILL)
    killed = time.monotonic()
    while lock.read_text().strip() != '0':
        assert time.monotonic() - killed < 1.0
        time.sleep(0.005)


def test_what_somebody_else_changes_during_a_lease_is_said_and_stays(
    start_jetson: Callable[..., NodeProcess], manager: Manager, graph: Graph, xavier: Kernel
) -> None:
    """Power mode and limits by hand; the guard learns of it before the node dies."""
    diagnostic = hardware_diagnostic(graph)
    node = start_jetson()
    manager.connect()
    manager.send(manager.setting(domains=gpu(803.25e6), lease=20.0))
    xavier.power_mode(4)
    xavier.by_hand('17000000.gv11b', 114750000, 510000000)
    assert '4 (10W_4CORE)' in diagnostic('power mode was changed from 2 (15W_6CORE)')
    load = manager.wait(lambda entry: domain(entry, 'gpu').limit_maximum == 510e6)
    assert domain(load, 'gpu').available[-1] == 510e6
    assert load.power_budget == 10.0
    assert 'limits of gpu' in node.wait_for_log('changed by somebody else')
    # Renewing what lies above the new limit is refused, with the limit.
    load = manager.send(manager.setting(domains=gpu(803.25e6), lease=20.0))
    assert load.setting_result == SystemLoad.SETTING_REFUSED_FREQUENCY
    load = manager.send(manager.setting(domains=gpu(306e6), lease=20.0))
    assert load.setting_result == SystemLoad.SETTING_APPLIED
    manager.loads.wait(len(manager.loads) + 2)
    os.kill(node.pid, signal.SIGKILL)
    killed = time.monotonic()
    while limits_of(xavier)['17000000.gv11b'] != ('114750000', '510000000'):
        assert time.monotonic() - killed < 1.0, limits_of(xavier)
        time.sleep(0.005)


def test_a_clock_below_the_one_asked_for_is_said(
    start_jetson: Callable[..., NodeProcess], manager: Manager, graph: Graph, xavier: Kernel
) -> None:
    diagnostic = hardware_diagnostic(graph)
    start_jetson()
    manager.connect()
    xavier.clocks['17000000.gv11b'].current_file.write_text('306000000\n')
    manager.send(manager.setting(domains=gpu(803.25e6), lease=20.0))
    load = manager.wait(lambda entry: entry.setting_result == SystemLoad.SETTING_LIMITED)
    assert 'gpu runs below the 803250000 Hz' in load.setting_message
    assert load.lease_manager == 'manager_1'
    assert domain(load, 'gpu').granted == 306e6
    assert diagnostic('held down')


def test_what_cannot_be_restored_is_tried_again(
    start_jetson: Callable[..., NodeProcess], manager: Manager, graph: Graph, xavier: Kernel
) -> None:
    """A CPU that is off line at the end of the lease is restored when it is back."""
    diagnostic = hardware_diagnostic(graph)
    node = start_jetson()
    before = limits_of(xavier)
    manager.connect()
    manager.send(manager.setting(domains=cpu(1.2672e9, 1.2672e9), lease=20.0))
    clock = xavier.clocks['policy4']
    held = [(path, path.read_text()) for path in (clock.minimum_file, clock.maximum_file)]
    for path, _ in held:
        path.unlink()
    load = manager.send(manager.setting(release=True, lease=0.0))
    assert load.setting_result == SystemLoad.SETTING_RELEASED
    assert 'policy4' in load.setting_message
    assert 'policy4' in diagnostic('Not restored yet')
    for path, text in held:
        path.write_text(text)
    node.wait_for_log('limits found are in force again')
    assert limits_of(xavier) == before
    assert diagnostic('nothing to notice')


def test_a_manager_that_fell_silent_is_relieved_without_a_jump(
    start_linux: Callable[..., NodeProcess], manager: Manager, graph: Graph, tree: CpufreqTree
) -> None:
    start_linux()
    manager.connect()
    manager.send(manager.setting(domains=cpu(1.2e9, 1.2e9), lease=4.0))
    successor = Manager(graph, 'manager_2')
    successor.connect()
    early = successor.send(successor.setting(domains=cpu(1.2e9, 1.2e9), lease=4.0))
    assert early.setting_result == SystemLoad.SETTING_REFUSED_MANAGER
    seen = []

    def relieved() -> bool:
        seen.append(tree.limits())
        load = successor.send(successor.setting(domains=cpu(1.2e9, 1.2e9), lease=4.0))
        return bool(load.setting_result == SystemLoad.SETTING_APPLIED)

    graph.spin_until(relieved, 10.0, 'the lease to be taken over')
    assert all(limits == PINNED for limits in seen)
    late = manager.send(manager.setting(domains=cpu(2.0e9, 2.0e9)))
    assert late.setting_result == SystemLoad.SETTING_REFUSED_MANAGER
    assert late.lease_manager == 'manager_2'
