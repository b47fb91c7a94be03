# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which sub-networks of a trained network are kept: the measured front of accuracy and latency."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import random
import time
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from dynamic_dnn_ros.networks.contract import Arrays, Configuration, DynamicNetwork, statistics_of
from dynamic_dnn_ros.search.pareto import Values, front_length, pareto_front, spread
from dynamic_dnn_ros.training.batches import Normalisation, use_channels_last
from dynamic_dnn_ros.training.evaluation import accuracy, recalibrate
from dynamic_dnn_ros.training.pictures import Pictures

_DRAWN_EACH = 50
_TURNS = 30
_LATENCY_TOLERANCE = 0.05
_RUNS_EACH_TURN = 5


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
    whose multiply-adds lie at even ratios. Half of them vary in one field only: there are few of
    these, and more than their share lie on the Pareto front.
    """
    generator = random.Random(seed)
    chosen: dict[Any, None] = {}
    even_count = count // 2
    for even, part in ((True, even_count), (False, count - even_count)):
        drawn = [
            network.sample(generator, _all_but_one_field_fixed(network, generator) if even else {})
            for _ in range(_DRAWN_EACH * part)
        ]
        by_cost = {network.multiply_adds(configuration): configuration for configuration in drawn}
        for end in (network.smallest(), network.largest()):
            by_cost[network.multiply_adds(end)] = end
        costs = sorted(by_cost)
        for position in spread(np.log(costs), max(part, 2)):
            chosen[by_cost[costs[position]]] = None
    return list(chosen)


def _all_but_one_field_fixed(
    network: DynamicNetwork[Any], generator: random.Random
) -> dict[str, tuple[int, ...]]:
    choices = network.choices()
    varied = generator.choice(tuple(choices))
    return {
        name: (generator.choice(values),) for name, values in choices.items() if name != varied
    }


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
    accuracies = []
    batch_norm_statistics = []
    for configuration in tqdm(configurations, desc='measuring accuracy', disable=quiet):
        module = network.extract(configuration)
        use_channels_last(module)
        recalibrate(module, calibration, configuration.resolution, normalisation)
        accuracies.append(accuracy(module, held_out, configuration.resolution, normalisation))
        batch_norm_statistics.append(statistics_of(module))
    modules = [(network.extract(each), each.resolution) for each in configurations]
    costs = latencies(modules, quiet)
    front = pareto_front(np.array(accuracies), costs, _LATENCY_TOLERANCE)
    lengths = front_length(np.array(accuracies)[front], costs[front])
    return [
        Candidate(
            configuration=configurations[index],
            accuracy=accuracies[index],
            latency=float(costs[index]),
            multiply_adds=network.multiply_adds(configurations[index]),
            statistics=batch_norm_statistics[index],
        )
        for index in front[spread(lengths, count)]
    ]


@torch.no_grad()
def latencies(modules: Sequence[tuple[nn.Module, int]], quiet: bool = False) -> Values:
    """
    Return for each module the median seconds of one picture on one thread of this machine's CPU.

    The modules take turns, so that what else the machine does slows all of them alike.

    :param modules: each with the resolution of its input.
    """
    images = [torch.zeros(1, 3, resolution, resolution) for _, resolution in modules]
    times = np.empty((_TURNS, _RUNS_EACH_TURN, len(modules)))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for turn in tqdm(range(_TURNS), desc='measuring latency', disable=quiet):
            for index, (module, _) in enumerate(modules):
                module(images[index])  # The caches still hold another module's weights.
                for run in range(_RUNS_EACH_TURN):
                    start = time.perf_counter()
                    module(images[index])
                    times[turn, run, index] = time.perf_counter() - start
    finally:
        torch.set_num_threads(threads)
    return np.median(times, (0, 1))
