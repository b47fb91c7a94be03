# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What the board may take: a cap, the budget of its power mode, a limit of its temperature.

A plan is judged by the power that it is predicted to take. What else the board takes, load that
is not ours above all, is measured beside and set aside. Near the temperature limit the budget is
lowered step by step below what the board takes, and given back in smaller steps once it is cooler.
"""

from __future__ import annotations

import math

from dynamic_dnn_ros.management.observations import Load

MARGIN = 0.03
"""Share of the cap that is left free: a hundredth more counts as equal in a choice."""

BAND = 3.0
"""Degrees below the temperature limit in which the budget is lowered."""

THERMAL_STEP = 2.0
"""Seconds between two steps of the budget, since a board warms up slowly."""

LOWER = 0.1
"""Share by which a step lowers the budget at the temperature limit; above it more."""

RAISE = 0.05
"""Share by which a step raises it again."""

SETTLING = 2.0
"""Seconds in which what is measured beside our own power counts to two thirds."""

LEAST = 0.1
"""Watts that plans may always take."""

_CHANGE = 0.02
"""Share of the cap by which the budget has to move to be another one."""


class PowerBudget:
    """
    Follow the power that plans may take.

    The smaller one of the operator's cap and the board's budget counts, which is that of its power
    mode, or less where its hardware slowed itself down for the current.

    :param cap: of the whole board, W; infinite: none
    :param temperature_limit: of its hottest sensor, degrees Celsius; infinite: none
    """

    def __init__(self, cap: float = math.inf, temperature_limit: float = math.inf) -> None:
        """Begin with the cap, as nothing has been measured."""
        self.cap = cap
        self.temperature_limit = temperature_limit
        self._board = math.inf
        self._beside = 0.0
        self._measured = -math.inf
        self._thermal = math.inf
        self._stepped = -math.inf
        self._helpless = False
        self._budget = cap * (1 - MARGIN)

    def limit(self, cap: float, temperature_limit: float) -> None:
        """Bound plans by another cap, W, and another limit, degrees Celsius, from now on."""
        if temperature_limit != self.temperature_limit:
            # What was lowered for the other limit says nothing of this one.
            self._thermal, self._stepped, self._helpless = math.inf, -math.inf, False
        self.cap, self.temperature_limit = cap, temperature_limit
        self._budget = self._bounded()

    @property
    def bound(self) -> float:
        """Return the smaller one of cap and the board's budget, W."""
        return min(self.cap, self._board)

    @property
    def budget(self) -> float:
        """Return the power that a plan may take by its prediction, W; infinite: any."""
        return self._budget

    @property
    def message(self) -> str:
        """Return what bounds the power, or why nothing can; empty where nothing is to."""
        if self._helpless:
            return (
                f'The board nears its temperature limit of {self.temperature_limit:.4g} degrees '
                'Celsius, but neither platform nor profiles tell its power, so plans cannot be '
                'given less. Profile on a platform with power sensors.'
            )
        if self._thermal < self.bound:
            return (
                f'The board nears its temperature limit of {self.temperature_limit:.4g} degrees '
                f'Celsius: plans may take {self._budget:.3g} W.'
            )
        if self._beside > _CHANGE * self.bound:
            whose = 'power cap' if self.cap <= self._board else "board's budget"
            return (
                f'Of the {whose} of {self.bound:.4g} W, {self._beside:.3g} W go to what is not '
                f'ours: plans may take {self._budget:.3g} W.'
            )
        return ''

    def observe(self, load: Load, predicted: float, settled: bool, now: float) -> bool:
        """
        Take a sample of the board; tell whether the budget is another one now.

        :param predicted: power of the plan in force, W, NaN where not known
        :param settled: whether the board runs on that plan's setting
        """
        self._board = load.power_budget
        if settled and math.isfinite(self.bound) and math.isfinite(load.power - predicted):
            weight = 1 - math.exp(-max(now - self._measured, 0.0) / SETTLING)
            # What a plan takes less than predicted is not given away.
            beside = max(load.power - predicted, 0.0)
            self._beside += weight * (beside - self._beside)
            self._measured = now
        if math.isfinite(self.temperature_limit) and math.isfinite(load.temperature):
            self._cool(load, predicted, now)
        budget = self._bounded()
        change = _CHANGE * min(budget, self._budget)
        if budget == self._budget or abs(budget - self._budget) <= change:
            return False
        self._budget = budget
        return True

    def _bounded(self) -> float:
        # Where nothing is left, plans are still told apart by how much they take.
        return max(min(self.bound * (1 - MARGIN) - self._beside, self._thermal), LEAST)

    def _cool(self, load: Load, predicted: float, now: float) -> None:
        if now - self._stepped < THERMAL_STEP:
            return
        over = (load.temperature - (self.temperature_limit - BAND)) / BAND
        taken = load.power if math.isfinite(load.power) else predicted
        self._helpless = over > 0 and math.isnan(taken)
        if over > 0 and taken > 0:
            self._stepped = now
            self._thermal = min(self._thermal, taken) * (1 - min(LOWER * over, 0.5))
        elif over < -1 and math.isfinite(self._thermal):
            self._stepped = now
            # However far it was lowered while no plan took less: at this one the board is cool.
            least = predicted if math.isfinite(predicted) else LEAST
            self._thermal = max(self._thermal, least) * (1 + RAISE)
            if taken > 0 and self._thermal > 2 * taken:
                # More than twice of what is wanted bounds nothing any more.
                self._thermal = math.inf
