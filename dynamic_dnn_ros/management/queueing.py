# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
How long a frame waits for its turn where applications take turns on a processor.

Nobody is slowed down; a frame waits for what runs, and for those that are before it. Of the
others that take turns with it, b is busy for the share u_b of the time, by frames of s_b seconds:

    R = sum of u_b s_b / 2            what is left of the frame or stage that runs, in the mean
    mean = R / ((1 - H) (1 - (H + E) / 2))

H is the utilisation of those of a higher priority, E of those of the same one. This is A. Cobham,
Priority assignment in waiting line problems, 1954, without preemption, but for the 2: there
arrivals are random, and cameras are periodic, so that frames find half of the queue before them
(the tests compare with simulation). One of a lower priority holds up only by the rest of its
stage. Waiting is zero for the share of the frames that find the processor idle, exponential
beyond, and never longer than one frame of each of the others; of those of a lower priority the
longest counts alone, unless frames run in batches. Deadlines move frames of one priority against
each other, which changes the mean little; that is left out. Where more is asked for than the
processor can do, all of u_b are scaled to its time in R.

Frames are served as fast as those before them leave time for it: 1 - H - E of the time, and at
least what is left by a higher priority in equal parts, where E is more. A lower priority takes
nothing of it.

Cameras of one rate, or of rates that divide each other, come in the same order for good: one
always meets another, the next one never. So what an application waited, as a multiple of what was
predicted for the operating points in force, is learnt and taken along to others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]


class Waited(NamedTuple):
    """What frames waited for their turns as multiples of what was predicted."""

    mean: float
    at_quantile: float


AS_PREDICTED = Waited(1.0, 1.0)

LEAST_LEFT = 1e-3
"""Share of the time that a processor has left for an application, in place of less."""


@dataclass(frozen=True, eq=False)
class Neighbour:
    """
    Another application that takes turns with the one that waits.

    :param busy: share of the time for which it keeps the processor busy
    :param rate: Hz, of its camera
    :param ahead: 1: of a higher priority; 0: of the same one; -1: of a lower one
    :param stage: share of a frame that it holds others up in the mean, where they may pass at a
        stage: the sum of the squares of its stages' shares
    :param batched: whether its frames run together with those of others, which hold up as well
    """

    busy: FloatArray
    rate: float
    ahead: int
    stage: float = 1.0
    batched: bool = False


@dataclass(frozen=True, eq=False)
class Queue:
    """
    What others make of an application's latency where they take turns; arrays of one shape.

    :param factor: by which those that take no turns with it make service last longer
    :param busy: share of the time for which those that do keep the processor busy
    :param mean: of waiting, s
    :param spread: mean of the exponential distribution that waiting has at its upper end, s
    :param longest: of waiting, s
    :param left: share of the time that those before its frames leave it
    """

    factor: FloatArray | float
    busy: FloatArray
    mean: FloatArray
    spread: FloatArray
    longest: FloatArray
    left: FloatArray

    def at(self, quantile: float) -> FloatArray:
        """Return the waiting that so large a share of the frames does not exceed, s."""
        busy = np.clip(self.busy, 1e-9, 1.0)
        tail = np.maximum(np.log(busy / (1.0 - quantile)), 0.0)
        return np.asarray(np.minimum(self.spread * tail, self.longest))

    def at_places(self, rows: IndexArray, columns: IndexArray) -> Queue:
        """Return the queue of one row in each column."""
        parts = (self.factor, self.busy, self.mean, self.spread, self.longest, self.left)
        return Queue(*(np.asarray(part)[rows, columns] for part in parts))

    @property
    def turn(self) -> FloatArray:
        """Return the factor by which all others together leave less of the processor."""
        return np.asarray(self.factor / self.left)


def queue(
    neighbours: Sequence[Neighbour], factor: FloatArray | float, waited: Waited = AS_PREDICTED
) -> Queue:
    """
    Return what an application waits for.

    :param neighbours: that take turns with it on its processor, at least one
    :param factor: by which others besides make its service last longer
    :param waited: what it waited so far
    """
    nothing = np.zeros_like(neighbours[0].busy)
    residual, longest, longest_lower, total, higher, equal, sharing = (nothing,) * 7
    for each in neighbours:
        seconds = each.busy / max(each.rate, 1e-9)
        total = total + each.busy
        held = seconds * (each.stage if each.ahead < 0 else 1.0)
        residual = residual + 0.5 * each.busy * held
        if each.ahead < 0 and not each.batched:
            longest_lower = np.maximum(longest_lower, held)
        else:
            longest = longest + held
        if each.ahead > 0:
            higher = higher + each.busy
        elif each.ahead == 0:
            equal = equal + each.busy
            sharing = sharing + (each.busy > 0)
    residual = residual / np.maximum(total, 1.0)
    longest = longest + longest_lower
    for_equals = np.maximum(1.0 - higher, 0.0)
    left = np.maximum(for_equals - equal, for_equals / (1.0 + sharing))
    mean = residual / (
        np.maximum(for_equals, LEAST_LEFT) * np.maximum(1.0 - 0.5 * (higher + equal), LEAST_LEFT)
    )
    busy = np.minimum(total, 1.0)
    return Queue(
        factor,
        busy,
        np.minimum(waited.mean * mean, longest),
        waited.at_quantile * mean / np.maximum(busy, 1e-9),
        longest,
        np.maximum(left, LEAST_LEFT),
    )


def stacked(each: Sequence[FloatArray | float | Queue], nothing: FloatArray) -> Queue:
    """
    Return queues below each other, a row each; a factor is a queue in which nobody waits.

    :param nothing: zeros, of the shape of a row
    """
    queues = [
        one if isinstance(one, Queue) else Queue(one, *(nothing,) * 4, nothing + 1.0)
        for one in each
    ]
    return Queue(
        np.stack([np.asarray(one.factor) + nothing for one in queues]),
        np.stack([one.busy for one in queues]),
        np.stack([one.mean for one in queues]),
        np.stack([one.spread for one in queues]),
        np.stack([one.longest for one in queues]),
        np.stack([one.left for one in queues]),
    )
