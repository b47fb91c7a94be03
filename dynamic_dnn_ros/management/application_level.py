# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The application level: move one application along its sub-networks, clocks left as they are.

It answers to single frames between two decisions of the resource level. A frame that is late
beyond what spread explains is taken at its word: were all frames to be as slow from now on, which
sub-network on the same processor would still meet the target? Where there is none, the clocks
have to mend it: the resource level is told to allow for a slow-down of that much.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
import math

import numpy as np

from dynamic_dnn_ros.management.assessment import Demand, assess, objective_values
from dynamic_dnn_ros.management.narrowing import within
from dynamic_dnn_ros.management.tables import FIGURES, ApplicationTable

LONGEST_DWELL = 60.0
"""Seconds up to which the dwell grows when moves turn out to have been needless."""


@dataclass(frozen=True)
class Reaction:
    """The option to move to, or the slow-down that the clocks are to allow for."""

    option: int | None = None
    suspected: float | None = None


class ApplicationLevel:
    """
    React to the frames of one application.

    :param dwell: seconds between two moves; it doubles with each move after which the estimate
        of the slow-down had not stepped, and returns to this once it had
    """

    def __init__(self, dwell: float) -> None:
        """Begin free to move."""
        self._shortest = dwell
        self._dwell = dwell
        self._moved = -math.inf
        self._answered = True

    def confirm(self) -> None:
        """Note that the slow-down has stepped: the last move was right."""
        self._answered = True
        self._dwell = self._shortest

    def react(
        self,
        table: ApplicationTable,
        row: int,
        option: int,
        demand: Demand,
        ratio: float,
        total: float,
        now: float,
    ) -> Reaction | None:
        """
        Return what a frame gives reason for, none to leave everything as it is.

        :param row: row of the table that the clocks are at
        :param option: option that served the frame
        :param ratio: the frame's measured over profiled mean latency
        :param total: its latency, s
        """
        target = demand.target
        late = target.latency > 0 and total > target.latency
        if not late or not demand.slow_down.is_outlier(ratio) or now - self._moved < self._dwell:
            return None
        points = dict(zip(FIGURES, table.figures[:, :, row]))
        supposed = replace(demand, slow_down=demand.slow_down.supposing(ratio))
        # A frame that met those of others was held up for all of its time, not for their share
        # of it; to add that share again would answer each of these frames by a move.
        found = assess(supposed, points, table.accuracy, 1.0, margin=0.0)
        same = np.array([p == table.options[option][1] for p in table.processors])
        mends = same & demand.usable & (found.shortfall == 0)
        if mends[option]:
            return None
        if not self._answered:
            self._dwell = min(2 * self._dwell, LONGEST_DWELL)
        self._moved = now
        self._answered = False
        if not mends.any():
            return Reaction(suspected=ratio)
        values = np.where(mends, objective_values(supposed, found, found.added_power), np.inf)
        best = values.min()
        mends &= values <= best + within(target.objective) * abs(best)
        return Reaction(int(np.where(mends, found.added_power, np.inf).argmin()))
