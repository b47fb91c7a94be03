# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A short measurement at start, for a platform that the bundle has no profile of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import time

import numpy as np

from dynamic_dnn_ros.bundles.profile import OperatingPoints, ProfileKind
from dynamic_dnn_ros.engines.contract import PreparedSubNetwork

RUNS = 20


def measure(
    platform: str,
    prepared: Sequence[PreparedSubNetwork],
    cancelled: Callable[[], bool] = lambda: False,
) -> OperatingPoints | None:
    """
    Measure each sub-network at the present clocks.

    The points name no frequency domain: what they would cost at other clocks is not known, so a
    manager chooses among the sub-networks and leaves the clocks alone. Preprocessing is not in
    them; the manager's estimate of the slow-down takes it in. No run is discarded: the
    sub-networks are warm.

    :param platform: id of the platform this runs on
    :param prepared: sub-networks that are ready, in the order of their bundle
    :param cancelled: asked before each run; once it says so, there is no result
    :return: a point for each sub-network; None where it was cancelled
    """
    columns = {name: np.empty(len(prepared)) for name in ('mean', 'p50', 'p95', 'p99')}
    for row, sub_network in enumerate(prepared):
        side = sub_network.sub_network.resolution
        picture = np.full((side, side, 3), 127, np.uint8)
        latencies = np.empty(RUNS)
        for run in range(RUNS):
            if cancelled():
                return None
            started = time.perf_counter()
            sub_network.run(picture)
            latencies[run] = time.perf_counter() - started
        columns['mean'][row] = latencies.mean()
        for quantile in (50, 95, 99):
            columns[f'p{quantile}'][row] = np.percentile(latencies, quantile)
    processors = tuple(dict.fromkeys(entry.processor for entry in prepared))
    unknown = np.full(len(prepared), np.nan)
    return OperatingPoints(
        platform=platform,
        kind=ProfileKind.MEASURED,
        extrapolated=False,
        domains=(),
        processors=processors,
        sub_networks=tuple(entry.sub_network.id for entry in prepared),
        sub_network=np.arange(len(prepared)),
        processor=np.array([processors.index(entry.processor) for entry in prepared], np.int64),
        frequencies=np.empty((len(prepared), 0)),
        latency_mean=columns['mean'],
        latency_p50=columns['p50'],
        latency_p95=columns['p95'],
        latency_p99=columns['p99'],
        power=unknown,
        idle_power=unknown,
        energy=unknown,
        description=f'{RUNS} runs each at start, at the clocks of that moment',
    )
