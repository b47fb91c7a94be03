# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Latency as a sum of blocks measured alone, the estimate that a latency table gives.

Published searches rank sub-networks by such sums (Cai et al., Once-for-All, ICLR 2020, section
3.3). Here they only stand beside the measured latencies, to show how far one can rely on them.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np
import torch
from torch import nn

from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.search.pareto import Values

_WARM_UP_RUNS = 3
_RUNS = 15


class BlockTable:
    """Latency of every block met so far, seconds, on one thread of the CPU."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[str, tuple[int, ...]], float] = {}

    def __len__(self) -> int:
        return len(self._seconds)

    @torch.inference_mode()
    def sum(self, module: nn.Module, size: Size) -> float:
        """Return the sum over a static module's blocks for one picture, seconds."""
        met: list[tuple[nn.Module, torch.Tensor]] = []
        running: list[nn.Module] = []
        several: set[nn.Module] = set()

        def enter(part: nn.Module, inputs: tuple[Any, ...]) -> None:
            if not running and part not in several and _is_block(part, inputs):
                running.append(part)
                met.append((part, inputs[0]))

        def leave(part: nn.Module, _: Any, outputs: Any) -> None:
            if running and running[0] is part:
                running.clear()
                if not isinstance(outputs, torch.Tensor):
                    # What gives more than a picture counts by what is inside.
                    several.add(part)

        hooks = []
        for part in module.modules():
            if part is not module:
                hooks.append(part.register_forward_pre_hook(enter))
                hooks.append(part.register_forward_hook(leave))
        found = -1
        while found != len(several):
            found = len(several)
            met.clear()
            module(torch.zeros(1, 3, *size))
        for hook in hooks:
            hook.remove()
        return sum(self._latency(block, images) for block, images in met)

    def _latency(self, block: nn.Module, images: torch.Tensor) -> float:
        key = repr(block), tuple(images.shape)
        if key not in self._seconds:
            for _ in range(_WARM_UP_RUNS):
                block(images)
            seconds = []
            for _ in range(_RUNS):
                start = time.perf_counter()
                block(images)
                seconds.append(time.perf_counter() - start)
            self._seconds[key] = float(np.median(seconds))
        return self._seconds[key]


def _is_block(part: nn.Module, inputs: tuple[Any, ...]) -> bool:
    """Return whether a part can be run alone and is no mere sequence of such parts."""
    alone = len(inputs) == 1 and isinstance(inputs[0], torch.Tensor)
    return alone and type(part) is not nn.Sequential


@dataclasses.dataclass(frozen=True)
class Comparison:
    """
    How estimates relate to measured values.

    :param rank_correlation: Spearman's, -1..1.
    :param factors: measured through estimated: the least, the median, the greatest.
    """

    count: int
    rank_correlation: float
    factors: tuple[float, float, float]

    @classmethod
    def of(cls, estimated: Values, measured: Values) -> Comparison:
        """Compare estimates with measured values; both above 0, at least two."""
        factors = measured / estimated
        return cls(
            count=len(estimated),
            rank_correlation=float(np.corrcoef(_ranks(estimated), _ranks(measured))[0, 1]),
            factors=(float(factors.min()), float(np.median(factors)), float(factors.max())),
        )


def _ranks(values: Values) -> Values:
    """Return the rank of each value; equal ones share the mean of theirs."""
    _, positions, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2.0)[positions], dtype=np.float64)
