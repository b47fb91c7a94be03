# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A short measurement at start, for a platform that the bundle has no profile of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import astuple

import numpy as np

from dynamic_dnn_ros.bundles.profile import OperatingPoints, ProfileKind
from dynamic_dnn_ros.engines.contract import PreparedSubNetwork
from dynamic_dnn_ros.platforms.hardware import hardware_name
from dynamic_dnn_ros.profiling.timing import Distribution, timed_runs, workload

RUNS = 20


def measure(
    platform: str,
    prepared: Iterable[PreparedSubNetwork],
    cancelled: Callable[[], bool] = lambda: False,
) -> OperatingPoints | None:
    """
    Measure each sub-network at the present clocks.

    The points name no frequency domain: what they would cost at other clocks is not known, so a
    manager chooses among the sub-networks and leaves the clocks alone. Pictures are of the
    sub-network's own size, so preprocessing is not in the latencies; the manager's estimate
    of the slow-down takes it in. No run is discarded: the sub-networks are warm.

    :param platform: id of the platform this runs on
    :param prepared: sub-networks in the order of their bundle; each has to be ready for its turn
    :param cancelled: asked before each run; once it says so, there is no result
    :return: a point for each sub-network; None where it was cancelled, or there was none
    """
    rows = []
    measured: list[tuple[str, str]] = []
    for sub_network in prepared:
        latencies = timed_runs(workload(sub_network), lambda runs, _: runs >= RUNS or cancelled())
        if len(latencies) < RUNS:
            return None
        rows.append(astuple(Distribution.of(latencies)))
        measured.append((sub_network.sub_network.id, sub_network.processor))
    if cancelled() or not rows:
        return None
    mean, p50, p95, p99 = np.array(rows).T
    processors = tuple(dict.fromkeys(processor for _, processor in measured))
    unknown = np.full(len(rows), np.nan)
    return OperatingPoints(
        platform=platform,
        kind=ProfileKind.MEASURED,
        extrapolated=False,
        domains=(),
        processors=processors,
        sub_networks=tuple(identifier for identifier, _ in measured),
        sub_network=np.arange(len(rows)),
        processor=np.array([processors.index(name) for _, name in measured], np.int64),
        frequencies=np.empty((len(rows), 0)),
        latency_mean=mean,
        latency_p50=p50,
        latency_p95=p95,
        latency_p99=p99,
        power=unknown,
        idle_power=unknown,
        energy=unknown,
        description=f'{RUNS} runs each at start, at the clocks of that moment',
        hardware=hardware_name(),
    )
