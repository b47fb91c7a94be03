# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reading and writing the kernel's small files."""

from itertools import product
import os
from pathlib import Path

import pytest

from dynamic_dnn_ros.platforms.contract import HardwareError
from dynamic_dnn_ros.platforms.sysfs import FrequencyFiles, Sysfs, boot_id, nearest_below
from support.cpufreq import TABLE, CpufreqTree, kernel_write


def control(tree: CpufreqTree) -> FrequencyFiles:
    folder = tree.folders[0]
    sysfs = Sysfs(tree.root)
    return FrequencyFiles(sysfs, folder / 'scaling_min_freq', folder / 'scaling_max_freq', 1e3)


@pytest.mark.parametrize(
    ('start', 'goal'),
    list(product([(a, b) for a, b in product(TABLE, TABLE) if a <= b], repeat=2)),
)
def test_write_order_suits_the_kernel(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    start: tuple[int, int],
    goal: tuple[int, int],
) -> None:
    """From every range to every other one, the kernel is never asked for minimum > maximum."""
    monkeypatch.setattr(Sysfs, 'write', kernel_write)
    tree = CpufreqTree(tmp_path, 1, minimum=start[0], maximum=start[1])
    assert control(tree).write(goal[0] * 1e3, goal[1] * 1e3) == (goal[0] * 1e3, goal[1] * 1e3)
    assert tree.limits() == [goal]


def test_read_back_is_what_the_kernel_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sysfs, 'write', kernel_write)
    files = control(CpufreqTree(tmp_path, 1))
    assert files.write(1.0e9, 1.3e9) == (1.0e9, 1.6e9)


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write everything')
def test_permission_denied_names_the_file_and_the_remedy(tmp_path: Path) -> None:
    tree = CpufreqTree(tmp_path, 1)
    (tree.folders[0] / 'scaling_max_freq').chmod(0o444)
    with pytest.raises(HardwareError, match='scaling_max_freq.*permission.*udev'):
        control(tree).write(1e9, 1e9)


def test_failed_write_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(HardwareError, match='missing/file'):
        Sysfs(tmp_path).write(tmp_path / 'missing/file', '1')
    with pytest.raises(HardwareError, match='No such file'):
        Sysfs(tmp_path).write(tmp_path / 'file', '1')
    assert list(tmp_path.iterdir()) == []  # a tree of the kernel's has none that it did not make


def test_vanished_control_is_an_error(tmp_path: Path) -> None:
    tree = CpufreqTree(tmp_path, 1)
    (tree.folders[0] / 'scaling_min_freq').unlink()
    files = control(tree)
    assert files.read() is None
    assert files.found() is None
    with pytest.raises(HardwareError, match='offline'):
        files.write(1e9, 1e9)


def test_found_is_the_kernels_own_text(tmp_path: Path) -> None:
    found = control(CpufreqTree(tmp_path, 1)).found()
    assert found is not None
    assert (found.minimum, found.maximum) == ('800000', '2000000')


def test_numbers_and_text(tmp_path: Path) -> None:
    sysfs = Sysfs(tmp_path)
    (tmp_path / 'table').write_text('30 10 <unsupported> 20 10\n')
    assert sysfs.numbers(tmp_path / 'table') == (10.0, 20.0, 30.0)
    assert sysfs.number(tmp_path / 'table') is None
    assert sysfs.text(tmp_path / 'nothing') is None
    assert sysfs.numbers(tmp_path / 'nothing') == ()


def test_glob_is_in_natural_order(tmp_path: Path) -> None:
    for index in (10, 2, 0):
        (tmp_path / f'sys/policy{index}').mkdir(parents=True)
    names = [path.name for path in Sysfs(tmp_path).glob('/sys/policy*')]
    assert names == ['policy0', 'policy2', 'policy10']


def test_nearest_below() -> None:
    assert nearest_below(1.5, (1.0, 2.0)) == 1.0
    assert nearest_below(2.0, (1.0, 2.0)) == 2.0
    assert nearest_below(0.5, (1.0, 2.0)) == 1.0


def test_boot_id_is_stable() -> None:
    assert boot_id() == boot_id() != ''
