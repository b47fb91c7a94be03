# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Plain Linux, on a file tree in place of sysfs."""

import math
from pathlib import Path

import pytest

from dynamic_dnn_ros.platforms.contract import DomainRange, HardwareError, PlatformKind
from dynamic_dnn_ros.platforms.linux import LinuxPlatform
from dynamic_dnn_ros.platforms.sysfs import Sysfs
from support.cpufreq import CpufreqTree, kernel_write


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CpufreqTree:
    monkeypatch.setattr(Sysfs, 'write', kernel_write)
    return CpufreqTree(tmp_path)


def cpu(minimum: float, maximum: float) -> list[DomainRange]:
    return [DomainRange('cpu', minimum, maximum)]


def test_offers_the_table_within_the_limits_found(tmp_path: Path) -> None:
    CpufreqTree(tmp_path, minimum=1000000, maximum=1600000)
    (limits,) = LinuxPlatform(tmp_path, manage_cpu=True).limits()
    assert limits.available == (1.0e9, 1.2e9, 1.6e9)
    assert (limits.minimum, limits.maximum) == (1.0e9, 1.6e9)


def test_sets_reads_back_and_restores(tree: CpufreqTree) -> None:
    platform = LinuxPlatform(tree.root, manage_cpu=True)
    assert platform.apply(0.0, cpu(1.2e9, 1.6e9)) == (DomainRange('cpu', 1.2e9, 1.6e9),)
    assert tree.limits() == [(1200000, 1600000)] * 2
    platform.apply(1.0, cpu(2.0e9, 2.0e9))
    platform.apply(2.0, cpu(0.8e9, 0.8e9))
    assert tree.limits() == [(800000, 800000)] * 2
    # The limits found stay the limits, however narrow the setting is.
    assert platform.limits()[0].available == (0.8e9, 1.0e9, 1.2e9, 1.6e9, 2.0e9)
    state = platform.read(3.0).domains[0]
    assert state.requested == cpu(0.8e9, 0.8e9)[0]
    assert (state.limit_minimum, state.limit_maximum) == (0.8e9, 2.0e9)
    platform.restore(4.0)
    assert tree.limits() == [(800000, 2000000)] * 2
    assert platform.read(5.0).domains[0].requested is None


def test_setting_without_the_domain_gives_it_back(tree: CpufreqTree) -> None:
    platform = LinuxPlatform(tree.root, manage_cpu=True)
    platform.apply(0.0, cpu(1.2e9, 1.2e9))
    assert platform.apply(1.0, []) == ()
    assert tree.limits() == [(800000, 2000000)] * 2


def test_limits_changed_by_hand_between_settings_are_the_new_ones(tree: CpufreqTree) -> None:
    platform = LinuxPlatform(tree.root, manage_cpu=True)
    platform.apply(0.0, cpu(1.2e9, 1.2e9))
    platform.restore(1.0)
    for folder in tree.folders:
        (folder / 'scaling_max_freq').write_text('1600000\n')
    platform.apply(2.0, cpu(1.0e9, 1.0e9))
    assert [row.maximum for row in platform.limits_found()] == ['1600000'] * 2
    platform.restore(3.0)
    assert tree.limits() == [(800000, 1600000)] * 2


def test_cpu_is_left_alone_unless_asked(tree: CpufreqTree) -> None:
    platform = LinuxPlatform(tree.root)
    assert platform.limits()[0].available == ()
    assert platform.limits_found() == ()
    assert platform.read(0.0).domains[0].granted == 2.0e9


def test_without_cpufreq_there_is_nothing_to_set(tmp_path: Path) -> None:
    platform = LinuxPlatform(tmp_path, manage_cpu=True)
    (limits,) = platform.limits()
    assert limits.available == ()
    sample = platform.read(0.0)
    assert math.isnan(sample.domains[0].granted)
    assert math.isnan(sample.domains[0].limit_maximum)
    assert sample.temperatures == {}
    assert platform.limits_found() == ()


def test_without_a_table_steps_of_100_megahertz_are_offered(tmp_path: Path) -> None:
    CpufreqTree(tmp_path, table=(), minimum=850000, maximum=1120000)
    (limits,) = LinuxPlatform(tmp_path, manage_cpu=True).limits()
    assert limits.available == (0.85e9, 0.9e9, 1.0e9, 1.1e9, 1.12e9)


def test_policies_with_other_tables_get_what_is_nearest_below(tree: CpufreqTree) -> None:
    little = tree.folders[1]
    (little / 'scaling_available_frequencies').write_text('800000 1000000 1400000\n')
    (little / 'scaling_max_freq').write_text('1400000\n')
    platform = LinuxPlatform(tree.root, manage_cpu=True)
    assert platform.limits()[0].available[-1] == 2.0e9
    platform.apply(0.0, cpu(1.2e9, 1.6e9))
    assert tree.limits() == [(1200000, 1600000), (1000000, 1400000)]
    platform.restore(1.0)
    assert tree.limits() == [(800000, 2000000), (800000, 1400000)]


def test_a_refused_write_restores_what_was_written(
    tree: CpufreqTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Permission on one policy of two."""
    platform = LinuxPlatform(tree.root, manage_cpu=True)
    refused = tree.folders[1]

    def write(self: Sysfs, path: Path, value: str) -> None:
        if path.parent == refused:
            raise HardwareError(path, 'permission denied', 'Add a udev rule')
        kernel_write(self, path, value)

    monkeypatch.setattr(Sysfs, 'write', write)
    with pytest.raises(HardwareError, match='udev'):
        platform.apply(0.0, cpu(1.2e9, 1.2e9))
    assert tree.limits() == [(800000, 2000000)] * 2
    assert platform.read(0.0).domains[0].requested is None


def test_vanished_policy_is_passed_over(tree: CpufreqTree) -> None:
    platform = LinuxPlatform(tree.root, manage_cpu=True)
    (tree.folders[1] / 'scaling_min_freq').unlink()
    assert platform.apply(0.0, cpu(1.2e9, 1.2e9)) == (DomainRange('cpu', 1.2e9, 1.2e9),)


def test_reads_load_memory_and_temperature(tree: CpufreqTree) -> None:
    platform = LinuxPlatform(tree.root)
    for step in range(11):
        platform.observe(step * 0.1, '/a', 'a', 'cpu', {'cpu': step * 0.05})
    sample = platform.read(1.0)
    state = sample.domains[0]
    assert 0.0 < state.utilisation_own <= 0.5
    assert 0.0 <= state.utilisation_foreign <= 1.0
    assert state.governor == 'schedutil'
    assert sample.temperatures == {'x86_pkg_temp': 45.5}
    assert 0 < sample.memory['available'] < sample.memory['total']
    assert sample.power == {}
    assert sample.slow_downs == {}
    assert platform.kind is PlatformKind.MEASURED


def test_zones_of_one_name_keep_apart(tree: CpufreqTree) -> None:
    zone = tree.root / 'sys/class/thermal/thermal_zone3'
    zone.mkdir()
    (zone / 'type').write_text('x86_pkg_temp\n')
    platform = LinuxPlatform(tree.root)
    temperatures = platform.read(0.0).temperatures
    assert temperatures['x86_pkg_temp'] == 45.5
    assert math.isnan(temperatures['x86_pkg_temp_3'])
