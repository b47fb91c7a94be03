# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a computer needs for large images and clocks; each check only reads, and says a remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
import importlib.metadata
import os
from pathlib import Path
import sys
from xml.etree import ElementTree

from dynamic_dnn_ros.cli.doctor.board import check_board
from dynamic_dnn_ros.cli.doctor.finding import Finding, Level
from dynamic_dnn_ros.nodes.common.transport import IMAGE_PROFILE, PROFILE_VARIABLES

#: Bytes of the largest image that the checks speak of: 1920x1080, three bytes a pixel.
LARGE_IMAGE = 1920 * 1080 * 3

#: Bytes of a socket buffer that takes five such images from the network.
SOCKET_BUFFER = 33_554_432

#: Bytes for fragments of datagrams that are not complete yet, and s they are kept (ROS 2
#: documentation, "DDS tuning information").
FRAGMENTS = 134_217_728
FRAGMENT_TIME = 3

#: Bytes of /dev/shm: a process that publishes images with the profile that ships takes 35 MB.
SHARED_MEMORY = 256_000_000
SHARED_MEMORY_FREE = 140_000_000

#: Those that the package is made for, with the variable that names a profile of Fast DDS in each.
DISTRIBUTIONS = {
    'humble': PROFILE_VARIABLES[0],
    'iron': PROFILE_VARIABLES[0],
    'jazzy': PROFILE_VARIABLES[0],
    'kilted': PROFILE_VARIABLES[1],
    'lyrical': PROFILE_VARIABLES[1],
    'rolling': PROFILE_VARIABLES[1],
}
PYTHON_VERSIONS = ((3, 10), (3, 14))
ENGINES = ('torch', 'onnxruntime', 'onnxruntime-gpu', 'openvino', 'tensorrt')
SYSCTL_FILE = '/etc/sysctl.d/60-dynamic-dnn.conf'


def _space(path: Path) -> tuple[int, int]:
    """Return size and free space of a file system, bytes."""
    status = os.statvfs(path)
    return status.f_frsize * status.f_blocks, status.f_frsize * status.f_bavail


def _installed(distribution: str) -> str | None:
    """Return the version of an installed distribution without importing it."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


@dataclass(frozen=True)
class System:
    """The computer that is looked at; tests give a folder in place of its root."""

    root: Path = Path('/')
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    share: Path = Path()
    python: tuple[int, int] = (sys.version_info.major, sys.version_info.minor)
    installed: Callable[[str], str | None] = _installed
    space: Callable[[Path], tuple[int, int]] = _space
    writable: Callable[[Path], bool] = lambda path: os.access(path, os.W_OK)

    def read(self, path: str) -> str | None:
        """Return the content of a small file, None where it cannot be read."""
        try:
            return (self.root / path).read_text().strip()
        except OSError:
            return None


def check_versions(system: System) -> Iterator[Finding]:
    """Look at Python and the ROS distribution."""
    version = '.'.join(map(str, system.python))
    first, last = PYTHON_VERSIONS
    if first <= system.python <= last:
        yield Finding('Python', Level.OK, version)
    else:
        yield Finding(
            'Python',
            Level.PROBLEM,
            f'{version}, which this package is not made for',
            f'use Python {first[0]}.{first[1]} to {last[0]}.{last[1]}',
        )
    distribution = system.environment.get('ROS_DISTRO', '')
    rclpy = system.installed('rclpy') or system.installed('ros-rclpy')
    if distribution in DISTRIBUTIONS:
        yield Finding('ROS 2', Level.OK, distribution)
    elif rclpy:
        yield Finding('ROS 2', Level.OK, f'rclpy {rclpy}, no distribution is sourced')
    else:
        yield Finding(
            'ROS 2',
            Level.PROBLEM,
            f'distribution {distribution!r} is unknown' if distribution else 'is not sourced',
            f'source /opt/ros/<distribution>/setup.bash (one of: {", ".join(DISTRIBUTIONS)})',
        )


def check_middleware(system: System) -> Iterator[Finding]:
    """Look at the middleware, and whether its configuration lets large images through."""
    chosen = system.environment.get('RMW_IMPLEMENTATION') or 'rmw_fastrtps_cpp'
    yield Finding('middleware', Level.OK, chosen)
    if chosen.startswith('rmw_fastrtps'):
        yield _profile(system)
    elif chosen == 'rmw_cyclonedds_cpp':
        yield _cyclone(system)


def _profile(system: System) -> Finding:
    distribution = system.environment.get('ROS_DISTRO', 'jazzy')
    variable = DISTRIBUTIONS.get(distribution, PROFILE_VARIABLES[0])
    name = 'Fast DDS profile'
    remedy = f'export {variable}={system.share / IMAGE_PROFILE} (cameras and bag players too)'
    given = system.environment.get(variable)
    if not given:
        other = next(one for one in PROFILE_VARIABLES if one != variable)
        wrong = f'; {other} is set, which {distribution} does not read'
        return Finding(
            name,
            Level.PROBLEM,
            'none: images above 512 kB go through UDP in fragments, and best-effort '
            'subscribers lose most of them' + (wrong if system.environment.get(other) else ''),
            remedy,
        )
    try:
        tree = ElementTree.parse(given)
    except OSError as error:
        return Finding(name, Level.PROBLEM, f'{given} cannot be read: {error.strerror}', remedy)
    except ElementTree.ParseError as error:
        return Finding(name, Level.PROBLEM, f'{given} is no XML: {error}', remedy)
    sizes = {'segment_size': 0, 'receiveBufferSize': 0}
    for element in tree.iter():
        tag = element.tag.rpartition('}')[2]
        text = (element.text or '').strip()
        if tag in sizes and text.isdecimal():
            sizes[tag] = max(sizes[tag], int(text))
    if max(sizes.values()) < LARGE_IMAGE:
        return Finding(
            name,
            Level.PROBLEM,
            f'{given} gives neither shared memory nor socket buffers of {LARGE_IMAGE} bytes, an '
            'image of 1920x1080',
            remedy,
        )
    return Finding(name, Level.OK, given)


def _cyclone(system: System) -> Finding:
    if system.environment.get('CYCLONEDDS_URI'):
        return Finding('Cyclone DDS', Level.OK, system.environment['CYCLONEDDS_URI'])
    configuration = (
        '<CycloneDDS><Domain><Internal><SocketReceiveBufferSize min="10MB"/></Internal>'
        '</Domain></CycloneDDS>'
    )
    return Finding(
        'Cyclone DDS',
        Level.PROBLEM,
        'has no configuration: its socket buffers are too small for large images',
        f"export CYCLONEDDS_URI='{configuration}'",
    )


def check_discovery(system: System, network: bool = True) -> Iterator[Finding]:
    """
    Look at which computers are seen.

    :param network: whether cameras on others are to be
    """
    environment = system.environment
    found = environment.get('ROS_AUTOMATIC_DISCOVERY_RANGE', '').upper()
    if found == 'OFF':
        yield Finding(
            'discovery',
            Level.PROBLEM,
            'ROS_AUTOMATIC_DISCOVERY_RANGE is OFF: nodes do not find each other',
            'export ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET (or LOCALHOST)',
        )
    elif found != 'LOCALHOST' and environment.get('ROS_LOCALHOST_ONLY', '0') != '1':
        yield Finding('discovery', Level.OK, found.lower() or 'subnet')
    elif not network:
        yield Finding('discovery', Level.OK, 'this computer only')
    else:
        yield Finding(
            'discovery',
            Level.NOTE,
            'this computer only: cameras on others are not seen',
            'unset ROS_LOCALHOST_ONLY; export ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET',
        )
    domain = environment.get('ROS_DOMAIN_ID') or '0'
    if domain.isdecimal() and int(domain) <= 101:
        yield Finding('domain', Level.OK, domain)
    else:
        yield Finding(
            'domain',
            Level.PROBLEM,
            f'ROS_DOMAIN_ID is {domain!r}, outside 0 to 101, which are safe everywhere',
            'export ROS_DOMAIN_ID=0',
        )


def check_shared_memory(system: System) -> Iterator[Finding]:
    """Look at /dev/shm, through which images go on one computer."""
    folder = system.root / 'dev' / 'shm'
    name = 'shared memory'
    if not folder.is_dir():
        yield Finding(
            name, Level.PROBLEM, 'there is no /dev/shm', 'sudo mount -t tmpfs tmpfs /dev/shm'
        )
        return
    if not system.writable(folder):
        yield Finding(name, Level.PROBLEM, '/dev/shm is not writable', 'sudo chmod 1777 /dev/shm')
        return
    size, free = system.space(folder)
    found = f'{size / 1e6:.0f} MB, {free / 1e6:.0f} MB free'
    if size < SHARED_MEMORY:
        yield Finding(
            name,
            Level.PROBLEM,
            f'{found}: each process that publishes images takes 35 MB',
            'sudo mount -o remount,size=512M /dev/shm; in a container: docker run --shm-size=512m',
        )
    elif free < SHARED_MEMORY_FREE:
        yield Finding(
            name,
            Level.PROBLEM,
            f'{found}: each process that publishes images takes 35 MB',
            'end what fills it; while no ROS process runs: '
            'rm -f /dev/shm/fastrtps_* /dev/shm/fastdds_* /dev/shm/sem.fast*',
        )
    else:
        yield Finding(name, Level.OK, found)
    segments = [*folder.glob('fastrtps_*'), *folder.glob('fastdds_*')]
    foreign = [segment.name for segment in segments if not system.writable(segment)]
    if foreign:
        yield Finding(
            'segments',
            Level.PROBLEM,
            f'{len(foreign)} segments of another user, such as {foreign[0]}: its processes and '
            'yours exchange no images by shared memory',
            'run all nodes as one user; while no ROS process runs: '
            'sudo rm -f /dev/shm/fastrtps_* /dev/shm/fastdds_* /dev/shm/sem.fast*',
        )


def check_network(system: System) -> Iterator[Finding]:
    """Look at what the kernel gives large images that come over the network."""
    for name, wanted, why in (
        ('net.core.rmem_max', SOCKET_BUFFER, 'five images of 1920x1080 do not fit'),
        ('net.core.wmem_max', SOCKET_BUFFER, 'five images of 1920x1080 do not fit'),
        ('net.ipv4.ipfrag_high_thresh', FRAGMENTS, 'fragments of large images are thrown away'),
    ):
        value = _sysctl(system, name)
        if value is None or value >= wanted:
            yield _known(name, value)
        else:
            yield Finding(name, Level.PROBLEM, f'{value}: {why}', _set(name, wanted))
    name = 'net.ipv4.ipfrag_time'
    value = _sysctl(system, name)
    if value is None or value <= FRAGMENT_TIME:
        yield _known(name, value)
    else:
        yield Finding(
            name,
            Level.NOTE,
            f'{value} s: fragments of an image that lost one fill the memory for the next ones',
            _set(name, FRAGMENT_TIME),
        )


def _sysctl(system: System, name: str) -> int | None:
    text = system.read(f'proc/sys/{name.replace(".", "/")}')
    return int(text) if text is not None and text.isdecimal() else None


def _known(name: str, value: int | None) -> Finding:
    if value is None:
        return Finding(name, Level.NOTE, 'this system does not say')
    return Finding(name, Level.OK, str(value))


def _set(name: str, value: int) -> str:
    setting = f'{name}={value}'
    return f'sudo sysctl -w {setting} && echo {setting} | sudo tee -a {SYSCTL_FILE}'


def check_clocks(system: System) -> Iterator[Finding]:
    """Look at the governor of the processor, and whether the platform node may set clocks."""
    policies = sorted((system.root / 'sys/devices/system/cpu/cpufreq').glob('policy*'))
    if not policies:
        yield Finding('governor', Level.NOTE, 'this computer does not show the clocks of its CPU')
        return
    governors = {
        system.read(f'{policy.relative_to(system.root)}/scaling_governor') or 'unknown'
        for policy in policies
    }
    names = ', '.join(sorted(governors))
    if 'powersave' in names:
        yield Finding(
            'governor',
            Level.NOTE,
            f'{names}: latencies are longer than they need be while no manager sets clocks',
            'echo schedutil | sudo tee /sys/devices/system/cpu/cpufreq/policy*/scaling_governor '
            '(intel_pstate in active mode: performance)',
        )
    else:
        yield Finding('governor', Level.OK, names)
    files = [policy / 'scaling_max_freq' for policy in policies]
    files += sorted((system.root / 'sys/class/devfreq').glob('*/max_freq'))
    refused = [str(file) for file in files if not system.writable(file)]
    if refused:
        yield Finding(
            'clocks',
            Level.NOTE,
            f'{len(refused)} of {len(files)} may not be set by this user, so the platform node '
            'can only advise',
            f'sudo chgrp $(id -gn) {" ".join(refused[:4])} && sudo chmod g+w '
            f'{" ".join(refused[:4])} (until the next start; for good: the udev rule in deploy/)',
        )
    else:
        yield Finding('clocks', Level.OK, f'{len(files)} may be set by this user')


def check_engines(system: System) -> Iterator[Finding]:
    """Look at which engines are installed, without importing any."""
    found = {name: system.installed(name) for name in ENGINES}
    there = ', '.join(f'{name} {version}' for name, version in found.items() if version)
    if there:
        yield Finding('engines', Level.OK, there)
    else:
        yield Finding(
            'engines',
            Level.PROBLEM,
            'none is installed, so nothing can be served',
            'pip install onnxruntime',
        )


def examine(system: System, network: bool = True) -> list[Finding]:
    """
    Run all checks.

    :param network: also those for cameras on other computers
    """
    return [
        *check_versions(system),
        *check_middleware(system),
        *check_discovery(system, network),
        *check_shared_memory(system),
        *(check_network(system) if network else ()),
        *check_clocks(system),
        *check_board(system.root),
        *check_engines(system),
    ]
