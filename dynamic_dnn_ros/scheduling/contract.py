# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What a scheduler is told, and what it decides.

A scheduler is asked before each stage that a processor runs. The same objects decide on a robot
and in simulation. They know no clock and no network: they are told the time, in seconds of one
monotonic clock, and what each stage is expected to take.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
import math
from typing import NamedTuple


@dataclass(frozen=True, eq=False)
class Work:
    """
    What a frame asks of the processor: the stages of a sub-network, and what they take.

    Frames whose work is the same object may run together.

    :param key: names the sub-network and its processor
    :param times: s that each stage is expected to take, by the number of frames that run
        together: `times[stage][frames - 1]`. All rows are as long: the largest batch.
    :param reached: share of the frames that get to each stage, 0..1; the first is 1
    :param onward: of each stage, to which later ones what share of the frames that ran it goes
        on; empty: to the next one in the list, as `reached` says
    """

    key: Hashable
    times: tuple[tuple[float, ...], ...]
    reached: tuple[float, ...]
    onward: tuple[Mapping[int, float], ...] = ()
    _left: dict[int, list[float]] = field(default_factory=dict, init=False, repr=False)

    @property
    def stages(self) -> int:
        """Return the number of stages."""
        return len(self.times)

    @property
    def largest_batch(self) -> int:
        """Return how many frames run together at most."""
        return len(self.times[0])

    @cached_property
    def left_alone(self) -> Sequence[float]:
        """Return what is expected to be left of one frame before each stage, s; 0 at the end."""
        return [self.remaining(stage) for stage in range(self.stages + 1)]

    def remaining(self, stage: int, frames: int = 1) -> float:
        """
        Return what is expected to be left before a stage, s; early exits count by their shares.

        :param stage: that runs next; the number of stages: nothing is left
        :param frames: that run together
        """
        left = self._left.get(frames)
        if left is None:  # schedulers ask for it of each job before each stage
            left = self._left[frames] = self._expected(frames)
        return left[stage]

    def _expected(self, frames: int) -> list[float]:
        if self.onward:
            left = [0.0] * (self.stages + 1)
            for stage in reversed(range(self.stages)):
                behind = sum(share * left[each] for each, share in self.onward[stage].items())
                left[stage] = self.times[stage][frames - 1] + behind
            return left
        return [
            sum(
                row[frames - 1] * share / (here or 1.0)
                for row, share in zip(self.times[first:], self.reached[first:])
            )
            for first, here in enumerate((*self.reached, 1.0))
        ]

    def longest(self, stage: int, frames: int = 1) -> float:
        """Return what is left before a stage where no frame leaves early, s."""
        if not self.onward:
            return sum(row[frames - 1] for row in self.times[stage:])
        longest = [0.0] * (self.stages + 1)
        for each in reversed(range(stage, self.stages)):
            behind = max((longest[other] for other in self.onward[each]), default=0.0)
            longest[each] = self.times[each][frames - 1] + behind
        return longest[stage]


@dataclass(eq=False)
class Job:
    """
    One frame that waits, or is parked between two stages. Whoever runs it keeps it up to date.

    :param stream: whose frame it is
    :param arrival: s
    :param deadline: s, when its result has to be there; infinite: it has none
    :param priority: 0..255, the higher is served first when not all can be on time
    :param droppable: whether it may be given up once it is late
    :param stage: that runs next; 0: it has not begun
    :param spent: s that it has run
    :param last_run: s, when its last stage ended; its arrival where none has
    :param pace: what its stages took so far, as a multiple of what was expected
    """

    stream: str
    work: Work
    arrival: float
    deadline: float = math.inf
    priority: int = 0
    droppable: bool = False
    stage: int = 0
    spent: float = 0.0
    last_run: float = -math.inf
    pace: float = 1.0

    def __post_init__(self) -> None:
        """Count as idle since the arrival."""
        self.last_run = max(self.last_run, self.arrival)

    @property
    def begun(self) -> bool:
        """Tell whether it is parked between two stages."""
        return self.stage > 0

    @property
    def remaining(self) -> float:
        """Return what is expected to be left of it alone, s."""
        return self.pace * self.work.left_alone[self.stage]

    def slack(self, now: float) -> float:
        """Return what it can still wait and be on time, s; negative: it will be late."""
        return self.deadline - now - self.pace * self.work.left_alone[self.stage]


class Run(NamedTuple):
    """Run the next stage of these jobs together: of one work, at one stage."""

    jobs: tuple[Job, ...]


class Drop(NamedTuple):
    """Give these jobs up: they are droppable, and can no longer be on time."""

    jobs: tuple[Job, ...]


class Wait(NamedTuple):
    """Run nothing until a time, s, or until something arrives."""

    until: float = math.inf


Decision = Run | Drop | Wait


class Scheduler(ABC):
    """
    Decides which stage a processor runs next.

    One object decides for one processor. It may remember what it saw, but not the jobs for longer
    than they are offered.
    """

    #: Name by which a user asks for it.
    name: str

    @abstractmethod
    def next(self, now: float, jobs: Sequence[Job]) -> Decision:
        """
        Decide what the processor does now.

        :param now: s
        :param jobs: the frame of each stream that is next, begun or not, at least one, in the
            order in which they arrived. Frames of a stream behind it are not offered before it
            has left: a stream is first in, first out.
        :return: a decision on some of these jobs. `Wait` only where running something now would
            be worse than waiting; it must not wait for ever while a job is offered.
        """
