# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Applications with made-up operating points, for tests of the manager; no ROS needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dynamic_dnn_ros.bundles.profile import OperatingPoints, ProfileKind
from dynamic_dnn_ros.management.observations import (
    Application,
    ApplicationState,
    StageShare,
    Status,
    StatusEvent,
)

GPU = (114.75e6, 318.75e6, 510e6, 803.25e6, 1109.25e6)
"""Some of the frequencies of a Jetson Xavier NX, Hz."""

SUB_NETWORKS = {'s0': (0.004, 0.80), 's1': (0.008, 0.86), 's2': (0.014, 0.90), 's3': (0.022, 0.92)}
"""Latency at the highest clock, s, and accuracy."""


STAGES = (StageShare('first', 0.3, 0.9), StageShare('last', 1.0, 0.1))
"""Of a sub-network with an early exit, where one is asked for."""


def operating_points(
    frequencies: Sequence[float] = GPU,
    sub_networks: dict[str, tuple[float, float]] | None = None,
    domain: str = 'gpu',
    spread: float = 0.03,
    power: bool = True,
) -> OperatingPoints:
    """
    Return a table with one domain: 15 % of the latency does not scale with the clock.

    Without frequencies the table has no domain.
    """
    sub_networks = SUB_NETWORKS if sub_networks is None else sub_networks
    clocks = np.array(frequencies) if frequencies else np.ones(1)
    highest = clocks.max()
    index = np.repeat(np.arange(len(sub_networks)), len(clocks))
    clock = np.tile(clocks, len(sub_networks))
    latency = np.array([s for s, _ in sub_networks.values()])[index]
    mean = latency * (0.15 + 0.85 * highest / clock)
    idle = 3.0 + 1.0 * (clock / highest) ** 2
    running = idle + 1.0 + 7.0 * (clock / highest) ** 2.5
    if not power:
        idle = running = np.full_like(mean, np.nan)
    return OperatingPoints(
        platform='table_simulated',
        kind=ProfileKind.SIMULATED,
        extrapolated=False,
        domains=(domain,) if frequencies else (),
        processors=(domain,),
        sub_networks=tuple(sub_networks),
        sub_network=index,
        processor=np.zeros(len(mean), dtype=np.int64),
        frequencies=clock[:, None] if frequencies else np.zeros((len(mean), 0)),
        latency_mean=mean,
        latency_p50=mean,
        latency_p95=mean * (1 + 1.645 * spread),
        latency_p99=mean * (1 + 2.326 * spread),
        power=running,
        idle_power=idle,
        energy=running * mean,
    )


def on_processors(points: OperatingPoints, *more: str, power: float = 1.0) -> OperatingPoints:
    """
    Return the same points on further processors too.

    :param power: what they take there at work, as a multiple
    """
    places = len(more) + 1
    columns = {
        name: np.concatenate([value] * places)
        for name, value in vars(points).items()
        if isinstance(value, np.ndarray) and len(value) == len(points)
    }
    place = np.repeat(np.arange(places), len(points))
    working = columns['power'] - columns['idle_power']
    columns['power'] = columns['idle_power'] + working * np.where(place, power, 1.0)
    columns['processor'] = place
    return replace(points, processors=(*points.processors, *more), **columns)


def empty_points(sub_networks: Sequence[str] = tuple(SUB_NETWORKS)) -> OperatingPoints:
    """Return the table of an application that has no profile."""
    nothing = np.zeros(0)
    index = np.zeros(0, dtype=np.int64)
    return OperatingPoints(
        'none',
        ProfileKind.NONE,
        False,
        (),
        (),
        tuple(sub_networks),
        index,
        index,
        np.zeros((0, 0)),
        *(nothing,) * 7,
    )


def application(name: str = '/front/inference_node', **fields: Any) -> Application:
    """Return an application that serves its largest sub-network."""
    values: dict[str, Any] = {
        'id': name,
        'instance': f'instance of {name}',
        'started': 1,
        'state': ApplicationState.ACTIVE,
        'operating_points': operating_points(),
        'accuracies': {key: accuracy for key, (_, accuracy) in SUB_NETWORKS.items()},
        'sub_network': 's3',
        'processor': 'gpu',
    }
    values.update(fields)
    return Application(**values)


def served_frame(
    application: str, instance: str, sub_network: str, latency: float, **fields: Any
) -> Status:
    """Return the report of a frame that took nothing but its inference, on the GPU."""
    return Status(
        application,
        instance,
        StatusEvent.SERVED,
        sub_network,
        'gpu',
        preprocessing=0.0,
        inference=latency,
        total=latency,
        **fields,
    )
