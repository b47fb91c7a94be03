# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Networks whose bundle has no profile of the board: what a node measures at start."""

from __future__ import annotations

from dataclasses import replace
import random

import numpy as np

from dynamic_dnn_ros.bundles.profile import OperatingPoints, ProfileKind
from dynamic_dnn_ros.platforms.board_model import BoardModel
from dynamic_dnn_ros.simulation.workload import Workload

RUNS = 20
"""Of each sub-network, as an inference node measures at start."""


def without_profile(
    workload: Workload, board: BoardModel, application: str, seed: int
) -> Workload:
    """
    Return a workload whose manager is told what runs at start took, at the highest clocks.

    They are no figures of the model alone: the board's bias and the spread of its frames are in.
    """
    points = workload.points
    highest = points.frequencies == points.frequencies.max(axis=0)
    rows = np.flatnonzero(highest.all(axis=1))
    bias = board.bias(seed, application)
    generator = random.Random(f'{seed}/{application}/start')
    sigma = board.jitter_deviation
    runs = np.array(
        [
            [mean * bias * generator.lognormvariate(-0.5 * sigma**2, sigma) for _ in range(RUNS)]
            for mean in points.latency_mean[rows].tolist()
        ]
    )
    unknown = np.full(len(rows), np.nan)
    measured = OperatingPoints(
        platform=points.platform,
        kind=ProfileKind.MEASURED,
        extrapolated=False,
        domains=(),
        processors=points.processors,
        sub_networks=points.sub_networks,
        sub_network=points.sub_network[rows],
        processor=points.processor[rows],
        frequencies=np.zeros((len(rows), 0)),
        latency_mean=runs.mean(axis=1),
        latency_p50=np.quantile(runs, 0.5, axis=1),
        latency_p95=np.quantile(runs, 0.95, axis=1),
        latency_p99=np.quantile(runs, 0.99, axis=1),
        power=unknown,
        idle_power=unknown,
        energy=unknown,
        description=f'{RUNS} runs of each sub-network at start',
    )
    return replace(workload, points=measured)
