# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Profiles with the power of another rail than the module's.

A manager keeps that power low which its profiles have. Given those of one rail, it saves there,
whatever that costs elsewhere.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from dynamic_dnn_ros.platforms.board_model import BoardModel
from dynamic_dnn_ros.platforms.contract import PlatformError
from dynamic_dnn_ros.simulation.workload import Workload


@lru_cache(maxsize=32)
def with_power_of(workload: Workload, board: BoardModel, rail: str) -> Workload:
    """
    Return a network with a profile whose power, idle power and energy are those of one rail.

    The same object for the same objects again.

    :param rail: a label of the board, e.g. `VDD_CPU_GPU_CV`; empty: that of the module
    :raises PlatformError: when the board has no such rail
    """
    if rail in ('', board.total_power_rail):
        return workload
    points = workload.points
    power, idle = np.empty(len(points)), np.empty(len(points))
    for index, clocks in enumerate(points.frequencies.tolist()):
        setting = dict(zip(points.domains, clocks))
        resting = board.power(setting, {})
        if rail not in resting:
            raise PlatformError(
                f'rail {rail!r}', f'{board.name} has none', f'Choose of: {", ".join(resting)}'
            )
        cost = workload.costs[points.sub_networks[points.sub_network[index]]]
        parts = board.parts(cost, points.processors[points.processor[index]], setting)
        activity = {
            where: seconds / parts.total / board.units(where)
            for where, seconds in parts.activity().items()
        }
        power[index] = board.power(setting, activity)[rail]
        idle[index] = resting[rail]
    return replace(
        workload,
        points=replace(
            points,
            power=power,
            idle_power=idle,
            energy=power * points.latency_mean,
            description=f'{points.description}, power of {rail} only',
        ),
    )
