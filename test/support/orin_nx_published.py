# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Figures of an Orin NX that its model was not fitted to.

Published by antoniorosmiele/palmiotti_RTRM (GitHub) beside the tables that the model is fitted
to: two networks at once on the GPU (`plot/plot_incident/data/logs_20250412`), and three or four
at limited rates on GPU and DLA (`plot/out_we`, `plot/plot_policy_config`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from dynamic_dnn_ros.files import share_folder
from dynamic_dnn_ros.platforms.board_model import BoardModel
from dynamic_dnn_ros.platforms.measured_network import rates

EFFICIENTNET = 'efficientnet_b5'
RESNET = 'resnet50'
SUPER_RESOLUTION = UNFITTED = 'super_resolution_bsd500'
"""Of the four networks the one that is in no pair of the fit."""
YOLO = 'yolov3_tiny_416'

_RAILS = ('VDD_IN', 'VDD_CPU_GPU_CV', 'VDD_SOC')


@dataclass(frozen=True)
class CoRunners:
    """
    Two networks frame after frame on the GPU at a clock in Hz.

    `losses` of throughput against each alone in the same session, 0..1; `power` in W a rail.
    """

    clock: float
    networks: tuple[str, str]
    losses: tuple[float, float]
    power: Mapping[str, float]


@dataclass(frozen=True)
class LimitedRates:
    """
    Several networks at limited rates; clocks in Hz, `power` in W a rail.

    `runs`: network, processor, frames a second.
    """

    cpu: float
    gpu: float
    runs: tuple[tuple[str, str, float], ...]
    power: Mapping[str, float]


def _pair(
    clock: float, first: str, second: str, losses: tuple[float, float], *watts: float
) -> CoRunners:
    return CoRunners(clock, (first, second), losses, dict(zip(_RAILS, watts)))


CO_RUNNERS = (
    _pair(918e6, EFFICIENTNET, EFFICIENTNET, (0.344, 0.340), 9.816, 4.402, 1.924),
    _pair(612e6, EFFICIENTNET, EFFICIENTNET, (0.377, 0.368), 7.962, 2.697, 1.922),
    _pair(918e6, RESNET, RESNET, (0.423, 0.433), 9.271, 3.982, 1.858),
    _pair(612e6, RESNET, RESNET, (0.513, 0.516), 7.430, 2.403, 1.776),
    _pair(918e6, YOLO, YOLO, (0.308, 0.309), 8.258, 3.218, 1.773),
    _pair(612e6, YOLO, YOLO, (0.307, 0.309), 7.160, 2.167, 1.773),
    _pair(918e6, EFFICIENTNET, YOLO, (0.289, 0.309), 9.292, 3.990, 1.852),
    _pair(612e6, EFFICIENTNET, YOLO, (0.242, 0.250), 7.865, 2.619, 1.851),
    _pair(918e6, RESNET, EFFICIENTNET, (0.518, 0.362), 9.295, 4.014, 1.852),
    _pair(612e6, RESNET, EFFICIENTNET, (0.543, 0.358), 7.607, 2.491, 1.813),
    _pair(918e6, YOLO, RESNET, (0.247, 0.423), 8.898, 3.698, 1.827),
    _pair(612e6, YOLO, RESNET, (0.246, 0.425), 7.615, 2.484, 1.811),
    _pair(918e6, EFFICIENTNET, SUPER_RESOLUTION, (0.335, 0.279), 10.195, 4.491, 2.007),
    _pair(612e6, EFFICIENTNET, SUPER_RESOLUTION, (0.344, 0.301), 8.350, 2.848, 1.940),
    _pair(918e6, SUPER_RESOLUTION, YOLO, (0.193, 0.294), 9.628, 4.045, 1.962),
    _pair(612e6, SUPER_RESOLUTION, YOLO, (0.182, 0.306), 8.245, 2.729, 1.931),
    _pair(918e6, RESNET, SUPER_RESOLUTION, (0.450, 0.227), 9.971, 4.316, 1.996),
    _pair(612e6, RESNET, SUPER_RESOLUTION, (0.463, 0.244), 8.297, 2.789, 1.935),
    _pair(918e6, SUPER_RESOLUTION, SUPER_RESOLUTION, (0.267, 0.269), 10.462, 4.539, 2.109),
    _pair(612e6, SUPER_RESOLUTION, SUPER_RESOLUTION, (0.303, 0.321), 8.593, 2.888, 2.017),
)

LIMITED_RATES = (
    LimitedRates(
        1779.2e6,
        918e6,
        (
            (YOLO, 'gpu', 40.0),
            (RESNET, 'gpu', 70.0),
            (EFFICIENTNET, 'gpu', 50.0),
        ),
        dict(zip(_RAILS, (9.723, 4.619, 1.846))),
    ),
    LimitedRates(
        1856e6,
        918e6,
        (
            (YOLO, 'dla0', 40.0),
            (EFFICIENTNET, 'gpu', 50.0),
            (RESNET, 'dla0', 70.0),
        ),
        dict(zip(_RAILS, (9.555, 4.205, 1.927))),
    ),
    LimitedRates(
        960e6,
        714e6,
        (
            (YOLO, 'dla0', 40.0),
            (EFFICIENTNET, 'gpu', 50.0),
            (RESNET, 'dla0', 70.0),
        ),
        dict(zip(_RAILS, (8.239, 2.811, 1.925))),
    ),
    LimitedRates(
        576e6,
        306e6,
        (
            (RESNET, 'dla0', 30.0),
            (RESNET, 'dla0', 30.0),
            (YOLO, 'dla0', 30.0),
            (YOLO, 'dla0', 30.0),
        ),
        dict(zip(_RAILS, (6.588, 1.525, 1.809))),
    ),
    LimitedRates(
        729.6e6,
        612e6,
        (
            (RESNET, 'dla0', 30.0),
            (SUPER_RESOLUTION, 'dla0', 30.0),
            (YOLO, 'dla0', 30.0),
        ),
        dict(zip(_RAILS, (7.235, 1.932, 1.889))),
    ),
    LimitedRates(
        1036.8e6,
        816e6,
        (
            (RESNET, 'dla0', 30.0),
            (RESNET, 'gpu', 60.0),
            (YOLO, 'dla0', 30.0),
            (YOLO, 'gpu', 60.0),
        ),
        dict(zip(_RAILS, (8.503, 3.218, 1.885))),
    ),
)


def board_mapping() -> Any:
    """Return what the board's file says."""
    path = share_folder() / 'config/platforms/orin_nx.yaml'
    return yaml.safe_load(path.read_text(encoding='utf-8'))


def losses_at(clock: float, unfitted: bool) -> dict[tuple[str, str], float]:
    """
    Return the losses of throughput at a clock in Hz, by a network and the one beside it.

    :param unfitted: of the pairs with the network that is in no pair of the fit, or the others
    """
    return {
        (run.networks[i], run.networks[1 - i]): run.losses[i]
        for run in CO_RUNNERS
        for i in (0, 1)
        if run.clock == clock and (UNFITTED in run.networks) == unfitted
    }


def without_pair(
    losses: Mapping[tuple[str, str], float], pair: Collection[str]
) -> tuple[dict[tuple[str, str], float], dict[tuple[str, str], float]]:
    """Return the losses of all other pairs, and those of this one."""
    own = {names: loss for names, loss in losses.items() if set(names) == set(pair)}
    return {names: loss for names, loss in losses.items() if names not in own}, own


def co_runners_power(board: BoardModel, run: CoRunners) -> dict[str, float]:
    """Return what the model says of the power of two networks at once, W a rail."""
    frequencies = {**board.reference_frequencies, 'gpu': run.clock}
    parts = [board.parts(board.networks[name], 'gpu', frequencies) for name in run.networks]
    activity: dict[str, float] = {}
    for own, other in (parts, parts[::-1]):
        held = board.contention.hold_up(own, other)
        slow_down = board.contention.slow_down(own.processor_share, [held], 0.0)
        for name, value in rates(board, own).items():
            activity[name] = activity.get(name, 0.0) + value / slow_down
    return board.power(frequencies, activity)


def limited_rates_power(
    board: BoardModel, load: LimitedRates, own_cpu: float = 0.0
) -> dict[str, float]:
    """
    Return what the model says of the power of several networks at limited rates, W a rail.

    :param own_cpu: share of the CPU that the program itself keeps busy, 0..1
    """
    frequencies = {**board.reference_frequencies, 'cpu': load.cpu, 'gpu': load.gpu}
    activity = {'cpu': own_cpu}
    for name, processor, rate in load.runs:
        parts = board.parts(board.networks[name], processor, frequencies)
        for domain, value in parts.activity().items():
            share = value * rate / board.units(domain)
            activity[domain] = activity.get(domain, 0.0) + share
    return board.power(frequencies, activity)
