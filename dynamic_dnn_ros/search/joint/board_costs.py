# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a picture costs on a board: time and energy over the clocks, by the board's model."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
from itertools import product
import math

from dynamic_dnn_ros.platforms.board_model import BoardModel, NetworkCost
from dynamic_dnn_ros.platforms.simulated import SimulatedPlatform

Setting = dict[str, float]
"""A frequency, Hz, of each domain."""

#: Seconds for which governors are given frames, and those of them that count.
_SETTLING, _COUNTED = 4.0, 2.0
_STEP = 0.05


@dataclasses.dataclass(frozen=True)
class Spent:
    """
    What one picture takes.

    :param time: mean, s
    :param energy: of the whole board, J
    """

    time: float
    energy: float


class BoardCosts:
    """A board on which pictures come at a rate, or one after the other."""

    def __init__(self, board: BoardModel, processor: str = '', rate: float = 0.0) -> None:
        """
        Take a board in its power mode.

        :param processor: that networks run on; empty: the board's first
        :param rate: pictures a second; while none is in work the board idles at the same clocks.
            0: one after the other
        """
        self.board = board
        self.processor = processor or board.processors[0]
        self.rate = rate
        self._limits = board.limits()

    @property
    def domains(self) -> tuple[str, ...]:
        """Return the names of the frequency domains."""
        return tuple(row.name for row in self._limits)

    @property
    def steps(self) -> tuple[int, ...]:
        """Return how many frequencies each domain has."""
        return tuple(len(row.available) for row in self._limits)

    def setting(self, positions: Sequence[int]) -> Setting:
        """Return the setting of a position in each domain's table, 0 the lowest."""
        return {row.name: row.available[at] for row, at in zip(self._limits, positions)}

    def latency(self, cost: NetworkCost, setting: Setting) -> float:
        """Return what a picture that takes all of a network takes, s."""
        return self.board.latency(cost, self.processor, setting)

    def at(self, cost: NetworkCost, work: float, setting: Setting) -> Spent:
        """
        Return what a mean picture takes.

        :param cost: of the largest path
        :param work: of the mean picture, as a share of that
        """
        parts = self.board.parts(cost, self.processor, setting)
        rail = self.board.total_power_rail
        time = parts.total * work
        running = self._power(parts.total, parts.activity(), setting)
        idle = 0.0
        if self.rate:
            idle = max(1.0 / self.rate - time, 0.0) * self.board.power(setting, {})[rail]
        return Spent(time, running * time + idle)

    def best(self, cost: NetworkCost, work: float, limit: float) -> Setting:
        """
        Return the setting with the least energy for a mean picture.

        :param limit: of the time that a picture takes that takes all of the network, s; where no
            setting keeps it, the fastest is returned
        """
        settings = [self.setting(each) for each in product(*map(range, self.steps))]
        latencies = [self.latency(cost, setting) for setting in settings]
        kept = [s for s, latency in zip(settings, latencies) if latency <= limit]
        if not kept:
            return settings[latencies.index(min(latencies))]
        return min(kept, key=lambda setting: self.at(cost, work, setting).energy)

    def governed(self, cost: NetworkCost, work: float) -> Spent:
        """
        Return what a mean picture takes where nobody sets clocks, but the board's governors do.

        They see the load of such pictures for some seconds, at the rate. Then the clocks that
        they choose count, each for its share of the time.
        """
        platform = SimulatedPlatform(self.board, 0.0)
        busy = dict.fromkeys(self.domains, 0.0)
        now = frames = 0.0
        found: list[Spent] = []
        while now < _SETTLING:
            granted = {row.name: row.granted for row in platform.read(now).domains}
            spent = self.at(cost, work, granted)
            if now >= _SETTLING - _COUNTED:
                found.append(spent)
            number = _STEP * min(self.rate or math.inf, 1.0 / spent.time)
            frames += number
            parts = self.board.parts(cost, self.processor, granted)
            for domain, seconds in parts.busy().items():
                busy[domain] = busy.get(domain, 0.0) + seconds * work * number
            now += _STEP
            platform.observe(now, 'joint', 'joint', self.processor, busy, round(frames))
        return Spent(
            sum(each.time for each in found) / len(found),
            sum(each.energy for each in found) / len(found),
        )

    def _power(self, latency: float, activity: dict[str, float], setting: Setting) -> float:
        shares = {
            domain: seconds / latency / self.board.units(domain)
            for domain, seconds in activity.items()
        }
        return self.board.power(setting, shares)[self.board.total_power_rail]
