# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import replace
import json
from pathlib import Path
import shutil
import subprocess
import sys

import pytest

from dynamic_dnn_ros.cli.doctor import add_arguments, as_json, as_text, checks, run
from dynamic_dnn_ros.cli.doctor.board import check_board
from dynamic_dnn_ros.cli.doctor.checks import System
from dynamic_dnn_ros.cli.doctor.finding import Finding, Level
from dynamic_dnn_ros.files import share_folder
from dynamic_dnn_ros.nodes.common.transport import IMAGE_PROFILE
from dynamic_dnn_ros.platforms.nvidia_pc import DRIVER
from support.boards import agx_orin, agx_thor, raspberry_pi_5, rk3588
from support.kernel import Kernel, laptop, orin_nx

PROFILE = share_folder() / IMAGE_PROFILE
SYSCTLS = {
    'net/core/rmem_max': '33554432',
    'net/core/wmem_max': '33554432',
    'net/ipv4/ipfrag_high_thresh': '134217728',
    'net/ipv4/ipfrag_time': '3',
}
GIGABYTE = 10**9


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{text}\n')
    return path


@pytest.fixture
def system(tmp_path: Path) -> System:
    """Make a computer that lacks nothing."""
    root = tmp_path / 'root'
    for name, value in SYSCTLS.items():
        write(root / 'proc/sys' / name, value)
    (root / 'dev/shm').mkdir(parents=True)
    for clock in laptop(root).clocks.values():
        write(clock.folder / 'scaling_governor', 'schedutil')
    environment = {
        'ROS_DISTRO': 'jazzy',
        'RMW_IMPLEMENTATION': 'rmw_fastrtps_cpp',
        'FASTRTPS_DEFAULT_PROFILES_FILE': str(PROFILE),
    }
    return System(
        root,
        environment,
        share_folder(),
        (3, 12),
        lambda name: '1.2' if name == 'onnxruntime' else None,
        lambda path: (8 * GIGABYTE, 7 * GIGABYTE),
        lambda path: True,
    )


def problems(findings: Iterable[Finding]) -> list[Finding]:
    found = [finding for finding in findings if finding.level is Level.PROBLEM]
    assert all(finding.remedy for finding in found)
    return found


def with_environment(system: System, **changes: str | None) -> System:
    merged = {**system.environment, **changes}
    kept = {name: value for name, value in merged.items() if value is not None}
    return replace(system, environment=kept)


def test_a_computer_that_lacks_nothing(system: System) -> None:
    findings = checks.examine(system)
    assert {finding.level for finding in findings} == {Level.OK}
    assert as_text(findings).endswith('no problem')
    assert {row['level'] for row in json.loads(as_json(findings))} == {'ok'}


@pytest.mark.parametrize('name', [name for name in SYSCTLS if 'time' not in name])
def test_small_buffers_of_the_network(system: System, name: str) -> None:
    write(system.root / 'proc/sys' / name, '212992')
    (found,) = problems(checks.examine(system))
    key = name.replace('/', '.')
    assert found.name == key and '212992' in found.found
    assert f'sudo sysctl -w {key}={SYSCTLS[name]}' in found.remedy
    assert '/etc/sysctl.d/' in found.remedy
    assert problems(checks.examine(system, network=False)) == []


def test_fragments_that_are_kept_for_long_are_a_note(system: System) -> None:
    write(system.root / 'proc/sys/net/ipv4/ipfrag_time', '30')
    (found,) = [one for one in checks.examine(system) if one.level is not Level.OK]
    assert found.level is Level.NOTE and 'net.ipv4.ipfrag_time=3' in found.remedy


def test_a_kernel_that_does_not_say(system: System) -> None:
    for name in SYSCTLS:
        (system.root / 'proc/sys' / name).unlink()
    levels = [finding.level for finding in checks.check_network(system)]
    assert levels == [Level.NOTE] * len(SYSCTLS)


@pytest.mark.parametrize(
    ('size', 'free', 'remedy'),
    [(64_000_000, 64_000_000, '--shm-size=512m'), (GIGABYTE, 1000, 'rm -f /dev/shm/fastrtps_')],
)
def test_shared_memory_that_is_small_or_full(
    system: System, size: int, free: int, remedy: str
) -> None:
    (found,) = problems(checks.examine(replace(system, space=lambda path: (size, free))))
    assert found.name == 'shared memory' and remedy in found.remedy


def test_shared_memory_that_is_not_there_or_not_ours(system: System) -> None:
    (found,) = problems(checks.examine(replace(system, writable=lambda path: path.name != 'shm')))
    assert 'chmod 1777 /dev/shm' in found.remedy
    write(system.root / 'dev/shm/fastrtps_12', '')
    other = replace(system, writable=lambda path: not path.name.startswith('fastrtps'))
    (found,) = problems(checks.examine(other))
    assert found.name == 'segments' and 'fastrtps_12' in found.found
    (system.root / 'dev/shm/fastrtps_12').unlink()
    (system.root / 'dev/shm').rmdir()
    (found,) = problems(checks.examine(system))
    assert 'there is no /dev/shm' in found.found


def test_no_profile(system: System) -> None:
    (found,) = problems(
        checks.examine(with_environment(system, FASTRTPS_DEFAULT_PROFILES_FILE=''))
    )
    assert f'export FASTRTPS_DEFAULT_PROFILES_FILE={PROFILE}' in found.remedy


def test_the_variable_of_another_distribution(system: System) -> None:
    kilted = with_environment(system, ROS_DISTRO='kilted')
    (found,) = problems(checks.examine(kilted))
    assert 'FASTRTPS_DEFAULT_PROFILES_FILE is set, which kilted does not read' in found.found
    assert 'export FASTDDS_DEFAULT_PROFILES_FILE=' in found.remedy
    right = with_environment(kilted, FASTDDS_DEFAULT_PROFILES_FILE=str(PROFILE))
    assert problems(checks.examine(right)) == []


@pytest.mark.parametrize(
    ('content', 'said'),
    [
        (None, 'cannot be read: No such file'),
        ('<dds>', 'is no XML'),
        ('<dds><segment_size>1000</segment_size></dds>', 'neither shared memory nor'),
    ],
)
def test_a_profile_that_does_not_help(
    system: System, tmp_path: Path, content: str | None, said: str
) -> None:
    path = tmp_path / 'profile.xml'
    if content is not None:
        write(path, content)
    given = with_environment(system, FASTRTPS_DEFAULT_PROFILES_FILE=str(path))
    (found,) = problems(checks.examine(given))
    assert said in found.found


def test_the_profile_for_networked_cameras_is_taken(system: System) -> None:
    networked = PROFILE.with_name('network.xml')
    given = with_environment(system, FASTRTPS_DEFAULT_PROFILES_FILE=str(networked))
    assert problems(checks.examine(given)) == []


def test_cyclone(system: System) -> None:
    cyclone = with_environment(system, RMW_IMPLEMENTATION='rmw_cyclonedds_cpp')
    (found,) = problems(checks.examine(cyclone))
    assert 'export CYCLONEDDS_URI=' in found.remedy
    configured = with_environment(cyclone, CYCLONEDDS_URI='file:///etc/cyclone.xml')
    assert problems(checks.examine(configured)) == []


def test_discovery(system: System) -> None:
    (found,) = problems(
        checks.examine(with_environment(system, ROS_AUTOMATIC_DISCOVERY_RANGE='off'))
    )
    assert 'do not find each other' in found.found
    for name, value in (
        ('ROS_LOCALHOST_ONLY', '1'),
        ('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST'),
    ):
        first = next(checks.check_discovery(with_environment(system, **{name: value})))
        assert first.level is Level.NOTE and 'cameras on others' in first.found
        # With --local that is what is asked for.
        local = checks.examine(with_environment(system, **{name: value}), network=False)
        (first,) = [finding for finding in local if finding.name == 'discovery']
        assert (first.level, first.found) == (Level.OK, 'this computer only')
    for domain in ('200', 'seven'):
        (found,) = problems(checks.examine(with_environment(system, ROS_DOMAIN_ID=domain)))
        assert repr(domain) in found.found


def test_clocks(system: System) -> None:
    policy = system.root / 'sys/devices/system/cpu/cpufreq/policy0'
    write(policy / 'scaling_governor', 'powersave')
    write(system.root / 'sys/class/devfreq/17000000.gpu/max_freq', '1')
    refused = replace(system, writable=lambda path: not path.name.endswith('max_freq'))
    governor, clocks = checks.check_clocks(refused)
    assert governor.level is Level.NOTE and governor.found.startswith('powersave')
    assert clocks.level is Level.NOTE and '4 of 4' in clocks.found
    assert str(policy / 'scaling_max_freq') in clocks.remedy
    assert '17000000.gpu/max_freq' in clocks.remedy


def test_a_virtual_machine_without_clocks(tmp_path: Path) -> None:
    (found,) = checks.check_clocks(System(tmp_path))
    assert found.level is Level.NOTE


@pytest.mark.parametrize(
    ('make', 'expected'),
    [
        (agx_orin, ['a Jetson (agx_orin)', '11 frequencies, 306 to 1300 MHz', 'MODULE']),
        (agx_thor, ['a Jetson (agx_thor)', 'VIN 23.04 W', 'pip install nvidia-ml-py']),
        (raspberry_pi_5, ['raspberry_pi_5', 'governor ondemand', 'the total is PMIC']),
        (rk3588, ['rk3588', 'clock of cpu6', 'clock of npu', 'no rail can be read']),
        (laptop, ['plain Linux', 'x86_pkg_temp']),
    ],
)
def test_boards(tmp_path: Path, make: Callable[[Path], Kernel], expected: list[str]) -> None:
    """What is found, what is missing, what to do, and that it never ran on that hardware."""
    make(tmp_path)
    findings = list(check_board(tmp_path))
    text = as_text(findings)
    for part in (*expected, 'file tree'):
        assert part in text
    assert not problems(findings)  # none of it costs images


def test_a_jetson_without_a_gpu(tmp_path: Path) -> None:
    orin_nx(tmp_path)
    shutil.rmtree(tmp_path / 'sys/devices/platform/bus@0/17000000.gpu')
    found = {finding.name: finding for finding in check_board(tmp_path)}
    assert found['clock of gpu'].level is Level.NOTE
    assert 'lsmod' in found['sensor'].remedy


def test_a_card_that_cannot_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laptop(tmp_path).file(DRIVER, 'NVRM version: 550.54')
    monkeypatch.setitem(sys.modules, 'pynvml', None)
    found = {finding.name: finding for finding in check_board(tmp_path)}
    assert found['NVIDIA cards'].remedy == '`pip install nvidia-ml-py`'


def test_nothing_is_installed(system: System) -> None:
    bare = replace(
        with_environment(system, ROS_DISTRO=None), installed=lambda name: None, python=(3, 8)
    )
    names = [found.name for found in problems(checks.examine(bare))]
    assert names == ['Python', 'ROS 2', 'engines']


def test_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], system: System
) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    monkeypatch.setattr('dynamic_dnn_ros.cli.doctor.System', lambda share: system)
    assert run(parser.parse_args(['--json'])) == 0
    assert {row['level'] for row in json.loads(capsys.readouterr().out)} == {'ok'}
    write(system.root / 'proc/sys/net/core/rmem_max', '1')
    assert run(parser.parse_args([])) == 1
    said = capsys.readouterr().out
    assert 'problem  net.core.rmem_max: 1' in said and 'mend: sudo sysctl' in said
    assert run(parser.parse_args(['--local'])) == 0


def test_imports_neither_ros_nor_an_engine() -> None:
    script = (
        'import sys, dynamic_dnn_ros.cli.doctor as doctor\n'
        'doctor.examine(doctor.System())\n'
        "print({'rclpy', 'torch', 'onnxruntime', 'openvino'} & sys.modules.keys())"
    )
    answer = subprocess.run(
        [sys.executable, '-c', script], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == 'set()'


def test_images_from_one_process_to_another(
    domain_id: int, transport: Callable[[int], Finding]
) -> None:
    """On a busy machine images may be lost; that they are counted is what is tested."""
    found = transport(5)
    assert found.name == 'transport of 1920x1080 at 30 Hz'
    lost, _, rest = found.found.partition(' ')
    assert rest.startswith('of 5 images lost')
    assert 0 <= int(lost) < 5
    assert (found.level is Level.OK) == (lost == '0')


@pytest.fixture
def transport() -> Callable[[int], Finding]:
    from dynamic_dnn_ros.cli.doctor.transport import check_transport

    return check_transport
