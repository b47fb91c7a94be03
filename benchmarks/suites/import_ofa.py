# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The published layouts of Once-for-All: outputs and times against those of the authors' code.

All weights are random. The authors' code is run where `DYNAMIC_DNN_OFA_SOURCE` names it.
"""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import Any

import numpy as np
from report import Figure, Report, figure
import torch

from dynamic_dnn_ros.networks.ofa_checkpoint import network_from_checkpoint
from dynamic_dnn_ros.networks.ofa_mobilenet_v3 import OfaMobileNetV3
from support import once_for_all

RUNS = 7
CONFIGURATIONS = 25
"""Of each layout: compared once, timed in each run."""

OURS = 'our'
THEIRS = "the authors'"


def run(runs: int) -> Report:
    """Compare all configurations once; time them in each run, both codes in turn."""
    missing = once_for_all.missing_code()
    figures: list[Figure] = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        if missing is None:
            figures += _comparison()
        else:
            name = f"configurations compared with the authors' code (skipped: {missing})"
            figures.append(figure(name, 0, 'configurations', f'>= {2 * CONFIGURATIONS}'))
        for layout in once_for_all.WIDTHS:
            figures += _times(layout, runs, with_theirs=missing is None)
    finally:
        torch.set_num_threads(threads)
    configuration = {
        'layouts': list(once_for_all.WIDTHS),
        'configurations_of_each_layout': CONFIGURATIONS,
        'weights': 'random, kernel transforms and batch-norm statistics too',
        'threads': 1,
        'pytorch': torch.__version__,
    }
    return Report('import_ofa', 'measured', configuration, figures)


def _comparison() -> list[Figure]:
    figures = []
    count = 0
    for seed, (layout, width) in enumerate(once_for_all.WIDTHS.items()):
        theirs = once_for_all.authors_network(width, seed)
        network = OfaMobileNetV3.from_layout(layout)
        compared = [
            once_for_all.compare(theirs, layout, configuration, number)
            for number, configuration in enumerate(
                once_for_all.configurations(network, CONFIGURATIONS)
            )
        ]
        count += len(compared)
        figures += [
            figure(
                f"{layout}: largest difference of a logit from the authors' code",
                max(one.difference for one in compared),
                'logits',
                '<= 0.0001',
            ),
            figure(
                f'{layout}: standard deviation of a logit over pictures',
                [one.spread for one in compared],
                'logits',
            ),
        ]
    name = "configurations compared with the authors' code"
    return [figure(name, count, 'configurations', f'>= {2 * CONFIGURATIONS}'), *figures]


def _times(layout: str, runs: int, with_theirs: bool) -> list[Figure]:
    ours = OfaMobileNetV3.from_layout(layout)
    configurations = once_for_all.configurations(ours, CONFIGURATIONS)
    actions: dict[tuple[str, str], Callable[[Any], object]] = {}
    if with_theirs:
        theirs = once_for_all.authors_network(once_for_all.WIDTHS[layout], seed=0)
        _, ours = network_from_checkpoint(theirs.state_dict(), "the authors' network", layout)
        actions[THEIRS, 'activate'] = lambda each: once_for_all.activate(theirs, each)
        actions[THEIRS, 'extract'] = lambda each: theirs.get_active_subnet()
    actions[OURS, 'activate'] = ours.activate
    actions[OURS, 'extract'] = lambda each: ours.extract(each, share_weights=True)
    seconds = {action: np.empty((runs, len(configurations))) for action in actions}
    for turn in range(-1, runs):
        for number, each in enumerate(configurations):
            for action, act in actions.items():
                begun = time.perf_counter()
                act(each)
                # The first turn warms up; the second writes over what it left.
                seconds[action][max(turn, 0), number] = time.perf_counter() - begun
    medians = {action: np.median(taken, axis=1) for action, taken in seconds.items()}
    figures = [
        figure(f'{layout}: {what} one configuration, {whose} code, median', list(taken), 's')
        for (whose, what), taken in medians.items()
    ]
    if with_theirs:
        figures += [
            figure(
                f"{layout}: {what} one configuration, the authors' code against ours",
                list(medians[THEIRS, what] / medians[OURS, what]),
                'ratio',
            )
            for what in ('activate', 'extract')
        ]
    return figures
