# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The guard process restores whatever becomes of the process that it guards."""

from __future__ import annotations

from collections.abc import Iterator
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import psutil
import pytest

from dynamic_dnn_ros.platforms import guard_process
from dynamic_dnn_ros.platforms.contract import LimitsFound, PlatformError, StateError
from dynamic_dnn_ros.platforms.frequency_control import MemoryControl
from dynamic_dnn_ros.platforms.guard import LARGEST_STATE, Guard, state_folder
from dynamic_dnn_ros.platforms.guard_process import restore
from dynamic_dnn_ros.platforms.linux import LinuxPlatform
from support.cpufreq import CpufreqTree
from support.kernel import Away, xavier_nx

BOOT = 'this-boot'
RESTORED = [(800000, 2000000)] * 2


@pytest.fixture
def tree(tmp_path: Path) -> CpufreqTree:
    return CpufreqTree(tmp_path / 'root')


@pytest.fixture
def guard(tree: CpufreqTree, tmp_path: Path) -> Iterator[Guard]:
    guard = Guard(tree.root, BOOT, tmp_path)
    yield guard
    guard.close()


def found(tree: CpufreqTree) -> tuple[LimitsFound, ...]:
    return LinuxPlatform(tree.root, manage_cpu=True).limits_found()


def pin(tree: CpufreqTree, frequency: int = 1200000) -> None:
    for folder in tree.folders:
        for name in ('scaling_min_freq', 'scaling_max_freq'):
            (folder / name).write_text(str(frequency))


def wait_until_restored(tree: CpufreqTree, limit: float) -> float:
    """Return the seconds until the limits are back; fails after `limit`."""
    started = time.monotonic()
    while tree.limits() != RESTORED:
        assert time.monotonic() - started < limit, f'{tree.limits()} after {limit} s'
        time.sleep(0.005)
    return time.monotonic() - started


def state_files(folder: Path) -> list[Path]:
    return list(folder.glob('dynamic_dnn_ros-*.json'))


def test_close_restores_and_leaves_nothing(
    tree: CpufreqTree, guard: Guard, tmp_path: Path
) -> None:
    guard.arm(found(tree))
    process = guard.process_id
    assert process is not None
    assert len(state_files(tmp_path)) == 1
    pin(tree)
    guard.close()
    assert tree.limits() == RESTORED
    assert state_files(tmp_path) == []
    assert not psutil.pid_exists(process)


def test_disarmed_guard_touches_nothing(tree: CpufreqTree, guard: Guard, tmp_path: Path) -> None:
    """What an operator sets after our lease has ended is not ours to change."""
    guard.arm(found(tree))
    guard.disarm()
    assert state_files(tmp_path) == []
    pin(tree)
    guard.close()
    assert tree.limits() == [(1200000, 1200000)] * 2


def test_a_mute_guard_is_ended_and_leaves_nothing_to_restore(
    tree: CpufreqTree, guard: Guard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard.arm(found(tree))
    assert guard.process_id is not None
    os.kill(guard.process_id, signal.SIGSTOP)
    monkeypatch.setattr('dynamic_dnn_ros.platforms.guard.ANSWER_TIMEOUT', 0.1)
    with pytest.raises(PlatformError, match='does not answer'):
        guard.disarm()
    assert guard.process_id is None
    assert state_files(tmp_path) == []


def test_no_process_without_something_to_restore(guard: Guard) -> None:
    guard.arm(())
    guard.disarm()
    assert guard.process_id is None


def test_guard_is_small_and_in_its_own_session(tree: CpufreqTree, guard: Guard) -> None:
    guard.arm(found(tree))
    assert guard.process_id is not None
    assert os.getsid(guard.process_id) != os.getsid(0)
    assert psutil.Process(guard.process_id).memory_info().rss < 20e6


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_guard_survives_what_ends_the_node(
    tree: CpufreqTree, guard: Guard, number: signal.Signals
) -> None:
    guard.arm(found(tree))
    process = guard.process_id
    assert process is not None
    os.kill(process, number)
    pin(tree)
    guard.close()
    assert tree.limits() == RESTORED


def test_dead_guard_is_replaced_at_the_renewal(tree: CpufreqTree, guard: Guard) -> None:
    limits = found(tree)
    guard.arm(limits)
    first = guard.process_id
    assert first is not None
    os.kill(first, signal.SIGKILL)
    deadline = time.monotonic() + 5.0
    while guard.process_id is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    guard.arm(limits)
    assert guard.process_id not in (None, first)
    pin(tree)
    guard.close()
    assert tree.limits() == RESTORED


OWNER = """
import sys, time
from pathlib import Path
from dynamic_dnn_ros.platforms.guard import Guard
from dynamic_dnn_ros.platforms.linux import LinuxPlatform
from dynamic_dnn_ros.platforms.contract import DomainRange
root, folder = sys.argv[1:3]
platform = LinuxPlatform(root, manage_cpu=True)
guard = Guard(root, 'this-boot', Path(folder))
guard.arm(platform.limits_found())
platform.apply(0.0, [DomainRange('cpu', 1.2e9, 1.2e9)])
print(guard.process_id, flush=True)
time.sleep(60)
"""


def start_owner(
    tree: CpufreqTree, folder: Path, program: str = OWNER
) -> tuple[subprocess.Popen[str], int]:
    """Start a process that holds a setting; return it and its guard's process id."""
    process = subprocess.Popen(
        [sys.executable, '-c', program, str(tree.root), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    guard = int(process.stdout.readline())
    assert tree.limits() == [(1200000, 1200000)] * 2
    return process, guard


def wait_until_gone(process: int) -> None:
    deadline = time.monotonic() + 5.0
    while psutil.pid_exists(process) and time.monotonic() < deadline:
        if psutil.Process(process).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.01)
    assert time.monotonic() < deadline, 'the guard still runs'


def end_with_files_away(tree: CpufreqTree, folder: Path) -> Path:
    """End node and guard while a CPU is off line, and return where its files lie meanwhile."""
    process, guard = start_owner(tree, folder)
    away = tree.folders[1].rename(tree.folders[1].with_name('away'))
    process.kill()
    process.communicate()
    wait_until_gone(guard)
    return away


def test_sigkill_of_the_owner(tree: CpufreqTree, tmp_path: Path) -> None:
    process, guard = start_owner(tree, tmp_path)
    process.kill()
    wait_until_restored(tree, 1.0)
    process.communicate()
    wait_until_gone(guard)
    assert state_files(tmp_path) == []


def test_both_killed_the_next_start_recovers(tree: CpufreqTree, tmp_path: Path) -> None:
    process, guard = start_owner(tree, tmp_path)
    os.kill(guard, signal.SIGKILL)
    process.kill()
    process.communicate()
    wait_until_gone(guard)
    assert tree.limits() == [(1200000, 1200000)] * 2
    successor = Guard(tree.root, BOOT, tmp_path)
    assert len(successor.recover()) == 2
    assert tree.limits() == RESTORED
    assert state_files(tmp_path) == []
    successor.close()


def test_cpu_that_is_off_line_at_the_end_is_restored_by_a_later_start(
    tree: CpufreqTree, tmp_path: Path
) -> None:
    """Node and guard end while its files are away; a start in between changes nothing of that."""
    away = end_with_files_away(tree, tmp_path)
    assert len(state_files(tmp_path)) == 1

    between = Guard(tree.root, BOOT, tmp_path)
    assert between.recover() == ()
    between.arm(found(tree))
    between.disarm()
    between.close()
    assert len(state_files(tmp_path)) == 1

    away.rename(tree.folders[1])
    assert tree.limits() == [(800000, 2000000), (1200000, 1200000)]
    successor = Guard(tree.root, BOOT, tmp_path)
    assert len(successor.recover()) == 1
    assert tree.limits() == RESTORED
    assert state_files(tmp_path) == []
    successor.close()


def test_cpu_that_comes_back_while_a_later_node_runs_is_restored_at_its_end(
    tree: CpufreqTree, tmp_path: Path
) -> None:
    away = end_with_files_away(tree, tmp_path)
    successor = Guard(tree.root, BOOT, tmp_path)
    successor.recover()
    away.rename(tree.folders[1])
    successor.arm(found(tree))  # which now finds the limits that nobody has restored yet
    successor.disarm()
    successor.close()
    assert tree.limits() == RESTORED
    assert state_files(tmp_path) == []


def test_guard_makes_no_files(tmp_path: Path) -> None:
    row = {'minimum_file': str(tmp_path / 'a'), 'maximum_file': str(tmp_path / 'b')}
    row |= {'minimum': '1', 'maximum': '2'}
    assert restore([row]) == [row]
    assert list(tmp_path.iterdir()) == []


def test_second_guard_of_one_tree_is_refused(tree: CpufreqTree, tmp_path: Path) -> None:
    """Wherever its state file lies, as that of another user does."""
    first = Guard(tree.root, BOOT, tmp_path)
    with pytest.raises(PlatformError, match='another platform node'):
        Guard(tree.root, BOOT, tmp_path)
    elsewhere = tmp_path / 'elsewhere'
    elsewhere.mkdir()
    with pytest.raises(PlatformError, match='another platform node'):
        Guard(tree.root, BOOT, elsewhere)
    other = Guard(CpufreqTree(tmp_path / 'other').root, BOOT, tmp_path)
    other.close()
    first.close()
    Guard(tree.root, BOOT, tmp_path).close()


def write_state(guard: Guard, folder: Path, boot: str, rows: list[dict[str, str]]) -> Path:
    """Write what a predecessor would have left, in the place of this guard."""
    path = guard.state_file
    assert path.parent == folder
    path.write_text(json.dumps({'boot_id': boot, 'limits': rows}))
    path.chmod(0o600)
    return path


def rows_of(tree: CpufreqTree) -> list[dict[str, str]]:
    return [vars(row) for row in found(tree)]


def test_state_of_another_boot_is_void(tree: CpufreqTree, guard: Guard, tmp_path: Path) -> None:
    rows = rows_of(tree)
    pin(tree)
    write_state(guard, tmp_path, 'an-earlier-boot', rows)
    assert guard.recover() == ()
    assert tree.limits() == [(1200000, 1200000)] * 2


def test_what_this_start_may_not_set_is_restored_as_well(
    tree: CpufreqTree, guard: Guard, tmp_path: Path
) -> None:
    """The last one had `manage_cpu`, this one has not."""
    rows = rows_of(tree)
    pin(tree)
    write_state(guard, tmp_path, BOOT, rows)
    assert len(guard.recover()) == 2
    assert tree.limits() == RESTORED


def test_memory_that_a_predecessor_left_fixed_is_freed(tmp_path: Path) -> None:
    """Fixed as it is, the platform would not say that it is its own to set."""
    kernel = xavier_nx(tmp_path / 'root')
    memory = MemoryControl(kernel)
    row = memory.found()
    assert row is not None
    memory.write((204e6, 1331.2e6))
    assert memory.found() is None
    guard = Guard(kernel.root, BOOT, tmp_path)
    write_state(guard, tmp_path, BOOT, [vars(row)])
    assert guard.recover() == (row,)
    assert memory.found() == row
    guard.close()


@pytest.mark.parametrize('away', [Away.UNREADABLE, Away.READ_ONLY])
def test_limits_of_a_cpu_that_is_off_line_are_kept_for_later(tmp_path: Path, away: Away) -> None:
    kernel = xavier_nx(tmp_path / 'root')
    rows = LinuxPlatform(kernel, manage_cpu=True, manage_gpu=False).limits_found()
    for name in ('policy0', 'policy2', 'policy4'):
        kernel.by_hand(name, 1267200, 1267200)
    kernel.switch('policy4', False, away)
    guard = Guard(kernel.root, BOOT, tmp_path)
    write_state(guard, tmp_path, BOOT, [vars(row) for row in rows])
    assert [row.minimum_file for row in guard.recover()] == [
        str(kernel.clocks[name].minimum_file) for name in ('policy0', 'policy2')
    ]
    assert len(json.loads(guard.state_file.read_text())['limits']) == 1
    guard.close()


def test_limits_that_heat_holds_down_count_as_restored(
    tree: CpufreqTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel took them and shows them once it is cool: a node must be able to start now."""
    rows = rows_of(tree)
    pin(tree, 1000000)

    def read_hot(path: str) -> str:
        text = Path(path).read_text().strip() if os.path.exists(path) else ''
        return '1600000' if text == '2000000' else text

    monkeypatch.setattr(guard_process, 'read', read_hot)
    assert restore(rows) == []
    assert tree.limits() == RESTORED


def test_a_folder_that_cannot_be_written_is_said(tree: CpufreqTree, tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match='absent.*state_folder'):
        Guard(tree.root, BOOT, tmp_path / 'absent')


def test_only_files_of_the_tree_are_written(
    tree: CpufreqTree, guard: Guard, tmp_path: Path
) -> None:
    victim = tmp_path / 'victim'
    victim.write_text('precious')
    row = {'minimum_file': str(victim), 'maximum_file': str(victim), 'minimum': '1'}
    write_state(guard, tmp_path, BOOT, [{**row, 'maximum': '2'}])
    with pytest.raises(StateError, match='names files outside'):
        guard.recover()
    assert victim.read_text() == 'precious'


DEEP = '[' * 100_000


@pytest.mark.parametrize(
    'damage',
    [
        '',
        '{',
        '[]',
        DEEP,
        '{"boot_id": "this-boot", "limits": [{}]}',
        '{"boot_id": "this-boot", "limits": 3}',
        f'{{"boot_id": "this-boot", "limits": {DEEP}',
        'x' * (LARGEST_STATE + 1),
    ],
    ids=['empty', 'cut', 'list', 'deep', 'rows', 'number', 'deep rows', 'large'],
)
def test_damaged_state_is_said_and_kept(
    tree: CpufreqTree, guard: Guard, tmp_path: Path, damage: str
) -> None:
    path = write_state(guard, tmp_path, BOOT, [])
    path.write_text(damage)
    with pytest.raises(StateError, match=r'are not known.*delete the file'):
        guard.recover()
    assert path.read_text() == damage


def test_state_that_others_may_write_is_not_trusted(
    tree: CpufreqTree, guard: Guard, tmp_path: Path
) -> None:
    rows = rows_of(tree)
    pin(tree)
    path = write_state(guard, tmp_path, BOOT, rows)
    path.chmod(0o666)
    with pytest.raises(StateError, match='another user'):
        guard.recover()
    assert path.exists() and tree.limits() == [(1200000, 1200000)] * 2


def test_state_behind_a_link_is_not_trusted(
    tree: CpufreqTree, guard: Guard, tmp_path: Path
) -> None:
    path = write_state(guard, tmp_path, BOOT, rows_of(tree))
    pin(tree)
    target = path.rename(tmp_path / 'elsewhere')
    path.symlink_to(target)
    with pytest.raises(StateError, match='is a link'):
        guard.recover()
    assert path.is_symlink()


def test_state_that_is_no_plain_file_hangs_nobody(guard: Guard) -> None:
    os.mkfifo(guard.state_file, 0o600)
    with pytest.raises(StateError, match='no plain file'):
        guard.recover()


def test_what_cannot_be_kept_is_a_failure(tree: CpufreqTree, guard: Guard) -> None:
    """As where the folder is full; root may write any folder, but no file over a folder."""
    guard.state_file.mkdir()
    (guard.state_file / 'in the way').touch()
    with pytest.raises(PlatformError, match='make room'):
        guard.arm(found(tree))
    assert guard.process_id is None


HUNG = OWNER.replace(
    'guard.arm(platform.limits_found())',
    'guard.arm(platform.limits_found(), time.monotonic() + 0.3)',
)


def test_the_guard_restores_for_a_node_that_hangs(tree: CpufreqTree, tmp_path: Path) -> None:
    process, guard = start_owner(tree, tmp_path, HUNG)
    process.send_signal(signal.SIGSTOP)
    wait_until_restored(tree, 0.3 + guard_process.GRACE + 1.0)
    assert len(state_files(tmp_path)) == 1, 'it stays armed for the end of the node'
    process.kill()
    process.communicate()
    wait_until_gone(guard)
    assert state_files(tmp_path) == []


def test_a_node_that_renews_its_lease_is_not_restored_for(tree: CpufreqTree, guard: Guard) -> None:
    limits = found(tree)
    end = time.monotonic() + 1.0
    pin(tree)
    while time.monotonic() < end:
        guard.arm(limits, time.monotonic() + 0.1)
        time.sleep(0.2)
    assert tree.limits() == [(1200000, 1200000)] * 2


def test_what_a_file_refuses_for_a_node_that_hangs_is_tried_again(
    tree: CpufreqTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    charge = guard_process.Charge(str(tmp_path / 'state.json'), BOOT)
    rows = rows_of(tree)
    charge.take(json.dumps({'limits': rows, 'expiry': 10.0}).encode())
    assert charge.patience(10.0) == guard_process.GRACE
    monkeypatch.setattr(guard_process, 'restore', lambda limits: limits)
    charge.restore_for_node(11.0)
    assert charge.patience(11.0) == guard_process.RETRY
    monkeypatch.setattr(guard_process, 'restore', lambda limits: [])
    charge.restore_for_node(12.0)
    assert charge.patience(12.0) is None


def test_restore_says_what_fails(tree: CpufreqTree, tmp_path: Path) -> None:
    """And the rest is restored: it is nothing for the state file any more."""
    rows = rows_of(tree)
    pin(tree)
    (tmp_path / 'maximum').write_text('3')
    limits = {
        'minimum_file': str(tmp_path / 'maximum'),
        'maximum_file': str(tmp_path / 'maximum'),
        'minimum': '1',
        'maximum': '2',
    }
    assert restore([rows[0], limits, rows[1]]) == [limits]  # one file cannot hold both
    assert tree.limits() == RESTORED


def test_state_folder_is_writable() -> None:
    assert os.access(state_folder(), os.W_OK)
