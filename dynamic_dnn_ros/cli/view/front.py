# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The sub-networks of an application as points: what each is worth, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.cli.demo.run_record import RunRecord
from dynamic_dnn_ros.cli.demo.summary import latency_quantile
from dynamic_dnn_ros.msg import Application


@dataclass(frozen=True)
class FrontPoint:
    """
    A sub-network at its best: NaN for what is not known.

    `accuracy` in 0..1; `latency`, s, the 0.95 quantile at its fastest setting; `energy`, J for one
    inference, at its most frugal one.
    """

    sub_network: str
    accuracy: float
    latency: float
    energy: float


def front_of(message: Application) -> list[FrontPoint]:
    """Return a point for each sub-network, in the order of the bundle."""
    points = message.operating_points
    owner = np.asarray(points.sub_network, dtype=np.int64)
    latencies = np.asarray(points.latency_p95, dtype=np.float64)
    energies = np.asarray(points.energy, dtype=np.float64)
    return [
        FrontPoint(
            sub_network.id,
            float(sub_network.accuracy),
            _least(latencies, owner, index),
            _least(energies, owner, index),
        )
        for index, sub_network in enumerate(message.sub_networks)
    ]


def learnt_latencies(run: RunRecord, quantile: float) -> dict[str, float]:
    """Return the latency of each sub-network that was seen to serve, s, over what is kept."""
    names = {frame.sub_network for frame in run.frames}
    return {
        name: latency_quantile([f for f in run.frames if f.sub_network == name], quantile)
        for name in names
    }


def _least(values: NDArray[np.float64], owner: NDArray[np.int64], index: int) -> float:
    if len(values) != len(owner):
        return math.nan  # a table that is not whole says nothing
    own = values[owner == index]
    own = own[np.isfinite(own)]
    return float(own.min()) if own.size else math.nan
