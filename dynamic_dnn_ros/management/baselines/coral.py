# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A search as CORAL's, after A. Nabhaan et al., Covariance-Guided Resource Adaptive Learning, 2026.

(arXiv 2603.14577.) It knows no profile. Distance correlation (G. Szekely et al., Measuring and
testing dependence by correlation of distances, Annals of Statistics 2007) between what was set
and what was measured says which of the sub-networks and clocks matter for power, and which for
latency. Written from the paper's abstract alone, so steps and numbers are ours. It chooses
sub-networks where the paper has levels of concurrency; its target is a latency at a quantile.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.management.baselines.probing import Probing
from dynamic_dnn_ros.management.baselines.search_space import Place, SearchSpace
from dynamic_dnn_ros.management.manager import ManagerSettings

FloatArray = NDArray[np.float64]

FIRST_STEP, LEAST_STEP, LONGEST_STEP = 0.4, 0.08, 0.5
"""Shares of an axis by which the one that matters most moves."""

LONGER, SHORTER = 1.2, 0.6
"""Factors of the step after a probe that was the best so far, and after another one."""

SCATTER = 0.15
"""Deviation that is added to each step, as a share of it."""

LATEST = 4
"""Probes that say how much of a step has to serve latency."""

ATTEMPTS = 30
"""Steps that are drawn, each more scattered, until one leads to a place not tried yet."""

_MOST_EXCESS = 10.0
"""Excess that counts for applications that served nothing at all."""


class Coral(Probing):
    """Goes where power falls while targets are kept, else where latency falls."""

    def __init__(self, instance: str = 'coral', settings: ManagerSettings | None = None) -> None:
        """Begin with nothing tried."""
        super().__init__(instance, settings)
        self._random = np.random.default_rng(0)
        self._step = FIRST_STEP

    def propose(self, space: SearchSpace) -> Place | None:
        """Return the next place: a step from the best one, longest where it matters most."""
        places = [probe.place for probe in self.tried]
        if len(places) == 1:
            self._step = FIRST_STEP
            middle = space.nearest(np.full(len(space.shape), 0.5))
            return middle if middle not in places else None
        excesses = [min(self.excess(probe), _MOST_EXCESS) for probe in self.tried]
        values = [self.value(probe) for probe in self.tried]
        kept = self.kept()
        best = kept[0] if kept else self.least_late()
        grown = LONGER if best is self.tried[-1] else SHORTER
        self._step = float(np.clip(self._step * grown, LEAST_STEP, LONGEST_STEP))
        shares = space.shares(places)
        networks = np.arange(len(space.shape)) < len(space.options)
        # Such a correlation has no sign; that of clocks and sizes of networks is no secret.
        late = np.where(networks, 1.0, -1.0) * _influence(shares, np.log(2.0 + np.array(excesses)))
        goal = _influence(shares, np.array(values))
        if not self.saves_energy():
            goal = goal * _slopes(shares, np.array(values))
        # The more of the latest probes were late, the more what hastens counts beside what saves.
        missed = [excess > 0.0 for excess in excesses[-LATEST:]]
        pressure = sum(missed) / len(missed) if kept else 1.0
        way = _unit(-(1.0 - pressure) * _unit(goal) - pressure * _unit(late))
        if not way.any():
            way = _unit(self._random.normal(size=len(space.shape)))
        begin, longest = space.shares([best.place])[0], np.array(space.shape) - 1
        for attempt in range(ATTEMPTS):
            scatter = self._random.normal(size=len(way)) * SCATTER * (1 + attempt)
            # Rounded at random, as else a short axis would never move.
            rounding = (self._random.random(len(way)) - 0.5) / np.maximum(longest, 1)
            place = space.nearest(begin + self._step * (way + scatter) + rounding)
            if place not in places:
                return place
        return None


def _influence(settings: FloatArray, measured: FloatArray) -> FloatArray:
    """Return the distance correlation of each axis with a figure; settings (probes, axes)."""
    return np.array([distance_correlation(column, measured) for column in settings.T])


def _slopes(settings: FloatArray, measured: FloatArray) -> FloatArray:
    """Return the sign of the slope of a figure over each axis."""
    signs: FloatArray = np.sign(
        (settings - settings.mean(axis=0)).T @ (measured - measured.mean())
    )
    return signs


def _unit(way: FloatArray) -> FloatArray:
    longest = np.abs(way).max(initial=0.0)
    return way / longest if longest > 0.0 else way


def distance_correlation(first: FloatArray, second: FloatArray) -> float:
    """Return how much two figures depend on each other, 0..1; 0 where one never changes."""
    one, other = _centred(first), _centred(second)
    variances = (one**2).mean() * (other**2).mean()
    if not variances > 0.0:
        return 0.0
    return float(np.sqrt(max((one * other).mean(), 0.0) / np.sqrt(variances)))


def _centred(values: FloatArray) -> FloatArray:
    distances = np.abs(values[:, None] - values[None, :])
    mean = distances.mean(axis=0)
    centred: FloatArray = distances - mean[None, :] - mean[:, None] + distances.mean()
    return centred
