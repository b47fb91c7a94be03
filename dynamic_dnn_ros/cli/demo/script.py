# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The targets that the demo sends, made to measure for the bundle that is served."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

from dynamic_dnn_ros.management.targets import Objective

QUANTILE = 0.95
SENDER = 'dynamic-dnn demo'


_WORDS = {
    Objective.MINIMUM_ENERGY: 'least energy',
    Objective.MAXIMUM_ACCURACY: 'most accurate',
    Objective.MINIMUM_LATENCY: 'fastest',
}


@dataclass(frozen=True)
class Goal:
    """
    What is asked of the application; a limit of 0 is none.

    `latency` in seconds at quantile 0.95, `accuracy` in 0..1, called `quality`. `clear` withdraws
    the target.
    """

    latency: float = 0.0
    accuracy: float = 0.0
    objective: Objective = Objective.MINIMUM_ENERGY
    clear: bool = False
    quality: str = 'accuracy'

    @property
    def text(self) -> str:
        """Return the goal in a few words."""
        if self.clear:
            return 'no target'
        parts = []
        if self.latency:
            parts.append(f'p95 ≤ {self.latency * 1e3:.3g} ms')
        if self.accuracy:
            parts.append(f'{self.quality} ≥ {self.accuracy:.1%}')
        return ', '.join([*parts, _WORDS[self.objective]])


@dataclass(frozen=True)
class Phase:
    """A goal and for how long it holds, seconds."""

    name: str
    goal: Goal
    seconds: float
    possible: bool = True


@dataclass(frozen=True)
class Candidate:
    """A sub-network: its accuracy and its latency (0.95 quantile) at the fastest setting, s."""

    sub_network: str
    accuracy: float
    latency: float


def write_script(
    candidates: Sequence[Candidate], seconds: float, cameras: int = 1, quality: str = 'accuracy'
) -> list[Phase]:
    """
    Return phases that make the manager use what the bundle offers.

    :param candidates: the bundle's sub-networks on this platform
    :param seconds: length of all phases together
    :param cameras: that take turns: a frame may have to wait for one of each
    :param quality: what accuracy is called
    :raises ValueError: when there are no candidates with a finite latency
    """
    usable = [candidate for candidate in candidates if math.isfinite(candidate.latency)]
    if not usable:
        raise ValueError(
            'the application offers no operating points with a latency. Give its bundle a '
            'profile for this platform (`dynamic-dnn profile`).'
        )
    fastest = min(candidate.latency for candidate in usable)
    slowest = max(candidate.latency for candidate in usable)
    accuracies = sorted(candidate.accuracy for candidate in usable)
    # Above what the best needs even at lower clocks; and out of the reach of the slowest.
    relaxed = _rounded_up(1.5 * slowest * cameras)
    tight = _rounded_up(math.sqrt(fastest * slowest) * 1.1 * cameras)
    accurate = math.floor(accuracies[-2:][0] * 1e3) / 1e3
    impossible = _rounded_up(0.3 * fastest)
    goals = [
        ('relaxed', Goal(latency=relaxed, objective=Objective.MAXIMUM_ACCURACY), True),
        ('tight', Goal(latency=tight, objective=Objective.MAXIMUM_ACCURACY), True),
        ('accurate', Goal(latency=relaxed, accuracy=accurate, quality=quality), True),
        ('frugal', Goal(latency=relaxed), True),
        (
            'impossible',
            Goal(latency=impossible, accuracy=accuracies[-1], quality=quality),
            False,
        ),
        ('withdrawn', Goal(clear=True), True),
    ]
    return [Phase(name, goal, seconds / len(goals), possible) for name, goal, possible in goals]


def goals_of_others(script: Sequence[Phase], cameras: int) -> list[Goal]:
    """Return what the other cameras are asked for all the time, of what a script asks in turn."""
    lasting = [phase.goal for phase in script if phase.possible and not phase.goal.clear]
    return [lasting[number % len(lasting)] for number in range(cameras - 1)]


def _rounded_up(value: float) -> float:
    """Round up to two significant digits, which read well."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.ceil(value / unit - 1e-9) * unit
