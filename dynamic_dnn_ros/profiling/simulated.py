# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The profile of a bundle on a board that is only a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.profile import OperatingPoints, ProfileKind
from dynamic_dnn_ros.platforms.board_model import BoardModel, MeasuredNetwork, NetworkCost


def network_cost(sub_network: SubNetwork) -> NetworkCost:
    """Return what the latency of a sub-network depends on."""
    return NetworkCost(
        multiply_adds=sub_network.multiply_adds,
        layers=sub_network.layers,
        parameters=sub_network.parameters,
    )


def simulated_profile(
    board: BoardModel, platform: str, sub_networks: Sequence[SubNetwork]
) -> OperatingPoints:
    """
    Compute the operating points of sub-networks at every setting of a board's power mode.

    The board model alone, without the bias and the contention of a simulated platform, which a
    manager has to find out. Latency quantiles are those of the model's jitter; the profile is
    marked as extrapolated where any sub-network lies outside the model's calibration.

    :param platform: id of the platform that the profile is for
    """
    return profile_of_costs(
        board, platform, {each.id: network_cost(each) for each in sub_networks}
    )


def profile_of_costs(
    board: BoardModel, platform: str, costs: Mapping[str, NetworkCost | MeasuredNetwork]
) -> OperatingPoints:
    """Compute the same of networks by their costs, or as they were measured; by their ids."""
    domains = tuple(row.name for row in board.limits())
    settings = [
        dict(zip(domains, frequencies))
        for frequencies in product(*(row.available for row in board.limits()))
    ]
    idle = [board.power(setting, {})[board.total_power_rail] for setting in settings]
    rows = []
    for index, cost in enumerate(costs.values()):
        for processor, name in enumerate(board.processors):
            for setting, idle_power in zip(settings, idle):
                parts = board.parts(cost, name, setting)
                latency = parts.total
                utilisation = {
                    domain: busy / latency / board.units(domain)
                    for domain, busy in parts.busy().items()
                }
                running = board.power(setting, utilisation)[board.total_power_rail]
                rows.append((index, processor, *setting.values(), latency, running, idle_power))
    table = np.array(rows, dtype=np.float64).reshape(len(rows), 5 + len(domains))
    mean, power = table[:, -3], table[:, -2]
    quantiles = {q: mean * board.jitter_quantile(q) for q in (0.5, 0.95, 0.99)}
    return OperatingPoints(
        platform=platform,
        kind=ProfileKind.SIMULATED,
        extrapolated=any(
            board.extrapolated(cost, name) for cost in costs.values() for name in board.processors
        ),
        domains=domains,
        processors=board.processors,
        sub_networks=tuple(costs),
        sub_network=table[:, 0].astype(np.int64),
        processor=table[:, 1].astype(np.int64),
        frequencies=table[:, 2:-3],
        latency_mean=mean,
        latency_p50=quantiles[0.5],
        latency_p95=quantiles[0.95],
        latency_p99=quantiles[0.99],
        power=power,
        idle_power=table[:, -1],
        energy=power * mean,
        description=f'simulated: model of {board.name}, power mode {board.power_mode.name}',
    )
