# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clocks of real computers' file trees, behind a kernel that clamps, rounds and refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import errno
import math
from pathlib import Path
import random

import pytest

from dynamic_dnn_ros.platforms.contract import DomainRange, HardwareError, NoticeKind
from dynamic_dnn_ros.platforms.frequency_control import MinimumMaximumControl
from dynamic_dnn_ros.platforms.guard_process import restore as guard_restore
from dynamic_dnn_ros.platforms.jetson import JetsonPlatform
from dynamic_dnn_ros.platforms.kernel_platform import (
    NOTICE_DURATION,
    REFUSED_FOR,
    SLOW_READINGS,
    KernelPlatform,
)
from dynamic_dnn_ros.platforms.linux import LinuxPlatform
from support.kernel import Away, Kernel, laptop, memory_folder, orin_nx, xavier_nx


def jetson(kernel: Kernel) -> JetsonPlatform:
    return JetsonPlatform(kernel, manage_cpu=True, manage_memory=True)


def linux(kernel: Kernel) -> LinuxPlatform:
    return LinuxPlatform(kernel, manage_cpu=True)


Make = tuple[Callable[[Path, bool], Kernel], Callable[[Kernel], KernelPlatform]]
COMPUTERS: dict[str, Make] = {
    'xavier_nx': (xavier_nx, jetson),
    'orin_nx': (orin_nx, jetson),
    'laptop': (laptop, linux),
}


@pytest.fixture
def folder() -> Iterator[Path]:
    with memory_folder() as folder:
        yield folder


@pytest.fixture(params=[(name, strict) for name in COMPUTERS for strict in (True, False)], ids=str)
def computer(request: pytest.FixtureRequest, folder: Path) -> tuple[Kernel, KernelPlatform]:
    """Return each computer with each kind of kernel."""
    name, strict = request.param
    make_kernel, make_platform = COMPUTERS[name]
    kernel = make_kernel(folder, strict)
    return kernel, make_platform(kernel)


@pytest.fixture
def xavier(folder: Path) -> tuple[Kernel, JetsonPlatform]:
    kernel = xavier_nx(folder, strict=False)
    return kernel, jetson(kernel)


def fixed(name: str, frequency: float) -> DomainRange:
    return DomainRange(name, frequency, frequency)


def random_setting(platform: KernelPlatform, chance: random.Random) -> list[DomainRange]:
    setting = []
    for row in platform.limits():
        if row.available and chance.random() < 0.8:
            low, high = sorted(chance.choices(row.available, k=2))
            setting.append(DomainRange(row.name, low, high))
    return setting


def kinds(platform: KernelPlatform, now: float) -> dict[NoticeKind, str]:
    return {notice.kind: notice.text for notice in platform.read(now).notices}


def test_any_sequence_of_settings_is_granted_and_then_restored(
    computer: tuple[Kernel, KernelPlatform],
) -> None:
    """From every setting to every other one no write is refused, in whatever order they come."""
    kernel, platform = computer
    before = kernel.requests()
    chance = random.Random(1)
    for step in range(60):
        setting = random_setting(platform, chance)
        grants = {row.name: row for row in platform.apply(float(step), setting)}
        for row in setting:
            if row.name == 'memory':
                assert grants[row.name] == fixed('memory', row.maximum)
            else:
                assert grants[row.name].minimum == pytest.approx(row.minimum, rel=1e-6)
                assert grants[row.name].maximum == pytest.approx(row.maximum, rel=1e-6)
        assert {row.name for row in setting} == set(grants)
    platform.restore(200.0)
    assert kernel.requests() == before
    assert not kinds(platform, 201.0)


@pytest.mark.parametrize('seed', range(8))
def test_nothing_stays_changed_whatever_happens(
    computer: tuple[Kernel, KernelPlatform], seed: int
) -> None:
    """
    Settings, refusals, heat, CPUs that go off line, limits by hand, clocks that jump: at the end,
    limits are those that were found, or that somebody else set last.
    """
    kernel, platform = computer
    chance = random.Random(seed)
    wanted = dict(kernel.requests())
    cpus = [name for name in kernel.clocks if name.startswith('policy')]
    zones = kernel.glob('/sys/class/thermal/cooling_device*')
    device = zones[-1] / 'cur_state'
    now = 0.0
    for _ in range(60):
        now += chance.choice((0.1, 1.0, 40.0, -3.0))
        event = chance.randrange(8)
        name = chance.choice(list(kernel.clocks))
        clock = kernel.clocks[name]
        if event <= 2:
            try:
                platform.apply(now, random_setting(platform, chance))
            except HardwareError:
                pass
        elif event == 3:
            code = chance.choice((errno.EACCES, errno.EBUSY, errno.EROFS, errno.EINVAL))
            kernel.refuse(clock.maximum_file, code, announced=chance.random() < 0.5)
        elif event == 4:
            kernel.allow()
        elif event == 5:
            if chance.random() < 0.5:
                kernel.cool(device, 1)
                kernel.throttle(name, clock.table[len(clock.table) // 3])
            else:
                kernel.cool(device, 0)
                for each in kernel.clocks:
                    kernel.throttle(each, None)
        elif event == 6 and len(cpus) > 1:
            away = chance.choice(list(Away))
            kernel.switch(cpus[-1], not kernel.clocks[cpus[-1]].online, away)
        elif event == 7:
            try:
                platform.restore(now)
            except HardwareError:
                pass
        sample = platform.read(now)
        for state in sample.domains:
            assert list(state.available) == sorted(state.available)
    kernel.allow()
    kernel.cool(device, 0)
    for each in kernel.clocks:
        kernel.throttle(each, None)
        kernel.switch(each, True)
    platform.restore(now)
    assert kernel.requests() == wanted


def test_denied_file_leaves_its_domain_alone_and_the_others_at_work(
    xavier: tuple[Kernel, JetsonPlatform],
) -> None:
    """Permission denied on one file of three: nothing is written to the other two either."""
    kernel, platform = xavier
    denied = kernel.clocks['policy4'].minimum_file
    kernel.refuse(denied)
    before = kernel.requests()
    with pytest.raises(HardwareError, match=r'policy4/scaling_min_freq.*udev rule'):
        platform.apply(0.0, [fixed('cpu', 1.2672e9), fixed('gpu', 510e6)])
    assert kernel.requests() == before
    assert kernel.writes == []
    available = {row.name: row.available for row in platform.limits()}
    assert available['cpu'] == ()
    assert 510e6 in available['gpu']
    assert 'policy4' in kinds(platform, 1.0)[NoticeKind.REFUSED]
    assert platform.apply(2.0, [fixed('gpu', 510e6)]) == (fixed('gpu', 510e6),)
    # It is tried again later: the rule may have been installed meanwhile.
    kernel.allow()
    platform.read(REFUSED_FOR + 1.0)
    assert {row.name: row.available for row in platform.limits()}['cpu']


@pytest.mark.parametrize('code', [errno.EBUSY, errno.EINVAL, errno.EROFS, errno.EACCES])
def test_a_write_that_fails_halfway_is_undone(
    xavier: tuple[Kernel, JetsonPlatform], code: int
) -> None:
    kernel, platform = xavier
    before = kernel.requests()
    kernel.refuse(kernel.clocks['policy4'].maximum_file, code, announced=False)
    with pytest.raises(HardwareError, match='scaling_max_freq'):
        platform.apply(0.0, [fixed('cpu', 1.2672e9), fixed('gpu', 510e6)])
    assert {n: r for n, r in kernel.requests().items() if n != 'policy4'} == {
        n: r for n, r in before.items() if n != 'policy4'
    }
    kernel.allow()
    platform.restore(1.0)
    assert kernel.requests() == before


def test_what_was_written_before_an_error_of_ours_is_undone(
    xavier: tuple[Kernel, JetsonPlatform], monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel, platform = xavier
    before = kernel.requests()
    write = MinimumMaximumControl.write

    def fail(self: MinimumMaximumControl, wanted: tuple[float, float]) -> tuple[float, float]:
        if self.name == 'policy4':
            raise RuntimeError('a defect')
        return write(self, wanted)

    monkeypatch.setattr(MinimumMaximumControl, 'write', fail)
    with pytest.raises(RuntimeError, match='a defect'):
        platform.apply(0.0, [fixed('cpu', 1.2672e9)])
    assert len(kernel.writes) >= 4
    assert kernel.requests() == before


def test_what_a_refusal_left_is_remembered_until_it_is_restored(
    xavier: tuple[Kernel, JetsonPlatform],
) -> None:
    kernel, platform = xavier
    before, found = kernel.requests(), platform.limits_found()
    platform.apply(0.0, [fixed('cpu', 1.2672e9), fixed('gpu', 510e6)])
    kernel.refuse(kernel.clocks['policy2'].maximum_file, errno.EBUSY)
    for now in (1.0, 2.0):
        with pytest.raises(HardwareError, match='policy2'):
            platform.restore(now)
    assert kernel.requests()['17000000.gv11b'] == before['17000000.gv11b']
    assert kernel.requests()['policy2'] != before['policy2']
    assert platform.limits_found() == found  # what the guard is to restore has not changed
    # A new setting does not take our own limits for those of the operator.
    kernel.allow()
    platform.apply(40.0, [fixed('cpu', 1.344e9)])
    assert platform.limits_found() == found
    platform.restore(41.0)
    assert kernel.requests() == before


@pytest.mark.parametrize('away', Away)
def test_cpus_that_go_off_line_are_restored_when_they_are_back(
    xavier: tuple[Kernel, JetsonPlatform], away: Away
) -> None:
    kernel, platform = xavier
    before = kernel.requests()
    platform.apply(0.0, [fixed('cpu', 1.2672e9)])
    kernel.switch('policy4', False, away)
    assert platform.apply(1.0, [fixed('cpu', 1.344e9)]) == (fixed('cpu', 1.344e9),)
    # It does not stand in the way of another domain either.
    assert platform.apply(1.5, [fixed('gpu', 510e6)]) == (fixed('gpu', 510e6),)
    with pytest.raises(HardwareError, match='policy4'):
        platform.restore(2.0)
    kernel.switch('policy4', True)
    platform.restore(3.0)
    assert kernel.requests() == before


def test_limits_changed_by_hand_are_noticed_kept_and_restored(
    xavier: tuple[Kernel, JetsonPlatform],
) -> None:
    kernel, platform = xavier
    platform.apply(0.0, [fixed('cpu', 1.2672e9), fixed('gpu', 803.25e6)])
    kernel.by_hand('17000000.gv11b', maximum=510000000)
    assert 'gpu (17000000.gv11b)' in kinds(platform, 1.0)[NoticeKind.BY_HAND]
    gpu = platform.limits()[1]
    assert (gpu.minimum, gpu.maximum, gpu.available[-1]) == (114.75e6, 510e6, 510e6)
    platform.apply(2.0, [fixed('cpu', 1.2672e9), fixed('gpu', 306e6)])
    platform.restore(3.0)
    assert kernel.requests()['17000000.gv11b'] == (114750000, 510000000)
    assert kernel.requests()['policy0'] == (1190400, 1420800)
    assert NoticeKind.BY_HAND not in kinds(platform, 3.0 + NOTICE_DURATION)


def test_jetson_clocks_during_a_lease_is_noticed_and_stays(
    xavier: tuple[Kernel, JetsonPlatform],
) -> None:
    kernel, platform = xavier
    platform.apply(0.0, [fixed('gpu', 510e6)])
    kernel.by_hand('17000000.gv11b', 1109250000, 1109250000)
    assert 'jetson_clocks' in kinds(platform, 1.0)[NoticeKind.BY_HAND]
    assert platform.limits()[1].available == (1109.25e6,)
    platform.restore(2.0)
    assert kernel.requests()['17000000.gv11b'] == (1109250000, 1109250000)


def test_jetson_clocks_before_a_lease_is_said(folder: Path) -> None:
    kernel = xavier_nx(folder)
    kernel.by_hand('17000000.gv11b', 1109250000, 1109250000)
    platform = jetson(kernel)
    assert 'jetson_clocks --restore' in kinds(platform, 0.0)[NoticeKind.BY_HAND]
    platform.apply(1.0, [fixed('gpu', 1109.25e6)])
    platform.restore(2.0)
    assert kernel.requests()['17000000.gv11b'] == (1109250000, 1109250000)


def test_power_mode_changed_during_a_lease(xavier: tuple[Kernel, JetsonPlatform]) -> None:
    """Limits and tables are those of the new mode, and they are what is restored."""
    kernel, platform = xavier
    platform.apply(0.0, [fixed('cpu', 1.4208e9), fixed('gpu', 1109.25e6)])
    assert platform.read(0.5).notices == ()
    kernel.power_mode(4)
    for policy in ('policy0', 'policy2', 'policy4'):
        kernel.by_hand(policy, 1190400, 1190400)
    kernel.by_hand('17000000.gv11b', 114750000, 803250000)
    gpu_table = kernel.clocks['17000000.gv11b'].table_file
    gpu_table.write_text(' '.join(str(f) for f in kernel.clocks['17000000.gv11b'].table[:9]))
    said = kinds(platform, 1.0)
    assert 'from 2 (15W_6CORE) to 4 (10W_4CORE)' in said[NoticeKind.POWER_MODE]
    limits = {row.name: row for row in platform.limits()}
    assert limits['cpu'].available == (1.1904e9,)
    assert limits['gpu'].available[-1] == 803.25e6
    platform.apply(2.0, [fixed('cpu', 1.1904e9), fixed('gpu', 306e6)])
    platform.restore(3.0)
    requests = kernel.requests()
    assert requests['policy0'] == (1190400, 1190400)
    assert requests['17000000.gv11b'] == (114750000, 803250000)


def test_throttling_is_no_change_by_hand(xavier: tuple[Kernel, JetsonPlatform]) -> None:
    kernel, platform = xavier
    before = kernel.requests()
    device = kernel.root / 'sys/class/thermal/cooling_device2/cur_state'
    platform.apply(0.0, [fixed('gpu', 803.25e6)])
    kernel.cool(device, 3)
    kernel.throttle('17000000.gv11b', 408000000)
    for step in range(SLOW_READINGS):
        sample = platform.read(1.0 + step)
    assert [notice.kind for notice in sample.notices] == [NoticeKind.LIMITED]
    assert 'devfreq-17000000.gpu' in sample.notices[0].text
    gpu = sample.domains[1]
    assert (gpu.limit_maximum, gpu.granted) == (408e6, 408e6)
    assert (
        gpu.available[-1] == 1109.25e6
    )  # what may be asked for; what is granted is another thing
    platform.restore(10.0)
    assert kernel.requests() == before
    kernel.throttle('17000000.gv11b', None)
    kernel.cool(device, 0)
    assert platform.read(11.0).domains[1].limit_maximum == 1109.25e6


def test_limits_that_the_kernel_takes_over_late_are_not_somebody_elses(
    xavier: tuple[Kernel, JetsonPlatform],
) -> None:
    """However long the old limits are shown after a write, they are not what was set by us."""
    kernel, platform = xavier
    before = kernel.requests()
    kernel.late = 10**9
    platform.apply(0.0, [fixed('cpu', 1.2672e9)])
    assert platform.read(0.1).notices == ()
    kernel.show()
    assert platform.read(0.2).notices == ()
    platform.restore(0.3)
    assert kernel.requests() == before


def test_our_own_limits_are_not_taken_for_those_found_where_they_are_shown_late(
    xavier: tuple[Kernel, JetsonPlatform],
) -> None:
    """A setting that comes as soon as the last one is restored."""
    kernel, platform = xavier
    before = kernel.requests()
    kernel.late = 5
    for frequency in (1.2672e9, 1.344e9, 1.1904e9):
        assert platform.apply(0.0, [fixed('cpu', frequency)]) == (fixed('cpu', frequency),)
        platform.restore(0.0)
    assert kernel.requests() == before


def heat(kernel: Kernel, hot: bool = True) -> None:
    """Have the kernel hold the CPU's clock down for the temperature, or no longer."""
    kernel.cool(kernel.root / 'sys/class/thermal/cooling_device1/cur_state', int(hot))
    kernel.throttle('policy0', 1190400 if hot else None)


def test_the_guard_is_not_told_what_heat_left_of_the_limits(
    xavier: tuple[Kernel, JetsonPlatform],
) -> None:
    kernel, platform = xavier
    found = platform.limits_found()
    heat(kernel)
    assert platform.limits_found() == found


def test_a_hot_board_at_start_is_not_taken_for_what_is_to_be_restored(folder: Path) -> None:
    kernel = xavier_nx(folder, strict=False)
    before = kernel.requests()
    heat(kernel)
    platform = jetson(kernel)
    with pytest.raises(HardwareError, match='cannot be known'):
        platform.apply(0.0, [fixed('gpu', 510e6)])
    assert kernel.writes == []
    heat(kernel, hot=False)
    platform.read(REFUSED_FOR + 1.0)
    # Once it has been seen cool, heat is in nobody's way.
    heat(kernel)
    platform.apply(REFUSED_FOR + 2.0, [fixed('cpu', 1.1904e9), fixed('gpu', 510e6)])
    platform.restore(REFUSED_FOR + 3.0)
    assert kernel.requests() == before


def test_clock_that_goes_backwards_changes_nothing(
    computer: tuple[Kernel, KernelPlatform],
) -> None:
    kernel, platform = computer
    before = kernel.requests()
    row = platform.limits()[0]
    platform.apply(1e6, [fixed(row.name, row.available[0])])
    sample = platform.read(0.0)
    assert all(math.isnan(value) or value >= 0.0 for value in sample.power.values())
    platform.apply(-5.0, [fixed(row.name, row.available[-1])])
    platform.restore(-10.0)
    assert kernel.requests() == before


def test_the_guard_restores_the_same(computer: tuple[Kernel, KernelPlatform]) -> None:
    """What `limits_found` says is enough for a process that only knows files."""
    _, platform = computer
    texts = {row: (row.minimum, row.maximum) for row in platform.limits_found()}
    rows = [vars(row) for row in platform.limits_found()]
    platform.apply(
        0.0, [fixed(row.name, row.available[0]) for row in platform.limits() if row.available]
    )
    assert guard_restore(rows) == []
    for row, (minimum, maximum) in texts.items():
        assert Path(row.minimum_file).read_text().strip() == minimum
        assert Path(row.maximum_file).read_text().strip() == maximum
