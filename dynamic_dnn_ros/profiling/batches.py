# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What several pictures together take, as a multiple of what one takes."""

from __future__ import annotations

from collections.abc import Sequence
import time

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.engines.contract import PreparedSubNetwork
from dynamic_dnn_ros.profiling.timing import Clock

#: Rounds in which all numbers of pictures take turns, so that drift hits all of them alike.
ROUNDS = 20

#: s that a sub-network is measured for at most, once each round has run at least `_LEAST` times.
SECONDS = 4.0
_LEAST = 5

_SEED = 0


def batch_latency(
    prepared: PreparedSubNetwork, batches: Sequence[int], clock: Clock = time.perf_counter
) -> NDArray[np.float64]:
    """
    Measure what 1, 2, ... pictures together take, as multiples of what one takes.

    Multiples are medians over rounds, each against the one picture of its round. Numbers of
    pictures between those that are measured are interpolated; what takes fewer pictures at once
    takes them one after the other.

    :param batches: numbers of pictures to measure, ascending; 1 is measured anyway
    :return: shape (largest of `batches`,), the first is 1
    :raises EngineError: when it fails
    """
    largest = batches[-1]
    generator = np.random.default_rng(_SEED)
    pictures = list(generator.integers(0, 256, (largest, *prepared.sub_network.size, 3), np.uint8))
    together = [n for n in batches if 1 < n <= prepared.largest_batch]
    for number in together:  # memory is taken in the first run
        prepared.run_batch(pictures[:number])
    begun = clock()
    multiples: list[list[float]] = []
    for done in range(ROUNDS):
        if done >= _LEAST and clock() - begun > SECONDS:
            break
        alone = _seconds(prepared, pictures[:1], clock)
        multiples.append(
            [_seconds(prepared, pictures[:number], clock) / alone for number in together]
        )
    measured = [1, *together]
    values = [1.0, *(float(value) for value in np.median(np.array(multiples), axis=0))]
    numbers = np.arange(1, largest + 1)
    found: NDArray[np.float64] = np.interp(numbers, measured, values)
    beyond = numbers > measured[-1]
    found[beyond] = numbers[beyond] * (values[-1] / measured[-1])
    return found


def _seconds(
    prepared: PreparedSubNetwork, pictures: Sequence[NDArray[np.uint8]], clock: Clock
) -> float:
    started = clock()
    prepared.run_batch(pictures)
    return clock() - started
