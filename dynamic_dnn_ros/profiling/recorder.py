# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a platform says while something runs: energy, clocks, temperatures, other load."""

from __future__ import annotations

from collections.abc import Sequence
import math
import threading
import time

import numpy as np

from dynamic_dnn_ros.platforms.contract import Platform, PlatformSample
from dynamic_dnn_ros.profiling.timing import Clock

PERIOD = 0.05
"""Seconds between two readings of the power rail."""


def energy(times: Sequence[float], powers: Sequence[float], start: float, end: float) -> float:
    """
    Integrate power over a span by the trapezoidal rule, J.

    Readings inside the span count; before the first and after the last of them their power is
    taken as constant, so that the idle moments on either side do not leak in. Where none lies
    inside, those outside are interpolated. NaN without any reading.

    :param times: of the readings, s, ascending
    :param powers: W; readings that failed are NaN and left out
    """
    known = np.isfinite(powers)
    at, watts = np.asarray(times)[known], np.asarray(powers)[known]
    if not len(at):
        return math.nan
    inside = (at >= start) & (at <= end)
    if inside.any():
        at, watts = at[inside], watts[inside]
    corners = np.concatenate(([start], at[(at > start) & (at < end)], [end]))
    heights = np.interp(corners, at, watts)
    return float(np.sum(np.diff(corners) * (heights[1:] + heights[:-1]) / 2))


class Recorder:
    """
    Reads a platform at the beginning and the end of a context, and its power rail in between.

    The reading thread runs only where there is a rail, so that it disturbs nothing elsewhere. The
    platform must not be used by others inside the context.
    """

    def __init__(
        self, platform: Platform, clock: Clock = time.perf_counter, period: float | None = None
    ) -> None:
        """
        Describe what is read; nothing is before the context is entered.

        :param period: s between two readings of the rail; None: `PERIOD`
        """
        self._platform = platform
        self._clock = clock
        self._period = PERIOD if period is None else period
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._readings: list[tuple[float, PlatformSample]] = []

    def __enter__(self) -> Recorder:
        """Take the first reading and begin to take others."""
        first = self._read()
        if has_rail(first):
            self._thread = threading.Thread(target=self._work, name='recorder', daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the last reading."""
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
        self._read()

    def energy(self, start: float, end: float) -> float:
        """Return the energy of the whole board over a span of the clock, J; NaN without rail."""
        return energy(
            [at for at, _ in self._readings],
            [sample.power.get(sample.total_power_rail, math.nan) for _, sample in self._readings],
            start,
            end,
        )

    @property
    def last(self) -> PlatformSample:
        """Return the last reading."""
        return self._readings[-1][1]

    def foreign_utilisation(self) -> dict[str, float]:
        """Return the load of others since the first reading, 0..1 by domain, where it is known."""
        values: dict[str, list[float]] = {}
        for _, sample in self._readings[1:]:
            for domain in sample.domains:
                if math.isfinite(domain.utilisation_foreign):
                    values.setdefault(domain.name, []).append(domain.utilisation_foreign)
        return {name: float(np.mean(loads)) for name, loads in values.items()}

    def _read(self) -> PlatformSample:
        sample = self._platform.read(self._clock())
        self._readings.append((self._clock(), sample))
        return sample

    def _work(self) -> None:
        self._read()
        while not self._stop.wait(self._period):
            self._read()


def has_rail(sample: PlatformSample) -> bool:
    """Return whether the power of the whole board can be read."""
    return math.isfinite(sample.power.get(sample.total_power_rail, math.nan))
