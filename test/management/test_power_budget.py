# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What plans may take of a board with a power cap or a temperature limit."""

from __future__ import annotations

from dataclasses import replace
import math

import pytest

from dynamic_dnn_ros.management.observations import Load
from dynamic_dnn_ros.management.power_budget import MARGIN, PowerBudget

LOAD = Load('board', 'boot', 0.1, ())


def test_without_a_cap_nothing_is_bounded() -> None:
    budget = PowerBudget()
    assert not budget.observe(replace(LOAD, power=30.0, temperature=90.0), 5.0, True, 0.0)
    assert budget.budget == math.inf
    assert budget.message == ''


def test_cap_and_limit_may_change() -> None:
    budget = PowerBudget(cap=10.0, temperature_limit=80.0)
    budget.observe(replace(LOAD, power=8.0, temperature=80.0), 8.0, True, 0.0)
    assert budget.budget == pytest.approx(7.2)
    budget.limit(10.0, 95.0)
    # What was lowered for the other limit is given back.
    assert budget.budget == pytest.approx(10 * (1 - MARGIN))
    budget.limit(6.0, 95.0)
    assert budget.budget == pytest.approx(6 * (1 - MARGIN))
    budget.limit(math.inf, math.inf)
    assert budget.budget == math.inf


def test_what_is_not_ours_is_set_aside() -> None:
    budget = PowerBudget(cap=10.0)
    assert budget.budget == pytest.approx(10 * (1 - MARGIN))
    for step in range(100):
        budget.observe(replace(LOAD, power=8.0), 6.0, True, step * 0.1)
    assert budget.budget == pytest.approx(10 * (1 - MARGIN) - 2.0, abs=0.2)
    assert '2 W go to what is not ours' in budget.message
    # A plan that takes less than predicted gives no leave to take more.
    for step in range(100):
        budget.observe(replace(LOAD, power=3.0), 6.0, True, 10 + step * 0.1)
    assert budget.budget == pytest.approx(10 * (1 - MARGIN), abs=0.2)


def test_the_smaller_one_of_cap_and_the_power_modes_budget_counts() -> None:
    budget = PowerBudget(cap=12.0)
    assert budget.observe(replace(LOAD, power_budget=10.0), math.nan, True, 0.0)
    assert budget.budget == pytest.approx(10 * (1 - MARGIN))
    for step in range(100):
        budget.observe(replace(LOAD, power=8.0, power_budget=10.0), 6.0, True, step * 0.1)
    assert "board's budget of 10 W, 2 W go to what is not ours" in budget.message
    assert budget.observe(replace(LOAD, power_budget=20.0), math.nan, True, 11.0)
    assert budget.budget == pytest.approx(12 * (1 - MARGIN) - 2.0, abs=0.2)


def test_a_mode_without_a_budget_bounds_nothing_again() -> None:
    budget = PowerBudget()
    assert budget.observe(replace(LOAD, power_budget=15.0), math.nan, True, 0.0)
    assert budget.observe(LOAD, math.nan, True, 0.1)
    assert budget.budget == math.inf


@pytest.mark.parametrize(('power', 'predicted'), [(math.nan, 6.0), (8.0, math.nan)])
def test_what_is_not_known_changes_nothing(power: float, predicted: float) -> None:
    budget = PowerBudget(cap=10.0)
    assert not budget.observe(replace(LOAD, power=power), predicted, True, 0.0)
    assert budget.budget == pytest.approx(10 * (1 - MARGIN))


def test_before_the_setting_is_in_force_nothing_is_learnt() -> None:
    budget = PowerBudget(cap=10.0)
    assert not budget.observe(replace(LOAD, power=9.0), 4.0, False, 0.0)
    assert budget.budget == pytest.approx(10 * (1 - MARGIN))


def test_heat_lowers_the_budget_until_the_board_is_cool() -> None:
    """A board that warms by 5 degrees a watt, slowly, is kept below its limit."""
    budget = PowerBudget(temperature_limit=75.0)
    temperature, hottest = 30.0, 0.0
    for step in range(6000):
        wanted = 15.0
        power = min(wanted, budget.budget)
        temperature += 0.1 * (25.0 + 5.0 * power - temperature) / 30.0
        hottest = max(hottest, temperature) if step > 3000 else 0.0
        budget.observe(
            replace(LOAD, power=power, temperature=temperature), power, True, 0.1 * step
        )
    assert hottest < 77.0
    assert temperature > 65.0
    assert 'temperature limit of 75' in budget.message
    for step in range(6000, 9000):
        power = min(3.0, budget.budget)
        temperature += 0.1 * (25.0 + 5.0 * power - temperature) / 30.0
        budget.observe(
            replace(LOAD, power=power, temperature=temperature), power, True, 0.1 * step
        )
    assert budget.budget == math.inf


def test_once_cool_the_budget_begins_at_what_plans_take() -> None:
    """Heat that others make cannot be mended by plans, which take the least there is."""
    budget = PowerBudget(temperature_limit=75.0)
    hot = replace(LOAD, power=20.0, temperature=80.0)
    for step in range(0, 6000, 10):
        budget.observe(hot, 4.0, True, 0.1 * step)
    assert budget.budget < 4.0
    assert budget.observe(replace(hot, temperature=50.0), 4.0, True, 700.0)
    assert budget.budget > 4.0


def test_without_any_power_heat_can_only_be_told() -> None:
    budget = PowerBudget(temperature_limit=75.0)
    hot = replace(LOAD, power=math.nan, temperature=80.0)
    budget.observe(hot, math.nan, True, 0.0)
    assert budget.budget == math.inf
    assert 'temperature limit of 75' in budget.message
    budget.observe(replace(hot, temperature=50.0), math.nan, True, 10.0)
    assert budget.message == ''
