# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What a board would take if each frame's latency were known beforehand: a limit, not a manager.

Each frame gets the sub-network and the clocks that take the least energy for it, those that a
quantile lets be late among them, and between two frames the board idles at its lowest clocks.
Clocks and sub-networks change at once and for nothing. For one application without other load.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
import random

import numpy as np

from dynamic_dnn_ros.platforms.board_model import BoardModel
from dynamic_dnn_ros.simulation.oracle import powers, truth
from dynamic_dnn_ros.simulation.runs import Run
from dynamic_dnn_ros.simulation.scenario import Scenario, ScenarioError
from dynamic_dnn_ros.simulation.workload import Workload


def least_energy(
    scenario: Scenario,
    boards: Callable[[str], BoardModel],
    workloads: Mapping[str, Workload],
    run: Run,
) -> float:
    """
    Return the energy of the module, J, in the time that was measured of a run.

    :param run: of the same scenario and seed, under whatever manager served every frame; the
        arrivals of its frames are taken
    :raises ScenarioError: for several applications, other load, or frames that were not served
    """
    others = scenario.other_load or scenario.power_modes or scenario.held_clocks
    if len(scenario.applications) != 1 or others:
        raise ScenarioError(
            'applications',
            'no limit is known for several, or beside others',
            'Give one alone',
        )
    (script,) = scenario.applications
    made = run.applications[script.id]
    if made.replaced:
        raise ScenarioError(
            script.id, 'some frames were not served', 'Take a run that serves each of them'
        )
    board = boards(scenario.power_mode)
    known = truth(board, workloads[script.id])
    idle, slopes = powers(board)
    lowest = int(idle.argmin())
    # Power while it runs does not depend on how slow a frame is: the same work takes longer.
    running = idle + (known.active / known.latency[:, :, None] * slopes).sum(axis=-1)
    draw = random.Random(f'{run.seed}/{script.id}/frames')
    pictures = random.Random(f'{run.seed}/{script.id}/pictures')
    paths = [workloads[script.id].paths.get(sub_network) for sub_network, _ in known.options]
    sigma = board.jitter_deviation if script.jitter is None else script.jitter
    bias = board.bias(run.seed, script.id)
    arrivals = [*made.arrivals, scenario.duration]
    total = float(idle[lowest]) * run.measured
    gained, allowed = [], 0.0
    for at, after in pairwise(arrivals):
        jitter = draw.lognormvariate(-0.5 * sigma * sigma, sigma) if sigma else 1.0
        hardness = pictures.random() ** (1.0 / script.difficulty_at(at))
        if at < run.measured_from:
            continue
        target = script.target_at(at)
        works = np.array(
            [each.works[each.of_hardness(hardness)] if each else 1.0 for each in paths]
        )
        latency = known.latency * works[:, None] * (bias * script.slow_down_at(at) * jitter)
        added = latency * (running - idle[lowest])
        accurate = known.accuracy >= (target.accuracy * (1 - 1e-9) if target is not None else 0.0)
        fits = accurate[:, None] & (latency <= max(after - at, float(latency.min())))
        anyhow = float(added[fits].min()) if fits.any() else float(added.min())
        in_time = fits & (latency <= target.latency) if target and target.latency else fits
        # Where no setting is fast enough the frame is late whatever is chosen.
        kept = float(added[in_time].min()) if in_time.any() else anyhow
        total += kept
        gained.append(kept - anyhow)
        allowed += 1.0 - target.quantile if target is not None else 0.0
    late = int(allowed)
    return total - float(np.sort(gained)[::-1][:late].sum())
