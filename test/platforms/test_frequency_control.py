# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Single clocks: policies, devfreq devices, the memory of a Jetson."""

from pathlib import Path

import pytest

from dynamic_dnn_ros.platforms.contract import HardwareError
from dynamic_dnn_ros.platforms.frequency_control import (
    MemoryControl,
    cpufreq_control,
    devfreq_control,
    merged,
    steps,
)
from support.kernel import Kernel, xavier_nx

TABLE = (100, 200, 300, 400)


def test_a_policy_counts_in_kilohertz_and_a_device_in_hertz(tmp_path: Path) -> None:
    kernel = Kernel(tmp_path)
    policy = cpufreq_control(kernel, kernel.cpufreq(0, (1000, 2000)).folder)
    device = devfreq_control(kernel, kernel.devfreq('/sys/class/devfreq/gpu', TABLE).folder)
    assert (policy.name, policy.table(), policy.range()) == ('policy0', (1e6, 2e6), (1e6, 2e6))
    assert (device.name, device.table(), device.range()) == ('gpu', TABLE, (100, 400))
    assert policy.write((1.5e6, 2e6)) == (1e6, 2e6)
    assert device.write((250.0, 399.0)) == (200, 300)


@pytest.mark.parametrize(
    ('present', 'expected'),
    [
        ((200, 200), (100, 400)),  # nobody changed anything
        ((200, 300), (100, 300)),  # a new maximum
        ((150, 200), (150, 400)),  # a new minimum
        ((120, 120), (100, 120)),  # a maximum below ours pushed our minimum along
        ((300, 300), (300, 400)),  # a minimum above ours pushed our maximum along
        ((150, 350), (150, 350)),
        ((400, 400), (400, 400)),  # jetson_clocks
        ((100, 400), (100, 400)),  # somebody restored it before us
    ],
)
def test_limits_changed_by_somebody_else(present, expected) -> None:
    assert merged((100.0, 400.0), (200.0, 200.0), present) == expected


def test_memory_is_fixed_by_three_files_and_freed_by_one(tmp_path: Path) -> None:
    kernel = xavier_nx(tmp_path)
    memory = MemoryControl(kernel)
    folder = tmp_path / MemoryControl.FOLDER.lstrip('/')
    found = memory.found()
    assert found is not None
    assert memory.range() == (204e6, 1600e6)  # up to the cap of the power mode
    assert memory.write((204e6, 1331.2e6)) == (1331.2e6, 1331.2e6)
    assert (folder / 'mrq_rate_locked').read_text().strip() == '1'
    memory.put_back(found)
    assert (folder / 'mrq_rate_locked').read_text().strip() == '0'
    assert memory.range() == (204e6, 1600e6)


def test_memory_that_somebody_fixed_is_not_ours(tmp_path: Path) -> None:
    kernel = xavier_nx(tmp_path)
    kernel.file(f'{MemoryControl.FOLDER}/mrq_rate_locked', 1)
    assert MemoryControl(kernel).found() is None


def test_memory_rates_in_kilohertz(tmp_path: Path) -> None:
    kernel = xavier_nx(tmp_path)
    kernel.file(MemoryControl.TABLE, '204000 1600000')
    assert MemoryControl(kernel).table() == (204e6, 1.6e9)


def test_memory_behind_closed_debugfs(tmp_path: Path) -> None:
    kernel = xavier_nx(tmp_path)
    kernel.refuse(tmp_path / MemoryControl.FOLDER.lstrip('/') / 'rate')
    memory = MemoryControl(kernel)
    problem = memory.denied()
    assert problem is not None and 'manage_memory' in str(problem)
    (tmp_path / MemoryControl.FOLDER.lstrip('/') / 'rate').unlink()
    assert (memory.range(), memory.found(), memory.current()) == (None, None, None)
    with pytest.raises(HardwareError, match='debugfs'):
        memory.write((204e6, 204e6))


def test_steps() -> None:
    assert steps(0.85e9, 1.12e9) == (0.85e9, 0.9e9, 1.0e9, 1.1e9, 1.12e9)
    assert steps(1e9, 1e9) == (1e9,)
