# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Boards whose CPUs are of several kinds, on file trees."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from dynamic_dnn_ros.platforms.contract import DomainRange
from dynamic_dnn_ros.platforms.linux import LinuxPlatform
from dynamic_dnn_ros.platforms.rockchip import NPU_LOAD, RockchipPlatform
from support.boards import A55, A76, MALI, hybrid_pc, rk3588


def test_a_domain_for_each_cluster_and_device(tmp_path: Path) -> None:
    kernel = rk3588(tmp_path)
    platform = RockchipPlatform(kernel, manage_cpu=True, manage_memory=True)
    assert platform.id == 'rk3588'
    limits = {row.name: row.available for row in platform.limits()}
    assert list(limits) == ['cpu0', 'cpu4', 'cpu6', 'gpu', 'npu', 'memory']
    assert limits['cpu0'] == tuple(1e3 * clock for clock in A55)
    assert limits['cpu4'] == tuple(1e3 * clock for clock in A76)
    assert limits['cpu6'][-1] == 2.304e9
    assert limits['npu'] == MALI
    before = kernel.requests()
    platform.apply(0.0, [DomainRange('cpu4', 1.2e9, 1.2e9), DomainRange('npu', 3e8, 5e8)])
    now = kernel.requests()
    assert now['policy4'] == (1200000, 1200000)
    assert now['fdab0000.npu'] == (300_000_000, 500_000_000)
    assert {name for name in now if now[name] != before[name]} == {'policy4', 'fdab0000.npu'}
    platform.restore(1.0)
    assert kernel.requests() == before


def test_load_of_gpu_and_npu(tmp_path: Path) -> None:
    kernel = rk3588(tmp_path)
    platform = RockchipPlatform(kernel)
    states = {state.name: state for state in platform.read(0.0).domains}
    assert states['gpu'].utilisation_foreign == pytest.approx(0.45)
    assert states['npu'].utilisation_foreign == 0.0
    # Other kernels have no such file; root finds the NPU's in debugfs.
    for name in ('fb000000.gpu', 'fdab0000.npu'):
        (kernel.clocks[name].folder / 'load').unlink()
    kernel.file(NPU_LOAD, 'NPU load:  Core0: 60%, Core1: 30%, Core2:  0%,')
    states = {state.name: state for state in platform.read(1.0).domains}
    assert states['npu'].utilisation_foreign == pytest.approx(0.3)
    assert math.isnan(states['gpu'].utilisation_foreign)


def test_a_kernel_without_devices(tmp_path: Path) -> None:
    kernel = rk3588(tmp_path)
    for name in ('fb000000.gpu', 'fdab0000.npu', 'dmc'):
        folder = kernel.clocks[name].folder
        folder.rename(folder.parent.parent / name)
    assert [row.name for row in RockchipPlatform(kernel).limits()] == ['cpu0', 'cpu4', 'cpu6']


def test_kinds_of_cores_of_a_pc_are_put_together(tmp_path: Path) -> None:
    """Six CPUs with a clock each are two domains, not six."""
    platform = LinuxPlatform(hybrid_pc(tmp_path), manage_cpu=True)
    fast, slow = platform.limits()
    assert (fast.name, fast.maximum) == ('cpu0', 5.0e9)
    assert (slow.name, slow.maximum) == ('cpu2', 3.8e9)
    assert len(platform.limits_found()) == 6
