# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What other programs take of the power, at clocks that a plan may choose.

Work that has to be done keeps a domain busy for longer at a lower clock: it takes much the same
power at any. A program that waits by polling keeps it busy at any clock, and takes less at a
lower one. Which of both is learnt where the clock changes while the load is steady: by how much
the busy share follows the clock. Before that, something between both is supposed, so that a lower
clock is tried where it may save something. The power is what the board takes more than predicted.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
import math
from statistics import fmean

import numpy as np

from dynamic_dnn_ros.management.observations import DomainLoad, Load
from dynamic_dnn_ros.management.tables import FloatArray, JointTable

CPU = 'cpu'

STEADY = 0.1
"""Share by which samples of a steady load may differ."""

SAMPLES = 3
"""Samples in a row that tell of a steady load at one clock."""

APART = 0.08
"""Logarithm of the ratio of two clocks from which a change tells something."""

WEIGHT = 0.5
"""Weight of what a change of the clock tells, against all before it."""

SUPPOSED = 0.5
"""How far the share follows the clock before that is known: 0 it stays, 1 it is inverse to it."""

LEAST = 0.25
"""Exponent of the clock below which the power counts as the same at any."""

SETTLING = 2.0
"""Seconds in which what is measured beside the prediction counts to two thirds."""

CHANGE = 0.05
"""Share by which it has to move to be something else, and watts."""


@dataclass(frozen=True)
class Beside:
    """Power of other programs: `watts` at the CPU's `clock`, Hz, to which power it goes by it."""

    watts: float
    clock: float
    exponent: float

    def at_settings(self, joint: JointTable) -> FloatArray | None:
        """Return it at all settings of a table, W; None where that has no such clock."""
        if CPU not in joint.domains:
            return None
        clocks = joint.settings[:, joint.domains.index(CPU)] * 1e3
        return np.asarray(self.watts * (clocks / self.clock) ** self.exponent, np.float64)


class OtherPrograms:
    """Learns what other programs take of the power at which clock of the CPU."""

    def __init__(self) -> None:
        """Begin with nothing known."""
        self._forget()

    def _forget(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES)
        # Clock and busy share of the last steady load.
        self._steady: tuple[float, float] | None = None
        self._following = SUPPOSED
        self._watts = 0.0
        self._clock = 0.0
        self._measured = -math.inf
        self._last: Beside | None = None

    def observe(self, load: Load, predicted: float, settled: bool, now: float) -> None:
        """
        Take a sample of the board.

        :param predicted: power of the plan in force without other programs, W; NaN: not known
        :param settled: whether the board runs on that plan's setting
        """
        cpu = load.domain(CPU)
        if cpu is None or not cpu.granted > 0 or not cpu.utilisation_foreign > STEADY:
            # Nobody else is there, or nobody knows.
            self._forget()
            return
        self._follow(cpu)
        if settled and math.isfinite(load.power - predicted):
            if self._clock:
                self._watts *= (cpu.granted / self._clock) ** (1 - self._following)
            self._clock = cpu.granted
            watts = max(load.power - predicted, 0.0)
            weight = 1 - math.exp(-max(now - self._measured, 0.0) / SETTLING)
            self._watts += weight * (watts - self._watts)
            self._measured = now

    def _follow(self, cpu: DomainLoad) -> None:
        self._samples.append((cpu.granted, cpu.utilisation_foreign))
        clocks, shares = zip(*self._samples)
        steady = max(shares) - min(shares) <= STEADY * max(shares)
        if len(self._samples) < SAMPLES or max(clocks) != min(clocks) or not steady:
            return
        clock, share = clocks[0], fmean(shares)
        if self._steady is not None:
            before, had = self._steady
            ratio = math.log(clock / before)
            if abs(ratio) >= APART:
                told = min(max(-math.log(share / had) / ratio, 0.0), 1.0)
                self._following += WEIGHT * (told - self._following)
        self._steady = clock, share

    @property
    def power(self) -> Beside | None:
        """Return what they take, the same until it changes; None: the same at any clock."""
        exponent = 1 - self._following
        if exponent < LEAST or not self._clock:
            self._last = None
            return None
        last = self._last
        if last is not None and abs(last.exponent - exponent) <= CHANGE:
            known = last.watts * (self._clock / last.clock) ** last.exponent
            if abs(self._watts - known) <= CHANGE * max(known, 1.0):
                return last
        self._last = Beside(self._watts, self._clock, exponent)
        return self._last
