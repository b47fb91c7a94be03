# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Clocks by deep Q-learning, as zTT's (Kim et al., MobiSys 2021).

Three clocks of the CPU and three of the GPU are nine actions. A reward tells how much of the rate
that is asked for was attained, how cool the board is, and how little power it takes. Above a limit
of temperature a lower setting is drawn at random. It never changes sub-networks: each application
serves the least accurate one that its target allows.

Written from a summary of the paper. It differs: the platform tells the power of the whole board
and its hottest sensor, not those of CPU and GPU. A camera sends frames, so the rate attained is
what frames would have come to if one followed the other; a latency asked for is such a rate.
"""

from __future__ import annotations

from collections.abc import Mapping
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.management.baselines.baseline import SETTLED, Baseline
from dynamic_dnn_ros.management.baselines.q_learning import QLearner
from dynamic_dnn_ros.management.baselines.search_space import settable
from dynamic_dnn_ros.management.baselines.weights_file import restore_decider
from dynamic_dnn_ros.management.manager import ManagerSettings
from dynamic_dnn_ros.management.observations import Load, Status
from dynamic_dnn_ros.management.tables import Option
from dynamic_dnn_ros.management.targets import Target

FloatArray = NDArray[np.float64]

NAME = 'ztt'
STEPS = 3
"""Clocks of the CPU and of the GPU among which it chooses."""

PERIOD = 1.0
"""Seconds from one action to the next."""

POWER_WEIGHT = 2.0
COOL = 50.0
"""Degrees Celsius below which temperature gives a reward, as published."""

LIMIT = 80.0
"""Degrees Celsius from which on it cools down, where no parameter says another one."""

_STATES = 5
_MOST_POWER, _MOST_TEMPERATURE = 20.0, 100.0


def reward(attained: float, temperature: float, power: float, limit: float) -> float:
    """
    Return the reward of a second.

    :param attained: rate over the one that is asked for
    :param temperature: degrees Celsius; NaN: nothing is said of it
    :param power: W; NaN: likewise
    """
    total = min(1.0, attained)
    if temperature >= limit:
        total -= 2.0
    elif not math.isnan(temperature):
        total += 0.2 * math.tanh(COOL - temperature)
    return total + (POWER_WEIGHT / power if power > 0 else 0.0)


def learner(seed: int = 0) -> QLearner:
    """Return one that has learnt nothing."""
    return QLearner(_STATES, STEPS**2, seed)


class Ztt(Baseline):
    """
    Sets one of three clocks of the CPU and of the GPU each second.

    With the file of a training (`ManagerSettings.decider_file`) it does what it learnt; without
    one it learns while it serves, as published.

    :param trained: learns in place of the file
    :raises DeciderFileError: for a file that cannot be used
    """

    def __init__(
        self,
        instance: str = NAME,
        settings: ManagerSettings | None = None,
        trained: QLearner | None = None,
    ) -> None:
        """Begin at the highest clocks."""
        super().__init__(instance, settings)
        self._learner = trained or learner()
        self._learns = trained is not None or not self.settings.decider_file
        if not self._learns:
            restore_decider(Path(self.settings.decider_file).expanduser(), NAME, self._learner)
        self._frames: dict[str, list[float]] = {}
        self._watts: list[float] = []
        self._action = STEPS**2 - 1
        self._before: FloatArray | None = None
        self._acted = -math.inf

    @property
    def _limit(self) -> float:
        return min(self.settings.temperature_limit, LIMIT)

    def observe_load(self, load: Load, now: float) -> bool:
        """Take the power of the board."""
        if load.power > 0 and now >= self._acted + SETTLED:
            self._watts.append(load.power)
        return super().observe_load(load, now)

    def served(self, application: str, status: Status, now: float) -> bool:
        """Take what a frame took, if it was served at the present clocks alone."""
        if now - status.total >= self._acted + SETTLED and status.total > 0:
            self._frames.setdefault(application, []).append(status.total)
        return False

    def pick(self, now: float) -> tuple[Mapping[str, Option], Mapping[str, float] | None]:
        """Return the sub-networks that targets allow, and the clocks."""
        options = {name: self._option(name) for name in self.applications}
        if self.load is None or not options:
            return options, None
        if now - self._acted >= PERIOD:
            self._act(self.load, now)
        return options, self._clocks(self.load)

    def _act(self, load: Load, now: float) -> None:
        attained = self._attained()
        power = sum(self._watts) / len(self._watts) if self._watts else math.nan
        state = self._state(attained, load.temperature, power)
        served = not math.isnan(attained)
        if self._learns and served and self._before is not None:
            value = reward(attained, load.temperature, power, self._limit)
            self._learner.take(self._before, self._action, value, state)
        # Where nothing was served, nothing can be said of the clocks.
        self._before = state if served else None
        if load.temperature >= self._limit:
            self._action = self._cooler()
        elif served:
            choose = self._learner.explore if self._learns else self._learner.best
            self._action = choose(state)
        self._acted, self._frames, self._watts = now, {}, []

    def _cooler(self) -> int:
        cpu, gpu = divmod(self._action, STEPS)
        cooler = [STEPS * c + g for c in range(cpu + 1) for g in range(gpu + 1)]
        # The last one is what runs.
        return self._learner.any_of(cooler[:-1] or cooler)

    def _attained(self) -> float:
        """Return the least share of its rate that an application attained; NaN: no frames."""
        found = [math.nan]
        for name, totals in self._frames.items():
            target: Target | None = self.targets.get(name)
            if target is None or not (target.latency or target.rate):
                continue
            late = float(np.quantile(np.array(totals), target.quantile))
            asked = min(each for each in (target.latency, _period(target)) if each)
            found.append(asked / late)
        return float(np.fmin.reduce(found))

    def _state(self, attained: float, temperature: float, power: float) -> FloatArray:
        cpu, gpu = divmod(self._action, STEPS)
        state = (
            cpu / (STEPS - 1),
            gpu / (STEPS - 1),
            power / _MOST_POWER,
            temperature / _MOST_TEMPERATURE,
            min(attained, 2.0) / 2,
        )
        return np.nan_to_num(np.array(state))

    def _clocks(self, load: Load) -> dict[str, float]:
        """Return the clocks of the action; other domains are the governors'."""
        steps = dict(zip(('cpu', 'gpu'), divmod(self._action, STEPS)))
        found = {}
        for name, offered in settable(load).items():
            step = next((s for kind, s in steps.items() if name.startswith(kind)), None)
            if step is not None:
                found[name] = offered[math.ceil(len(offered) * (step + 1) / STEPS) - 1]
        return found

    def _option(self, name: str) -> Option:
        target = self.targets.get(name)
        if target is None or not self.tables[name].options:
            return self.serving[name]
        accuracies = self.applications[name].accuracies
        every = self.by_accuracy(name)
        usable = (each for each in every if not accuracies[each[0]] < target.accuracy)
        return next(usable, every[-1])


def _period(target: Target) -> float:
    return 1 / target.rate if target.rate else 0.0
