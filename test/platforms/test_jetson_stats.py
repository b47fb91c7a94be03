# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What jetson-stats tells; the real service where a Python that has it is named.

jetson-stats is licensed under the AGPL and no part of this package's installation. To test with
its real service, install it into an environment of its own, and run the tests as root (the service
needs that) with DYNAMIC_DNN_JETSON_STATS set to that environment's `python`:
the service runs in its fake mode on a file tree of ours, in a mount namespace of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
import json
import math
import multiprocessing
import os
from pathlib import Path
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

from dynamic_dnn_ros.platforms.contract import HardwareError
from dynamic_dnn_ros.platforms.frequency_control import MemoryControl
from dynamic_dnn_ros.platforms.jetson_stats import JetsonStats, is_installed, statistics_of
from support.kernel import Kernel, xavier_nx
from support.shared_data import REPOSITORY

VARIABLE = 'DYNAMIC_DNN_JETSON_STATS'
PYTHON = os.environ.get(VARIABLE, '')


def client(**changes: Any) -> SimpleNamespace:
    """Return the properties of a client as its documentation has them."""
    values = {
        'gpu': {'gv11b': {'freq': {'cur': 510000}, 'status': {'load': 25.0}}},
        'memory': {'EMC': {'cur': 1600000, 'val': 40}},
        'power': {
            'rail': {'VDD_SOC': {'power': 1260, 'avg': 1300}},
            'tot': {'name': 'VDD_IN', 'power': 6048},
        },
        'temperature': {'CPU-therm': {'temp': 41.5}, 'CV-therm': {'temp': -256}},
    }
    return SimpleNamespace(**{**values, **changes})


def test_a_sample_in_si_units() -> None:
    sample = statistics_of(client())
    assert (sample.gpu_clock, sample.gpu_load) == (510e6, 0.25)
    assert (sample.memory_clock, sample.memory_load) == (1.6e9, 0.4)
    assert sample.power == {'VDD_SOC': 1.26, 'VDD_IN': 6.048}
    assert sample.total_power_rail == 'VDD_IN'
    assert sample.temperatures['CPU-therm'] == 41.5
    assert math.isnan(sample.temperatures['CV-therm'])


@pytest.mark.parametrize('nothing', [None, {}])
def test_a_board_that_has_none_of_it(nothing: Any) -> None:
    sample = statistics_of(client(gpu=nothing, memory=nothing, power=nothing, temperature=nothing))
    assert math.isnan(sample.gpu_load) and math.isnan(sample.memory_clock)
    assert (sample.power, sample.total_power_rail, sample.temperatures) == ({}, '', {})


@pytest.mark.skipif(is_installed(), reason='jetson-stats is installed here')
def test_where_it_is_not_installed_that_is_said_and_nothing_else_happens() -> None:
    method = multiprocessing.get_start_method(allow_none=True)
    statistics = JetsonStats()
    deadline = time.monotonic() + 20.0
    try:
        while True:
            with pytest.raises(HardwareError, match='jetson_stats') as error:
                statistics.read()
            if 'jtop' in error.value.problem:
                break
            assert time.monotonic() < deadline, error.value
            time.sleep(0.02)
    finally:
        statistics.close()
    assert multiprocessing.get_start_method(allow_none=True) == method


def test_nothing_imports_it_before_it_is_asked_for() -> None:
    script = (
        'import sys, dynamic_dnn_ros.platforms.registry; '
        "sys.exit('jtop' in sys.modules or 'multiprocessing.managers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, '-c', script]).returncode == 0


# The real service.

SERVICE = """
import logging, os
logging.basicConfig(level=logging.INFO)
import jtop.core.config as config
import jtop.service as service
config.get_config_service = lambda *_: '/run/jtop'  # not beside the interpreter
if not os.path.isdir('/sys/devices/virtual/dmi/id'):
    service.get_hardware = dict  # a virtual machine has no description of its board
service.JtopServer(force=True).loop_for_ever()
"""

CLIENT = """
import json, multiprocessing, os, signal, sys, time
from pathlib import Path
from dynamic_dnn_ros.platforms.contract import HardwareError
from dynamic_dnn_ros.platforms.jetson_stats import JetsonStats

load, service = Path(sys.argv[1]), int(sys.argv[2])
multiprocessing.set_start_method('spawn')
statistics = JetsonStats()

def wait(condition):
    end = time.monotonic() + 20.0
    while time.monotonic() < end:
        try:
            sample, problem = statistics.read(), ''
        except HardwareError as error:
            sample, problem = None, str(error)
        if condition(sample, problem):
            return sample, problem
        time.sleep(0.05)
    sys.exit(f'waited in vain; {problem or sample}')

first, _ = wait(lambda sample, problem: sample)
method = multiprocessing.get_start_method()
load.write_text('500\\n')
wait(lambda sample, problem: sample and sample.gpu_load == 0.5)
os.killpg(service, signal.SIGKILL)
_, problem = wait(lambda sample, problem: problem)
statistics.close()
print(json.dumps({'first': vars(first), 'problem': problem, 'start_method': method}))
"""

NAMESPACE = """
set -e
mount --make-rprivate /
mount --bind "$1/sys" /fake_sys
mount -t tmpfs none /run
{ cat /etc/group; echo jtop:x:998:; } > /run/group
mount --bind /run/group /etc/group
JTOP_TESTING=true JTOP_SERVICE=True setsid "$2" -c "$3" > "$1/service.log" 2>&1 &
PYTHONPATH="$5" "$2" -c "$4" "$1/sys/class/devfreq/17000000.gv11b/device/load" $!
"""


def complete(kernel: Kernel) -> None:
    """Add what the service reads and our platform does not."""
    cpus = kernel.root / 'sys/devices/system/cpu'
    for index in range(6):
        (cpus / f'cpu{index}').mkdir()
        (cpus / f'cpu{index}/online').write_text('1\n')
        (cpus / f'cpu{index}/cpufreq').symlink_to(f'../cpufreq/policy{index // 2 * 2}')
    for policy in (0, 2, 4):
        for name, value in (('min', 115200), ('max', 1907200), ('cur', 1190400)):
            (cpus / f'cpufreq/policy{policy}/cpuinfo_{name}_freq').write_text(f'{value}\n')
    times = ' 10 0 10 100 0 0 0'
    kernel.file('/sys/stat', '\n'.join(f'cpu{index}{times}' for index in ('', *range(6))))
    device = '/sys/class/devfreq/17000000.gv11b/device'
    for name, value in (
        ('of_node/name', 'gv11b'),
        ('load', 250),
        ('railgate_enable', 1),
        ('enable_3d_scaling', 1),
        ('tpc_pg_mask', 0),
    ):
        kernel.file(f'{device}/{name}', value)
    for name, value in (('min_rate', 204000000), ('max_rate', 1866000000)):
        kernel.file(f'{MemoryControl.FOLDER}/{name}', value)
    kernel.file('/sys/kernel/actmon_avg_activity/mc_all', 400000)
    kernel.file('/sys/bus/i2c/devices/7-0040/name', 'ina3221')
    kernel.file('/sys/class/power_supply/none', '')


@pytest.fixture
def fake_sys() -> Iterator[Path]:
    """Make the folder that the service's fake mode reads, for a mount that nobody else sees."""
    folder = Path('/fake_sys')
    folder.mkdir()
    yield folder
    folder.rmdir()


@pytest.mark.skipif(not PYTHON, reason=f'{VARIABLE} names no Python that has jetson-stats')
@pytest.mark.skipif(os.geteuid() != 0, reason='the jtop service needs root')
@pytest.mark.skipif(
    subprocess.run(['unshare', '--mount', 'true'], capture_output=True).returncode != 0,
    reason='no mount namespace can be made here',
)
def test_the_real_service_in_its_fake_mode(tmp_path: Path, fake_sys: Path) -> None:
    """A sample, a change of the tree, and the death of the service."""
    complete(xavier_nx(tmp_path))
    namespace = ['unshare', '--mount', '--pid', '--fork', '--mount-proc', '--kill-child']
    answer = subprocess.run(
        [*namespace, 'sh', '-c', NAMESPACE, 'sh', str(tmp_path), PYTHON, SERVICE, CLIENT]
        + [str(REPOSITORY)],
        capture_output=True,
        text=True,
        timeout=120.0,
    )
    said = (tmp_path / 'service.log').read_text() + answer.stderr
    assert answer.returncode == 0, said
    result = json.loads(answer.stdout)
    first = result['first']
    assert (first['gpu_clock'], first['gpu_load']) == (1109.25e6, 0.25)
    assert first['memory_clock'] == 1866e6
    assert first['power'] == {'VDD_IN': 6.048, 'VDD_CPU_GPU_CV': 1.512, 'VDD_SOC': 1.26}
    assert first['total_power_rail'] == 'VDD_IN'
    assert 'jtop.service' in result['problem']
    assert result['start_method'] == 'spawn'  # the import set another one
