# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Networks timed in turns on the same pictures, and which of them is the fastest as accurate."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
import itertools
import time
from typing import TypeVar

import numpy as np

Said = TypeVar('Said')

#: Pictures that a network runs untimed as its turn begins: the caches hold another one's weights.
_WARM_UP = 5


def timed_in_turns(
    ways: Mapping[str, Callable[[int], Said]],
    pictures: int,
    runs: int,
    block: int,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[dict[str, list[float]], dict[str, list[Said]]]:
    """
    Return seconds for all pictures, one value a run, and what was said of each, by name.

    Blocks of pictures in turns, in an order drawn anew, so that all have the same machine.

    :param ways: each takes the number of a picture, from 0
    :param block: pictures that one of them runs before another one has its turn
    """
    generator = np.random.default_rng(0)
    times = {name: [0.0] * runs for name in ways}
    said: dict[str, list[Said]] = {name: [] for name in ways}
    for number, first in itertools.product(range(runs), range(0, pictures, block)):
        some = range(first, min(first + block, pictures))
        for name in map(str, generator.permutation(list(ways))):
            way = ways[name]
            for index in some[:_WARM_UP]:
                way(index)
            begun = clock()
            found = [way(index) for index in some]
            times[name][number] += clock() - begun
            if number == 0:
                said[name] += found
    return times, said


def fastest_as_accurate(
    others: Collection[str],
    accuracy: float,
    times: Mapping[str, list[float]],
    right: Mapping[str, float],
    otherwise: str,
) -> str:
    """Return the fastest of some that are at least so accurate; `otherwise` where none is."""
    fit = [name for name in others if right[name] >= accuracy]
    return min(fit, key=lambda name: float(np.median(times[name])), default=otherwise)
