# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Made-up problems of the joint choice: loose, tight and impossible ones; no ROS needed."""

from __future__ import annotations

from itertools import product
import math

import numpy as np

from dynamic_dnn_ros.bundles.profile import OperatingPoints, ProfileKind
from dynamic_dnn_ros.management.assessment import Demand, Problem
from dynamic_dnn_ros.management.beside import Beside
from dynamic_dnn_ros.management.estimator import SlowDownFilter
from dynamic_dnn_ros.management.tables import JointTable, application_table, join
from dynamic_dnn_ros.management.targets import Objective, Target
from support.applications import application

CPU = (6e8, 1.6e9)
GPU = (2e8, 4e8, 7e8, 1.1e9)
MEMORY = (8e8, 1.6e9)
ACCURACIES = (0.70, 0.75, 0.755, 0.82)


def points(seed: int, processors: int, missing: bool, power: bool) -> OperatingPoints:
    """Return made-up figures of four sub-networks at all frequencies, each a little off."""
    generator = np.random.default_rng(seed)
    rows = np.array(list(product(range(4), range(processors), CPU, GPU, MEMORY)))
    size, processor, cpu, gpu, memory = rows.T
    work = 0.004 * (1 + size * generator.uniform(0.2, 1.0))
    mean = work * (0.2 + 0.3 * CPU[-1] / cpu + 0.5 * np.where(processor, 2, 1) * GPU[-1] / gpu)
    mean *= 1 + 0.1 * MEMORY[-1] / memory + generator.normal(0, 0.02, len(rows))
    spread = mean * generator.uniform(0.01, 0.2, len(rows))
    idle = 2 + (cpu / CPU[-1]) ** 2 + 2 * (gpu / GPU[-1]) ** 2 + 0.5 * memory / MEMORY[-1]
    running = idle + (1 + 5 * (gpu / GPU[-1]) ** 2) * (1 + 0.1 * generator.random(len(rows)))
    if not power:
        idle = running = np.full_like(mean, np.nan)
    keep = np.ones(len(rows), dtype=bool)
    if missing:
        keep = generator.random(len(rows)) > 0.05
    return OperatingPoints(
        platform='made_up',
        kind=ProfileKind.SIMULATED,
        extrapolated=False,
        domains=('cpu', 'gpu', 'memory'),
        processors=('gpu', 'cpu')[:processors],
        sub_networks=('s0', 's1', 's2', 's3'),
        sub_network=size[keep].astype(np.int64),
        processor=processor[keep].astype(np.int64),
        frequencies=rows[keep, 2:],
        latency_mean=mean[keep],
        latency_p50=(0.98 * mean)[keep],
        latency_p95=(0.98 * mean + spread)[keep],
        latency_p99=(0.98 * mean + 1.4 * spread)[keep],
        power=running[keep],
        idle_power=idle[keep],
        energy=(running * mean)[keep],
    )


def _joint(seed: int, count: int, processors: int, missing: bool, power: bool) -> JointTable:
    return join(
        [
            application_table(
                application(
                    f'/camera_{a}/node',
                    operating_points=points(seed + a, processors, missing, power),
                    accuracies={f's{i}': accuracy for i, accuracy in enumerate(ACCURACIES)},
                )
            )
            for a in range(count)
        ]
    )


JOINTS = {key: _joint(7, *key) for key in product((1, 2, 3), (1, 2), (False, True), (False, True))}


def problem(seed: int, most: int) -> Problem:
    """Return a loose, tight or impossible problem of at most so many applications."""
    generator = np.random.default_rng(seed)
    count = int(generator.integers(1, most + 1))
    processors, missing = ((1, False), (1, False), (2, False), (1, True))[generator.integers(4)]
    joint = JOINTS[count, processors, missing, bool(generator.random() < 0.7)]
    tightness = float(generator.choice([0.5, 1.5, 4.0]))
    load = float(generator.choice([0.3, 0.8, 1.5]))

    def some(chance: float, value: float) -> float:
        return float(value) if generator.random() < chance else 0.0

    demands = []
    for table in joint.tables:
        slow_down = SlowDownFilter()
        slow_down.mean = float(generator.uniform(0.6, 2.0))
        slow_down.variance = float(generator.uniform(1e-6, 1e-2))
        rate = load / count / 0.008 / slow_down.mean * float(generator.uniform(0.5, 1.5))
        latency = some(0.8, 0.012 * tightness * count**0.5 * generator.uniform(0.7, 1.5))
        target = Target(
            table.application,
            latency=latency,
            latency_quantile=float(generator.choice([0.3, 0.9, 0.99])) if latency else 0.0,
            accuracy=some(0.5, generator.uniform(0.65, 0.85)),
            energy=some(0.2, generator.uniform(0.02, 0.2)),
            rate=some(0.4, rate * generator.uniform(0.5, 1.2)),
            priority=int(generator.integers(3)),
            objective=Objective(int(generator.integers(3))),
        )
        options = len(table.options)
        usable = generator.random(options) < 0.9
        usable[generator.integers(options)] = True
        demands.append(
            Demand(
                target,
                target.priority,
                slow_down,
                rate,
                some(0.5, generator.uniform(0, 0.002)),
                some(0.5, generator.uniform(0, 0.001)),
                usable,
                generator.uniform(0.0, 1.0, (options, len(joint.domains))),
            )
        )
    foreign = {}
    if generator.random() < 0.6:
        foreign['cpu'] = float(generator.uniform(0, 1.0) * CPU[-1])
    if generator.random() < 0.3:
        foreign['gpu'] = float(generator.uniform(0, 0.9) * GPU[-1])
    chosen = np.arange(len(joint.settings), dtype=np.int64)
    if generator.random() < 0.5:
        # Limits of the board and floors leave a part of the settings.
        chosen = chosen[generator.random(len(chosen)) < generator.uniform(0.05, 1.0)]
        chosen = chosen if len(chosen) else np.array([3], dtype=np.int64)
    cap = math.inf
    if generator.random() < 0.3:
        cap = float(generator.uniform(3.0, 10.0)) if joint.tables[0].power[0, 0] > 0 else 0.5
    beside = None
    if generator.random() < 0.3 and joint.has_power:
        beside = Beside(*generator.uniform((0.5, 8e8, 0.3), (3.0, 1.6e9, 1.0)).tolist())
    return Problem(joint, chosen, tuple(demands), foreign, cap, beside)
