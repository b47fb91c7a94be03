# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which sub-networks of a trained network are kept: the measured front of accuracy and latency."""

from __future__ import annotations

import dataclasses
import random
import statistics
import time
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from dynamic_dnn_ros.networks.contract import Arrays, Configuration, DynamicNetwork, statistics_of
from dynamic_dnn_ros.search.pareto import pareto_front, spread
from dynamic_dnn_ros.training.batches import Normalisation, use_channels_last
from dynamic_dnn_ros.training.evaluation import accuracy, recalibrate
from dynamic_dnn_ros.training.pictures import Pictures

_DRAWN_EACH = 50
_WARM_UP_RUNS = 5
_TIMED_RUNS = 60


@dataclasses.dataclass(frozen=True)
class Candidate:
    """
    A sub-network, measured.

    :param accuracy: 0..1, top-1 on the held-out pictures.
    :param latency: seconds, median of one picture on one CPU thread of this machine.
    :param statistics: its batch-norm statistics.
    """

    configuration: Configuration
    accuracy: float
    latency: float
    multiply_adds: int
    statistics: Arrays


def draw_candidates(network: DynamicNetwork[Any], count: int, seed: int) -> list[Any]:
    """
    Return the smallest, the largest, and random sub-networks evenly spread between them.

    Sub-networks drawn at random crowd around a middling size, so many are drawn, and those kept
    whose multiply-adds lie at even ratios.
    """
    generator = random.Random(seed)
    drawn = [network.sample(generator) for _ in range(_DRAWN_EACH * count)]
    by_cost = {network.multiply_adds(configuration): configuration for configuration in drawn}
    for end in (network.smallest(), network.largest()):
        by_cost[network.multiply_adds(end)] = end
    costs = sorted(by_cost)
    return [by_cost[costs[position]] for position in spread(np.array(costs), count)]


def measure(
    network: DynamicNetwork[Any],
    configuration: Configuration,
    calibration: Pictures,
    held_out: Pictures,
    normalisation: Normalisation,
) -> Candidate:
    """Recalibrate one sub-network, and measure its accuracy and its latency."""
    module = network.extract(configuration)
    use_channels_last(module)
    recalibrate(module, calibration, configuration.resolution, normalisation)
    return Candidate(
        configuration=configuration,
        accuracy=accuracy(module, held_out, configuration.resolution, normalisation),
        latency=latency(network.extract(configuration), configuration.resolution),
        multiply_adds=network.multiply_adds(configuration),
        statistics=statistics_of(module),
    )


@torch.no_grad()
def latency(module: nn.Module, resolution: int) -> float:
    """Return the median seconds of one picture on one thread of this machine's CPU."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        image = torch.zeros(1, 3, resolution, resolution)
        for _ in range(_WARM_UP_RUNS):
            module(image)
        times = []
        for _ in range(_TIMED_RUNS):
            start = time.perf_counter()
            module(image)
            times.append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(threads)
    return statistics.median(times)


def select(
    network: DynamicNetwork[Any],
    configurations: list[Any],
    count: int,
    calibration: Pictures,
    held_out: Pictures,
    normalisation: Normalisation,
    quiet: bool = False,
) -> list[Candidate]:
    """
    Measure candidates and return a well spread part of their Pareto front, the fastest first.

    :param count: how many to keep at most; fewer where the front has fewer.
    :param calibration: training pictures that batch-norm statistics are averaged over.
    :param held_out: training pictures that the network was not trained on.
    """
    candidates = [
        measure(network, configuration, calibration, held_out, normalisation)
        for configuration in tqdm(configurations, desc='measuring candidates', disable=quiet)
    ]
    latencies = np.array([candidate.latency for candidate in candidates])
    front = pareto_front(np.array([candidate.accuracy for candidate in candidates]), latencies)
    return [candidates[index] for index in front[spread(latencies[front], count)]]
