# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Readings of a simulated board as a manager gets them: late, noisy, wrong, or not at all."""

from __future__ import annotations

import random

from dynamic_dnn_ros.management.observations import DomainLoad, Load
from dynamic_dnn_ros.simulation.board import BoardInTime
from dynamic_dnn_ros.simulation.scenario import Sensors


class Sensing:
    """
    Makes samples of the load of a board.

    :param platform: id of the platform
    :param period: seconds between two regular samples
    """

    def __init__(
        self, board: BoardInTime, platform: str, sensors: Sensors, period: float, seed: int
    ) -> None:
        """Begin a measurement at the present time."""
        self._board = board
        self._platform = platform
        self._sensors = sensors
        self._period = period
        self._random = random.Random(f'{seed}/sensors')
        self._since = board.now
        self._own = list(board.own_seconds)
        self._foreign = list(board.foreign_seconds)
        self._energy = list(board.energy)
        self._shares = [(0.0, 0.0)] * len(board.domains)
        self._watts = board.power

    def sample(self, now: float, manager: str) -> Load:
        """Return what a platform node would publish now."""
        board, sensors = self._board, self._sensors
        span = now - self._since
        # A sample soon after the last one, as after a setting, would mean too short a time.
        if span >= 0.5 * self._period:
            self._shares = [
                ((own - a) / span, (foreign - b) / span)
                for own, a, foreign, b in zip(
                    board.own_seconds, self._own, board.foreign_seconds, self._foreign
                )
            ]
            self._watts = tuple((e - b) / span for e, b in zip(board.energy, self._energy))
            self._since = now
            self._own, self._foreign = list(board.own_seconds), list(board.foreign_seconds)
            self._energy = list(board.energy)
        domains = []
        for index, name in enumerate(board.domains):
            offered = board.offered(index)
            low, high = board.requested(name) or (0.0, 0.0)
            own, foreign = self._shares[index]
            domains.append(
                DomainLoad(
                    name=name,
                    available=board.settable(index),
                    limit_minimum=offered[0],
                    limit_maximum=board.limit(index),
                    granted=board.granted[index],
                    utilisation_own=self._read(own, 'load', 1.0),
                    utilisation_foreign=self._read(foreign, 'load', 1.0) if foreign else 0.0,
                    requested_minimum=low,
                    requested_maximum=high,
                )
            )
        held = any(board.requested(name) for name in board.domains)
        hottest = max(board.temperatures().values(), default=board.temperature)
        errors = sensors.temperature
        return Load(
            platform=self._platform,
            boot_id='simulated',
            period=self._period,
            domains=tuple(domains),
            lease_manager=manager if held else '',
            lease_remaining=self._period if held else 0.0,
            setting_manager=manager,
            instance='simulated',
            monotonic_time=now,
            power=self._read(
                self._watts[board.rails.index(board.board.total_power_rail)], 'power'
            ),
            power_budget=board.board.power_mode.budget,
            temperature=hottest + errors.bias + errors.noise * self._random.gauss(0.0, 1.0),
        )

    def latency(self, seconds: float) -> float:
        """Return a latency as the application would measure it, s."""
        return max(self._read(seconds, 'latency'), 1e-6)

    def delay(self, now: float) -> float | None:
        """Return after how many seconds a sample arrives; none: it is lost."""
        sensors = self._sensors
        if any(begin <= now < end for begin, end in sensors.silent):
            return None
        if sensors.drop_out and self._random.random() < sensors.drop_out:
            return None
        late = sensors.delay
        if sensors.delay_jitter:
            late += self._random.gauss(0.0, 1.0) * sensors.delay_jitter
        return max(late, 0.0)

    def _read(self, value: float, sensor: str, highest: float | None = None) -> float:
        errors = getattr(self._sensors, sensor)
        if errors.noise or errors.bias:
            value *= 1.0 + errors.bias + errors.noise * self._random.gauss(0.0, 1.0)
            value = max(value, 0.0)
        return value if highest is None else min(value, highest)
