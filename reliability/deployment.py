# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A whole system, as the launch files describe it: cameras, applications, manager, platform."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
import json
import os
from pathlib import Path
import shutil
import time
from typing import Any

from ament_index_python.packages import get_package_prefix
import numpy as np
from observer import Observer, TimeSource
from processes import Supervisor

from dynamic_dnn_ros.bundles.profile import OperatingPoints, ProfileKind
from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.bundles.shipped import find_bundle
from dynamic_dnn_ros.bundles.writer import with_profile
from dynamic_dnn_ros.cli.demo.processes import free_domain, isolated_environment
from dynamic_dnn_ros.files import PACKAGE, share_folder
from dynamic_dnn_ros.launching.arguments import SYSTEM
from dynamic_dnn_ros.launching.cameras import Camera
from dynamic_dnn_ros.launching.processes import NodeDescription, describe_nodes
from dynamic_dnn_ros.nodes.common.log_folder import provide_log_folder
from dynamic_dnn_ros.nodes.common.transport import decline_image_profile

SIMULATED = 'xavier_nx_simulated'
FILES = 'linux'
"""A computer whose clocks are files in a folder: what a guard restores can be seen there."""

SHARED_MEMORY = share_folder() / 'config' / 'dds' / 'shared_memory.xml'
"""DDS profile of the nodes."""

BUNDLE = 'cifar10_incremental_group'
START = 180.0
"""Seconds within which a system has to serve: a busy computer takes a minute and more."""

_TABLE = (800_000, 1_200_000, 1_600_000, 2_000_000)
"""Frequencies of that computer, kHz."""


@dataclass(frozen=True)
class Plan:
    """
    What a system consists of.

    :param applications: names of the inference nodes' namespaces; they share one camera
    :param rate: of the camera, Hz
    :param platform: `SIMULATED` or `FILES`
    :param streams: cameras of one inference node, in place of `applications`
    :param limits: what is asked of each application: fields of `PerformanceTarget`
    :param parameters: of nodes, by the name of the executable
    :param path: folders that go in front of PYTHONPATH
    :param environment: of the nodes, beside what the launch files give them
    """

    applications: Sequence[str] = ('front', 'rear')
    rate: float = 30.0
    platform: str = FILES
    sim_time: bool = False
    streams: Sequence[str] = ()
    limits: Mapping[str, float] = field(default_factory=lambda: {'latency': 0.2})
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    path: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def identifiers(self) -> tuple[str, ...]:
        """Return the ids of the applications."""
        if self.streams:
            return tuple(f'/inference_node/{name}' for name in self.streams)
        return tuple(f'/{name}/inference_node' for name in self.applications)


class Clocks:
    """A file tree in place of sysfs, with one frequency domain, and what its limits were."""

    def __init__(self, root: Path) -> None:
        """Make the tree."""
        self.root = root
        self._folder = root / 'sys/devices/system/cpu/cpufreq/policy0'
        self._folder.mkdir(parents=True)
        for name, value in (
            ('scaling_available_frequencies', ' '.join(map(str, _TABLE))),
            ('scaling_min_freq', str(_TABLE[0])),
            ('scaling_max_freq', str(_TABLE[-1])),
            ('scaling_cur_freq', str(_TABLE[-1])),
            ('scaling_governor', 'schedutil'),
        ):
            (self._folder / name).write_text(f'{value}\n')

    @property
    def changed(self) -> bool:
        """Tell whether the limits are others than at the start."""
        try:
            limits = [
                int((self._folder / f'scaling_{end}_freq').read_text() or 0)
                for end in ('min', 'max')
            ]
        except ValueError:
            return True  # written at this moment
        return limits != [_TABLE[0], _TABLE[-1]]


@dataclass
class System:
    """A system that runs, and everything by which it can be watched and hurt."""

    plan: Plan
    supervisor: Supervisor
    observer: Observer
    clocks: Clocks
    state: Path
    bundle: Path
    commands: Mapping[str, Sequence[str]]
    time: TimeSource

    def wait(self, timeout: float, lacking: Callable[[], list[str]] | None = None) -> list[str]:
        """Wait until the service lacks nothing, s at most; return what it lacks."""
        deadline = time.monotonic() + timeout
        lacking = lacking or self.observer.lacking
        while (lacks := lacking()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return lacks

    def set_targets(self) -> None:
        """Ask for something that every application can meet."""
        for name in self.observer.applications:
            self.observer.ask(name, **self.plan.limits, objective=1)


@contextmanager
def deployed(plan: Plan, folder: Path) -> Iterator[System]:
    """
    Start a system in a ROS domain of its own, and end it with the context.

    :param folder: for logs, state and a bundle; it is there
    :raises TimeoutError: when it does not serve in time, naming what it lacks
    """
    with free_domain() as domain:
        environment = isolated_environment(domain, SHARED_MEMORY)
        environment['PYTHONPATH'] = os.pathsep.join(
            [*plan.path, environment.get('PYTHONPATH', '')]
        )
        os.environ.update({name: environment[name] for name in environment if 'ROS' in name})
        environment.update(plan.environment)
        decline_image_profile()
        provide_log_folder()
        logs, state = folder / 'logs', folder / 'state'
        logs.mkdir(exist_ok=True)
        state.mkdir(exist_ok=True)
        clocks = Clocks(folder / 'clocks')
        bundle = made_bundle(folder / BUNDLE)
        commands = _commands(plan, bundle, state, clocks)
        with (
            Observer(domain, plan.identifiers) as observer,
            TimeSource(observer, plan.sim_time) as time_source,
            Supervisor(environment, logs) as supervisor,
        ):
            for name, command in commands.items():
                supervisor.start(name, command)
            system = System(
                plan, supervisor, observer, clocks, state, bundle, commands, time_source
            )
            _begin(system)
            yield system


def _begin(system: System) -> None:
    observer = system.observer

    def lacking() -> list[str]:
        return observer.lacking(targets=False, lease=False)

    observer.expect(dict.fromkeys(observer.applications, 1.0))
    if not (lacks := system.wait(START, lacking)):
        system.set_targets()
        lacks = system.wait(START)
    if lacks:
        ends = [f'{n}: {system.supervisor.log(n)[-500:]}' for n in system.supervisor.names()]
        raise TimeoutError('\n'.join([f'after {START:g} s: {"; ".join(lacks)}', *ends]))


def made_bundle(folder: Path) -> Path:
    """Copy a bundle that ships, with a profile of the computer whose clocks are files."""
    shutil.copytree(find_bundle(BUNDLE), folder)
    bundle = read_bundle(folder)
    names = tuple(entry.id for entry in bundle.manifest.sub_networks)
    rows = [(index, 1e3 * clock) for index in range(len(names)) for clock in _TABLE]
    index = np.array([row[0] for row in rows])
    clock = np.array([row[1] for row in rows])
    # Made up, as slow as this computer is at most: it is the clocks that are looked at.
    latency = 0.005 * (index + 1) * (1e3 * _TABLE[-1] / clock)
    power = 2.0 + 4.0 * (clock / (1e3 * _TABLE[-1])) ** 3
    points = OperatingPoints(
        platform=FILES,
        kind=ProfileKind.MEASURED,
        extrapolated=False,
        domains=('cpu',),
        processors=('cpu',),
        sub_networks=names,
        sub_network=index,
        processor=np.zeros_like(index),
        frequencies=clock[:, None],
        latency_mean=latency,
        latency_p50=latency,
        latency_p95=1.1 * latency,
        latency_p99=1.2 * latency,
        power=power,
        idle_power=np.full(len(rows), 2.0),
        energy=power * latency,
        description='made up, to try faults with',
    )
    with_profile(bundle, points)
    return folder


def _commands(plan: Plan, bundle: Path, state: Path, clocks: Clocks) -> dict[str, list[str]]:
    values = {argument.name: argument.default or '' for argument in SYSTEM}
    values |= {'bundle': str(bundle), 'platform': plan.platform}
    cameras = [Camera(name, '/image') for name in plan.applications]
    if plan.streams:
        cameras = [Camera('', '/image', {'cameras': list(plan.streams)})]
    own: dict[str, dict[str, Any]] = {
        'platform_node': {
            'state_folder': str(state),
            'sysfs_root': str(clocks.root) if plan.platform == FILES else '/',
            'manage_cpu': plan.platform == FILES,
        },
        'camera_node': {'rate': plan.rate, 'width': 320, 'height': 240},
    }
    nodes = [NodeDescription('camera_node', ''), *describe_nodes(values, cameras)]
    commands = {}
    for node in nodes:
        parameters = {
            'use_sim_time': plan.sim_time,
            **node.parameters,
            **own.get(node.executable, {}),
            **plan.parameters.get(node.executable, {}),
        }
        remappings = {**node.remappings, **{f'{name}/image': '/image' for name in plan.streams}}
        node = replace(node, parameters=parameters, remappings=remappings)
        name = node.executable.removesuffix('_node')
        if name == 'inference' and not plan.streams:
            name = node.namespace
        commands[name] = command_of(node)
    return commands


def command_of(node: NodeDescription) -> list[str]:
    """Return the command line of a node."""
    command = [str(Path(get_package_prefix(PACKAGE)) / 'lib' / PACKAGE / node.executable)]
    command += ['--ros-args', '-r', f'__ns:=/{node.namespace.strip("/")}']
    for name, value in node.parameters.items():
        # JSON is YAML, and tells "1" from 1 and 1 from 1.0.
        command += ['-p', f'{name}:={json.dumps(value)}']
    for name, topic in node.remappings.items():
        command += ['-r', f'{name}:={topic}']
    return command
