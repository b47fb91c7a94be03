# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How the latency of one sub-network is taken, at start and in a profile alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import time

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.engines.contract import PreparedSubNetwork
from dynamic_dnn_ros.pictures.input import Preprocessing
from dynamic_dnn_ros.pictures.scaling import RawPicture, fitted

Latencies = NDArray[np.float64]
Clock = Callable[[], float]

_SEED = 0


@dataclass(frozen=True)
class Distribution:
    """The mean and quantiles of latencies, s."""

    mean: float
    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, latencies: Latencies) -> Distribution:
        """Summarise latencies; every one of them counts."""
        return cls(float(latencies.mean()), *map(float, np.percentile(latencies, (50, 95, 99))))


def workload(
    sub_network: PreparedSubNetwork,
    preprocessing: Preprocessing | None = None,
    size: tuple[int, int] | None = None,
) -> Callable[[], object]:
    """
    Return what is timed: one picture of seeded noise through a sub-network.

    Without a size the picture is already of the sub-network's own, so nothing is scaled,
    as in the measurement at start: the manager's estimate of the slow-down takes in what the
    scaling of an application's own frames costs. With a size it is a frame of a camera, and its
    preprocessing is in the latency, as in a node.

    :param preprocessing: of the bundle; needed with a size
    :param size: width and height of the camera's frames, pixels
    """
    generator = np.random.default_rng(_SEED)
    input_size = sub_network.sub_network.size
    if size is None or preprocessing is None:
        picture = generator.integers(0, 256, (*input_size, 3), np.uint8)
        return lambda: sub_network.run(picture)
    width, height = size
    pixels = generator.integers(0, 256, (height, width, 3), np.uint8)
    frame = RawPicture('rgb8', width, height, width * 3, pixels.tobytes())
    return lambda: sub_network.run(fitted(frame, input_size, preprocessing)[0])


def timed_runs(
    run: Callable[[], object],
    enough: Callable[[int, float], bool],
    clock: Clock = time.perf_counter,
) -> Latencies:
    """
    Run until it is enough, and return the seconds of each run; none is discarded.

    :param enough: asked before each run, given the number of runs and the seconds they took
    """
    latencies: list[float] = []
    first = clock()
    while not enough(len(latencies), clock() - first):
        started = clock()
        run()
        latencies.append(clock() - started)
    return np.array(latencies)
