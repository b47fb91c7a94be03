# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is done to a system, each fault by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import combinations
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time

from deployment import Plan, System
import hanging_engine
from isolation import isolated, set_network
from processes import signal_process
import psutil
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import serialize_message

from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.bundles.writer import rewrite_bundle
from dynamic_dnn_ros.msg import (
    Application,
    DvfsSetting,
    InferenceStatus,
    ManagerStatus,
    PerformanceTarget,
    SubNetworkSwitch,
    SystemLoad,
)

STOPPED = 5.0
"""Seconds for which a process is stopped, the network cut, a disk full."""

HANGING = 8.0
"""Seconds for which a worker hangs: it counts as stuck after 5 s."""

GIVEN_UP = 60.0
"""Seconds within which a node has to end whose worker hangs for good."""

LEFT_FREE = 4096
"""Bytes of a full disk that are left."""

DISKS = 'full disk, full `/dev/shm`, bundle replaced'
AROUND = 'network cut, all cores busy, messages of another version'
TWINS = 'two of one node; the first one is killed'
TIMES = '`/clock` an hour back, paused, an hour ahead'
HANGS = 'a worker hangs for 8 s, and for good'

HEARD_BY_ALL = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)

NODES = ('inference', 'manager', 'platform', 'camera', 'guard')


@dataclass(frozen=True)
class Setting:
    """The kind of system that some faults need; those of one kind share one."""

    name: str
    sim_time: bool = False
    hanging: bool = False

    def plan(self, folder: Path) -> Plan:
        """Return what it consists of."""
        plan = Plan(sim_time=self.sim_time)
        if self.hanging:
            offered = folder / 'offered'
            hanging_engine.offer(offered)
            os.environ[hanging_engine.VARIABLE] = str(folder / 'hang')
            plan = replace(
                plan,
                parameters={
                    'inference_node': {'engine': hanging_engine.NAME, 'end_when_stuck': 5.0}
                },
                path=(str(offered), str(Path(__file__).parent)),
            )
        return plan


PLAIN = Setting('plain')
SIMULATED_TIME = Setting('simulated time', sim_time=True)
HANGING_ENGINE = Setting('hanging engine', hanging=True)
SETTINGS = {setting.name: setting for setting in (PLAIN, SIMULATED_TIME, HANGING_ENGINE)}


@dataclass(frozen=True)
class Fault:
    """
    One fault.

    :param group: with which others it stands in one row of a document
    :param inject: does it, and returns when it is over
    :param alone: whether it needs a network and a /dev/shm of the run's own
    :param crowds: whether it takes the whole computer, other systems on it too
    """

    name: str
    group: str
    inject: Callable[[System], None]
    setting: Setting = PLAIN
    alone: bool = False
    crowds: bool = False


def all_faults() -> list[Fault]:
    """Return every fault, those of one setting together."""
    faults = []
    for word, signal_sent in (('kill', signal.SIGKILL), ('stop', signal.SIGSTOP)):
        for count, how_many in ((1, 'one process'), (2, 'two processes')):
            for names in combinations(NODES, count):
                name, group = f'{word} {" and ".join(names)}', f'{word} {how_many}'
                faults.append(Fault(name, group, _signalled(signal_sent, names)))
    return [
        *faults,
        Fault('full disk', DISKS, _full_disk, alone=True),
        Fault('full /dev/shm', DISKS, _full_shared_memory, alone=True),
        Fault('bundle replaced', DISKS, _replaced_bundle),
        Fault('network cut', AROUND, _network_cut, alone=True),
        Fault('all cores busy', AROUND, _busy, crowds=True),
        Fault('other message versions', AROUND, _other_versions),
        *(Fault(f'two of {name}', TWINS, _twin(name)) for name in NODES if name != 'guard'),
        Fault('clock backwards', TIMES, _clock(-3600.0), SIMULATED_TIME),
        Fault('clock paused', TIMES, _clock(None), SIMULATED_TIME),
        Fault('clock an hour ahead', TIMES, _clock(3600.0), SIMULATED_TIME),
        Fault('worker hangs', HANGS, _hang, HANGING_ENGINE),
        Fault('worker hangs for good', HANGS, _hang_for_good, HANGING_ENGINE),
    ]


# Processes


def process_of(system: System, name: str) -> int:
    """
    Return the id of a process.

    :raises LookupError: when there is none
    """
    if name == 'guard':
        platform = psutil.Process(process_of(system, 'platform'))
        guards = [p.pid for p in platform.children() if 'guard_process' in ' '.join(p.cmdline())]
        if not guards:
            raise LookupError('there is no guard')
        return guards[0]
    key = 'front' if name == 'inference' else name
    found = system.supervisor.process_id(key)
    if found is None:
        raise LookupError(f'{key} is dead')
    return found


def _signalled(number: signal.Signals, names: Sequence[str]) -> Callable[[System], None]:
    def inject(system: System) -> None:
        processes = [process_of(system, name) for name in names]
        for process in processes:
            signal_process(process, number)
        if number == signal.SIGSTOP:
            time.sleep(STOPPED)
            for process in processes:
                signal_process(process, signal.SIGCONT)

    return inject


def _twin(name: str) -> Callable[[System], None]:
    def inject(system: System) -> None:
        key = 'front' if name == 'inference' else name
        system.supervisor.start('twin', system.commands[key], respawn=False)
        time.sleep(STOPPED)
        # The one that was there first goes, as if it were the one that somebody ends.
        signal_process(process_of(system, name), signal.SIGKILL)
        time.sleep(STOPPED)
        system.supervisor.end('twin')

    return inject


def _busy(system: System) -> None:
    command = [sys.executable, '-c', 'while True: pass']
    names = [f'busy_{number}' for number in range(2 * (os.cpu_count() or 1))]
    for name in names:
        system.supervisor.start(name, command, respawn=False)
    time.sleep(STOPPED)
    for name in names:
        system.supervisor.end(name)


def _hang(system: System) -> None:
    file = Path(os.environ[hanging_engine.VARIABLE])
    file.touch()
    time.sleep(HANGING)
    file.unlink()


def _hang_for_good(system: System) -> None:
    """Have both workers hang until their processes have ended."""
    file = Path(os.environ[hanging_engine.VARIABLE])
    names = system.plan.applications
    before = {name: system.supervisor.starts(name) for name in names}
    file.touch()
    deadline = time.monotonic() + GIVEN_UP
    try:
        while time.monotonic() < deadline:
            if all(system.supervisor.starts(name) > before[name] for name in names):
                break
            time.sleep(0.1)
    finally:
        file.unlink()


# What is full, cut or replaced


@contextmanager
def _filled(folder: Path) -> Iterator[None]:
    file = folder / 'filled'
    try:
        with file.open('wb') as stream:
            free = shutil.disk_usage(folder).free - LEFT_FREE
            os.posix_fallocate(stream.fileno(), 0, max(1, free))
        yield
    finally:
        file.unlink()


def _full_disk(system: System) -> None:
    """Fill the file system of the state folder, and have it written by a new guard."""
    subprocess.run(
        ['mount', '-t', 'tmpfs', '-o', 'size=65536', 'tmpfs', str(system.state)], check=True
    )
    try:
        with _filled(system.state):
            signal_process(process_of(system, 'guard'), signal.SIGKILL)
            time.sleep(STOPPED)
    finally:
        subprocess.run(['umount', '--lazy', str(system.state)], check=True)


def _full_shared_memory(system: System) -> None:
    """Fill /dev/shm, and have a node start meanwhile."""
    if not isolated():
        raise RuntimeError("/dev/shm is the whole computer's: it is not filled")
    with _filled(Path('/dev/shm')):
        signal_process(process_of(system, 'inference'), signal.SIGKILL)
        time.sleep(STOPPED)


def _network_cut(system: System) -> None:
    set_network(up=False)
    try:
        time.sleep(STOPPED)
    finally:
        set_network(up=True)


def _replaced_bundle(system: System) -> None:
    """Write the bundle anew, and have one of the two applications start with the new one."""
    bundle = read_bundle(system.bundle)
    rewrite_bundle(bundle, other_files={'NOTE.md': os.urandom(16).hex().encode()})
    signal_process(process_of(system, 'inference'), signal.SIGKILL)


# Messages and time


def _other_versions(system: System) -> None:
    """Send messages that end early, or go on, as those of another release would."""
    front = system.observer.applications[0]
    node = system.observer.sender
    publishers = []
    for message in (
        Application(id=front),
        InferenceStatus(application=front),
        SystemLoad(),
        DvfsSetting(),
        PerformanceTarget(application=front),
        ManagerStatus(),
    ):
        name = _topic(type(message).__name__)
        data = serialize_message(message)
        publisher = node.create_publisher(type(message), f'/dynamic_dnn/{name}', HEARD_BY_ALL)
        publishers.append((publisher, (data[: len(data) // 2], data + bytes(64))))
    data = serialize_message(SubNetworkSwitch(application=front))
    publisher = node.create_publisher(
        SubNetworkSwitch, f'{front}/sub_network_switch', HEARD_BY_ALL
    )
    publishers.append((publisher, (data[: len(data) // 2], data + bytes(64))))
    end = time.monotonic() + STOPPED
    try:
        while time.monotonic() < end:
            for publisher, variants in publishers:
                for variant in variants:
                    publisher.publish(variant)
            time.sleep(0.05)
    finally:
        for publisher, _ in publishers:
            node.destroy_publisher(publisher)


def _topic(name: str) -> str:
    """Return the topic of a type: its name with underscores."""
    return ''.join(f'_{c.lower()}' if c.isupper() else c for c in name).lstrip('_')


def _clock(offset: float | None) -> Callable[[System], None]:
    def inject(system: System) -> None:
        source = system.time
        if offset is None:
            source.paused = True
        else:
            source.offset += offset
        time.sleep(STOPPED)
        source.paused = False

    return inject
