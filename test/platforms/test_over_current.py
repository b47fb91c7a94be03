# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the hardware does for the current is seen, said, and bounds what plans may take."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from dynamic_dnn_ros.management.observations import Load
from dynamic_dnn_ros.management.power_budget import PowerBudget
from dynamic_dnn_ros.platforms.contract import NoticeKind
from dynamic_dnn_ros.platforms.jetson import JetsonPlatform
from dynamic_dnn_ros.platforms.over_current import (
    FORGOTTEN,
    LEAST,
    LOWER,
    QUIET,
    STEP,
    CurrentBudget,
    OverCurrent,
)
from support.boards import agx_orin, over_current, raspberry_pi_5
from support.kernel import Kernel, orin_nx


def test_an_event_lowers_the_budget_below_what_the_board_takes() -> None:
    budget = CurrentBudget()
    budget.observe(0.0, False, 20.0)
    assert budget.budget == math.inf
    budget.observe(1.0, True, 20.0)
    assert budget.budget == pytest.approx(20.0 * (1 - LOWER))
    budget.observe(1.0 + STEP / 2, True, 20.0)  # clocks have not followed yet
    assert budget.budget == pytest.approx(20.0 * (1 - LOWER))


def test_a_quiet_board_gets_it_back_in_small_steps() -> None:
    budget = CurrentBudget()
    budget.observe(0.0, True, 20.0)
    seen = []
    for second in range(1, 100):
        budget.observe(float(second), False, 18.0)
        seen.append(budget.budget)
    assert seen == sorted(seen)
    assert seen[int(QUIET) - 2] == pytest.approx(19.0)
    assert len(set(seen)) > 3
    assert seen[-1] == math.inf


def test_a_budget_that_does_not_help_is_given_up_and_tried_again_later() -> None:
    """Spikes that come however little is taken: a weak supply, which no plan can mend."""
    budget = CurrentBudget()
    power, now, lowest = 20.0, 0.0, math.inf
    while not budget.helpless:
        now += STEP
        budget.observe(now, True, power)
        power = min(power, budget.budget)
        lowest = min(lowest, budget.budget)
        assert now < 100.0
    assert budget.budget == math.inf
    assert lowest >= LEAST * 20.0
    budget.observe(now + 1.0, True, 20.0)
    assert budget.budget == math.inf
    now += 1.0 + FORGOTTEN
    budget.observe(now, False, 20.0)
    budget.observe(now + 1.0, True, 20.0)
    assert budget.budget == pytest.approx(19.0)


def test_without_power_nothing_is_bounded() -> None:
    budget = CurrentBudget()
    budget.observe(0.0, True, math.nan)
    assert budget.budget == math.inf


def test_counters_of_an_orin(tmp_path: Path) -> None:
    """What was counted before the start is history; a node reads 37 and says nothing."""
    kernel = agx_orin(tmp_path)
    platform = JetsonPlatform(kernel)
    sample = platform.read(0.0)
    assert (sample.power_budget, sample.notices) == (math.inf, ())
    over_current(kernel, 0, 2, 40)
    sample = platform.read(1.5)
    assert sample.power_budget == pytest.approx(0.95 * sample.power['MODULE'])
    (notice,) = sample.notices
    assert notice.kind is NoticeKind.CURRENT
    assert 'OC2 average over-current, OC3 instantaneous over-current' in notice.text
    # The manager plans for less, and the text stays the same while it holds.
    manager = PowerBudget()
    load = Load(
        platform='agx_orin', boot_id='', period=0.1, domains=(), power_budget=sample.power_budget
    )
    assert manager.observe(load, math.nan, settled=True, now=1.5)
    assert manager.budget < sample.power['MODULE']
    assert platform.read(3.0).notices == (notice,)


def test_events_that_cut_no_clock_are_none(tmp_path: Path) -> None:
    kernel = agx_orin(tmp_path)
    platform = JetsonPlatform(kernel)
    platform.read(0.0)
    over_current(kernel, 0, 0, 99)
    kernel.file('/sys/class/hwmon/hwmon5/oc3_throt_en', 0)
    assert platform.read(2.0).notices == ()


def test_counters_are_read_once_a_second(tmp_path: Path) -> None:
    kernel = agx_orin(tmp_path)
    reads: list[str] = []
    load = kernel.load
    kernel.load = lambda path: (reads.append(path.name), load(path))[1]  # type: ignore[assignment]
    observer = OverCurrent(kernel)
    for tenth in range(20):
        observer.observe(tenth / 10, 10.0)
    assert reads.count('oc1_event_cnt') == 2


def test_alarms_of_a_rail(tmp_path: Path) -> None:
    kernel = orin_nx(tmp_path)
    folder = '/sys/class/hwmon/hwmon1'
    kernel.file(f'{folder}/curr1_crit_alarm', 1)
    kernel.file(f'{folder}/curr4_crit_alarm', 0)
    observer = OverCurrent(kernel)
    observer.observe(0.0, 25.0)
    (notice,) = observer.notices()
    assert 'current of VDD_IN' in notice.text
    kernel.file(f'{folder}/curr1_crit_alarm', 0)
    kernel.file(f'{folder}/curr4_crit_alarm', 1)
    observer.observe(5.0, 25.0)
    assert 'sum of the rails' in observer.notices()[0].text


def test_the_limit_of_the_input_is_a_budget(tmp_path: Path) -> None:
    """5 A at 5 V is what an Orin NX may take, whatever its power mode is called."""
    kernel = orin_nx(tmp_path)
    kernel.file('/sys/class/hwmon/hwmon1/curr1_crit', 4984)
    kernel.file('/sys/class/hwmon/hwmon1/curr1_max', 32760)
    platform = JetsonPlatform(kernel)
    assert platform.read(0.0).power_budget == pytest.approx(4.984 * 5.056, abs=0.05)


@pytest.mark.parametrize('content', ['', 'nonsense', '0'])
def test_a_limit_that_is_none(tmp_path: Path, content: str) -> None:
    kernel = orin_nx(tmp_path)
    kernel.file('/sys/class/hwmon/hwmon1/curr1_crit', content)
    assert OverCurrent(kernel).budget == math.inf


def test_a_board_without_power_sensors_says_that_nothing_can_be_done(tmp_path: Path) -> None:
    kernel = Kernel(tmp_path)
    over_current(kernel, 1, 1, 1)
    observer = OverCurrent(kernel)
    observer.observe(0.0, math.nan)
    over_current(kernel, 2, 1, 1)
    observer.observe(1.0, math.nan)
    (notice,) = observer.notices()
    assert 'is not known' in notice.text and 'OC1 under-voltage' in notice.text
    observer.observe(1.0 + QUIET, math.nan)
    assert observer.notices() == ()


def test_the_supply_of_a_raspberry_pi_sags(tmp_path: Path) -> None:
    kernel = raspberry_pi_5(tmp_path)
    observer = OverCurrent(kernel)
    observer.observe(0.0, 6.0)
    assert observer.notices() == ()
    kernel.file('/sys/class/hwmon/hwmon2/in0_lcrit_alarm', 1)
    observer.observe(2.0, 6.0)
    assert 'under-voltage' in observer.notices()[0].text
