# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What residual blocks take on this computer, each way of running them, with ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import itertools
import random
import time
from typing import Any
import warnings

import numpy as np
import torch
from torch import nn

from dynamic_dnn_ros.networks.adaptive_gathering import run_channels, run_patches
from dynamic_dnn_ros.networks.adaptive_layers import ResidualBlock
from dynamic_dnn_ros.networks.adaptive_layouts import CHANNELS, PATCHES, AdaptiveStageLayout
from dynamic_dnn_ros.networks.onnx_export import runner_of, traced_model
from dynamic_dnn_ros.search.block_latency import UNDIVIDED, BlockCase

#: Percentile of the runs of a block that counts: others were held up.
_PERCENTILE = 20

#: Channels times side of the features of a block: beyond, all lies outside of the caches.
_LARGEST = 1600

#: Sides of patches, and shares of patches or groups that run.
_PATCHES, _SHARES = (3, 4, 6, 8, 12), (0.25, 0.5, 0.75, 1.0)


def cases(count: int, seed: int = 0) -> list[BlockCase]:
    """
    Return different blocks of each way of running, drawn by a seed.

    :param count: of each way, at most; there are about fifty undivided ones
    """
    generator = random.Random(seed)
    drawn: list[BlockCase] = []
    for mode in (UNDIVIDED, PATCHES, CHANNELS):
        every = list(_every(mode))
        drawn += generator.sample(every, min(count, len(every)))
    return drawn


def _every(mode: str) -> Iterator[BlockCase]:
    widths = (16, 32, 48, 64, 96, 128)
    for side, width, middle in itertools.product((6, 12, 24, 48), widths, widths):
        if middle > width or width * side > _LARGEST:
            continue
        if mode == UNDIVIDED:
            yield BlockCase(width, middle, side)
            continue
        parts = _PATCHES if mode == PATCHES else (middle // 2, middle // 4)
        for part in parts:
            whole = side if mode == PATCHES else middle
            if whole % part or part >= whole:
                continue
            count = (side // part) ** 2 if mode == PATCHES else middle // part
            for run in sorted({max(round(count * share), 1) for share in _SHARES}):
                yield BlockCase(width, middle, side, mode, part, run / count)


@torch.no_grad()
def measured(
    blocks: Sequence[BlockCase],
    turns: int,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """
    Return what blocks take, s, one thread, all in turns.

    :param turns: in each of which every block runs four times
    """
    torch.manual_seed(0)
    with warnings.catch_warnings():
        # What the exporter cannot fold it says for each block.
        warnings.simplefilter('ignore')
        runs = [_runner(case) for case in blocks]
    times: list[list[float]] = [[] for _ in blocks]
    for _ in range(turns):
        for run, found in zip(runs, times):
            run()
            for _ in range(3):
                begun = clock()
                run()
                found.append(clock() - begun)
    return [float(np.percentile(found, _PERCENTILE)) for found in times]


def _runner(case: BlockCase) -> Callable[[], Any]:
    layout = AdaptiveStageLayout(
        case.width,
        case.middle,
        1,
        case.mode if case.mode != UNDIVIDED else 'layers',
        case.granularity,
    )
    block = ResidualBlock(layout, masked=True).eval()
    features = torch.randn(1, case.width, case.side, case.side).relu()
    if case.mode == UNDIVIDED:
        content = traced_model(block, features, 'features', fold=False)
        inputs = {'features': features.numpy()}
    else:
        runs = _chosen(case)
        content = traced_model(_Part(block), (features, runs), ['features', 'runs'], fold=False)
        inputs = {'features': features.numpy(), 'runs': runs.numpy()}
    run, _ = runner_of(content)
    return lambda: run(inputs)


def _chosen(case: BlockCase) -> torch.Tensor:
    if case.mode == PATCHES:
        rows = case.side // case.granularity
        order = torch.randperm(rows**2).reshape(1, rows, rows)
        return (order < case.patches).float()
    groups = case.middle // case.granularity
    return (torch.arange(groups)[None] * case.granularity < case.channels).float()


class _Part(nn.Module):
    """A block of which runs what it is told."""

    def __init__(self, block: ResidualBlock) -> None:
        super().__init__()
        self.block = block

    def forward(self, features: torch.Tensor, runs: torch.Tensor) -> torch.Tensor:
        run = run_patches if self.block.mode == PATCHES else run_channels
        return run(self.block, features, runs > 0)
