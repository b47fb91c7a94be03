# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One periodic job on one simulated frequency domain under a governor, in exact time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import math

from dynamic_dnn_ros.platforms.governors import Governor

DURATION = 10.0
"""Seconds that a job runs unless told otherwise; the first half is left to the governor."""

_TOLERANCE = 1e-9  # s


@dataclass(frozen=True)
class Settled:
    """
    How a job ran once the governor had settled.

    `seconds` maps each frequency in Hz to how long it lasted; latencies in s; `choices` are those
    of the whole time.
    """

    seconds: Mapping[float, float]
    latency: float
    latency_maximum: float
    choices: int

    @property
    def frequency(self) -> float:
        """Return the mean over time, Hz."""
        return sum(f * s for f, s in self.seconds.items()) / sum(self.seconds.values())


def settle(
    governor: Governor,
    table: Sequence[float],
    work: float,
    period: float = 1 / 30,
    duration: float = DURATION,
    warm_up: float = DURATION / 2,
    grid: float = 0.0,
    phase: float = 0.0,
    leave_out: bool = False,
) -> Settled:
    """
    Serve the newest frame of a camera, one after the other, beginning at the lowest frequency.

    :param work: of one frame, s at the highest frequency; all of it scales with the clock
    :param warm_up: seconds at the beginning that do not count
    :param grid: s; frames begin and end, and the governor chooses, at multiples of it only,
        as in a simulation of fixed steps; 0 for exact times
    :param phase: when the first frame comes, s
    :param leave_out: choices that the governor says change nothing
    """
    top, current, now = table[-1], table[0], 0.0
    interval = _up(governor.period, grid)
    arrivals = choices = 0
    poll = interval
    waiting: float | None = None
    begun: float | None = None
    remaining = 0.0
    seconds: dict[float, float] = {}
    latencies: list[float] = []
    while now < duration:
        arrival = _up(phase + arrivals * period, grid)
        finish = _up(now + remaining * top / current, grid) if begun is not None else math.inf
        following = min(arrival, poll, finish, duration)
        if following > now:
            governor.observe(following - now, 0.0 if begun is None else 1.0, current)
            if now >= warm_up:
                seconds[current] = seconds.get(current, 0.0) + following - now
            remaining -= (following - now) * current / top
            now = following
        if begun is not None and finish <= now + _TOLERANCE:
            if now >= warm_up:
                latencies.append(now - begun)
            begun = None
        if arrival <= now + _TOLERANCE:
            waiting, arrivals = arrival, arrivals + 1
        if begun is None and waiting is not None:
            begun, waiting, remaining = waiting, None, work
        if poll <= now + _TOLERANCE:
            choices += 1
            current = governor.choose(current, table)
        following = now
        if leave_out:
            following += governor.unchanged_for(current, 0.0 if begun is None else 1.0, table)
        passed = math.floor((now + _TOLERANCE) / interval)
        poll = max((passed + 1) * interval, _up(following, interval))
    return Settled(
        seconds=seconds,
        latency=sum(latencies) / len(latencies) if latencies else math.nan,
        latency_maximum=max(latencies, default=math.nan),
        choices=choices,
    )


def _up(time: float, grid: float) -> float:
    if grid == 0.0 or time == math.inf:
        return time
    return math.ceil((time - _TOLERANCE) / grid) * grid
