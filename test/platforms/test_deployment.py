# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The udev rules and the systemd unit with which no node needs to run as root."""

from __future__ import annotations

import configparser
import grp
import os
from pathlib import Path
import re
import shutil
import stat
import subprocess

import pytest

from dynamic_dnn_ros.platforms import linux
from dynamic_dnn_ros.platforms.jetson import GPU_PATTERNS
from support.kernel import laptop, orin_nx, xavier_nx
from support.shared_data import REPOSITORY

DEPLOY = REPOSITORY / 'deploy'
UNIT = DEPLOY / 'dynamic-dnn-platform.service'
RULES = DEPLOY / '99-dynamic-dnn-ros.rules'

ASSIGNMENT = re.compile(r'(SUBSYSTEM|ACTION|KERNEL|RUN)(==|\+=)"([^"]*)"')


def rules() -> dict[str, dict[str, str]]:
    """Return the keys of each rule, by its subsystem."""
    rows = {}
    for line in RULES.read_text().splitlines():
        if not line or line.startswith('#'):
            continue
        parts = [ASSIGNMENT.fullmatch(part) for part in line.split(', ')]
        assert all(parts), f'no udev rule: {line}'
        row = {part.group(1): part.group(3) for part in parts if part}
        assert {part.group(2) for part in parts if part} == {'==', '+='}
        rows[row['SUBSYSTEM']] = row
    return rows


def run(rule: str, root: Path, device: str = '') -> None:
    """Do what udev does on an event of a device, in a tree and for a group of ours."""
    command = re.fullmatch(r"/bin/sh -c '([^']*)'", rules()[rule]['RUN'])
    assert command is not None
    group = grp.getgrgid(os.getegid()).gr_name
    script = (
        command.group(1)
        .replace('$devpath', device)
        .replace('/sys/', f'{root}/sys/')
        .replace('dynamic_dnn', group)
    )
    subprocess.run(['/bin/sh', '-c', script], check=True)


def group_may(path: Path, mode: int) -> bool:
    return bool(path.stat().st_mode & mode)


@pytest.mark.parametrize('make', [xavier_nx, orin_nx, laptop])
def test_rule_opens_both_limits_of_every_policy_and_nothing_else(tmp_path: Path, make) -> None:
    kernel = make(tmp_path)
    for path in tmp_path.rglob('*'):
        if path.is_file():
            path.chmod(0o644)
    run('cpu', tmp_path)
    opened = {p for p in tmp_path.rglob('*') if p.is_file() and group_may(p, stat.S_IWGRP)}
    policies = [clock for name, clock in kernel.clocks.items() if name.startswith('policy')]
    assert opened == {p for c in policies for p in (c.minimum_file, c.maximum_file)}


@pytest.mark.parametrize('make', [xavier_nx, orin_nx])
def test_rule_opens_the_limits_of_the_gpu(tmp_path: Path, make) -> None:
    kernel = make(tmp_path)
    (clock,) = [clock for name, clock in kernel.clocks.items() if '17000000' in name]
    for path in (clock.minimum_file, clock.maximum_file, clock.current_file):
        path.chmod(0o644)
    run('devfreq', tmp_path, str(clock.folder.relative_to(tmp_path / 'sys')))
    assert group_may(clock.minimum_file, stat.S_IWGRP)
    assert group_may(clock.maximum_file, stat.S_IWGRP)
    assert not group_may(clock.current_file, stat.S_IWGRP)


def test_rule_knows_every_name_that_the_platform_knows() -> None:
    patterns = [
        re.compile(pattern.replace('.', r'\.').replace('*', '.*'))
        for pattern in rules()['devfreq']['KERNEL'].split('|')
    ]
    for pattern in GPU_PATTERNS:
        name = pattern.rsplit('/', 1)[-1].replace('*', '17000000')
        if name == '17000000':  # any device below a GPU's own folder, which has one of its names
            continue
        assert any(p.fullmatch(name) for p in patterns), name
    for name in ('fb000000.gpu', 'ff9a0000.mali', '1800000.panfrost', 'adreno0', 'kgsl-3d0'):
        assert linux._GPU.search(name)
        assert any(p.fullmatch(name) for p in patterns), name


def test_rule_opens_counters_for_reading_only(tmp_path: Path) -> None:
    laptop(tmp_path)
    counter = tmp_path / 'sys/class/powercap/intel-rapl:0/energy_uj'
    counter.chmod(0o400)
    run('powercap', tmp_path, 'class/powercap/intel-rapl:0')
    assert stat.S_IMODE(counter.stat().st_mode) == 0o440


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(UNIT)
    return parser


def test_unit_is_hardened_and_yet_may_write_sysfs() -> None:
    service = unit()['Service']
    assert service['User'] == 'dynamic_dnn' != 'root'
    for key in ('NoNewPrivileges', 'PrivateTmp', 'RestrictNamespaces', 'ProtectKernelModules'):
        assert service[key] == 'yes'
    assert service['CapabilityBoundingSet'] == ''
    assert 'ProtectKernelTunables' not in service
    # The state file has to outlive a crash of the service.
    assert service['RuntimeDirectory'] == 'dynamic_dnn_ros'
    assert service['RuntimeDirectoryPreserve'] == 'yes'


def test_user_of_the_unit_is_made_and_owns_the_rules() -> None:
    user = unit()['Service']['User']
    lines = (DEPLOY / 'dynamic-dnn-ros.sysusers.conf').read_text().splitlines()
    assert any(line.startswith(f'u {user} ') for line in lines)
    assert all(f'chgrp -f {user} ' in row['RUN'] for row in rules().values())


def test_unit_speaks_to_nodes_of_other_users(tmp_path: Path) -> None:
    """Run what the unit runs, with stand-ins for ROS: a profile without shared memory is set."""
    share = tmp_path / 'share/dynamic_dnn_ros/config/dds'
    share.mkdir(parents=True)
    (share / 'udp.xml').write_bytes((REPOSITORY / 'config/dds/udp.xml').read_bytes())
    node = tmp_path / 'lib/dynamic_dnn_ros/platform_node'
    node.parent.mkdir(parents=True)
    node.write_text(
        '#!/bin/sh\necho "$FASTRTPS_DEFAULT_PROFILES_FILE|$FASTDDS_DEFAULT_PROFILES_FILE|$*"\n'
    )
    node.chmod(0o755)
    setup = tmp_path / 'setup.bash'
    setup.write_text(f'ros2() {{ echo {tmp_path}; }}\n')
    command = re.fullmatch(r"/bin/bash -c '([^']*)'", unit()['Service']['ExecStart'])
    assert command is not None
    variables = {'ROS_SETUP': str(setup), 'WORKSPACE_SETUP': str(setup), 'ARGUMENTS': '-p a:=b'}

    def started(**more: str) -> list[str]:
        script = command.group(1).replace('$$', '$')
        answer = subprocess.run(
            ['/bin/bash', '-c', script],
            env={'PATH': os.environ['PATH'], **variables, **more},
            capture_output=True,
            text=True,
            check=True,
        )
        return answer.stdout.strip().split('|')

    profile = str(share / 'udp.xml')
    assert started() == [profile, profile, '--ros-args -p a:=b']
    own = started(FASTRTPS_DEFAULT_PROFILES_FILE='/own.xml')
    assert own[:2] == ['/own.xml', profile]


@pytest.mark.skipif(shutil.which('systemd-analyze') is None, reason='systemd is not installed')
def test_systemd_accepts_the_unit() -> None:
    answer = subprocess.run(
        ['systemd-analyze', 'verify', str(UNIT)], capture_output=True, text=True
    )
    assert (answer.returncode, answer.stdout + answer.stderr) == (0, '')


@pytest.mark.skipif(shutil.which('udevadm') is None, reason='udev is not installed')
def test_udev_accepts_the_rules() -> None:
    answer = subprocess.run(['udevadm', 'verify', str(RULES)], capture_output=True, text=True)
    if 'Unknown command' in answer.stderr:
        pytest.skip('this udevadm cannot verify rules')
    assert answer.returncode == 0, answer.stdout + answer.stderr
