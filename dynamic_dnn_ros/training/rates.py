# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The loss that holds a network that decides by the picture to an amount of work.

Han et al., Latency-aware Unified Dynamic Networks, TPAMI 2024: cross-entropy, half of what a
static teacher says, and ten times this. Every block is held at the target at first, and freed over
the first third of the phase; the work of the whole stays held.
"""

from __future__ import annotations

from collections.abc import Sequence
import math

import torch

#: Weight of the loss beside that on the labels.
WEIGHT = 10.0

#: By which logits are divided where a student learns from the static teacher.
SOFTNESS = 4.0

#: Of the Gumbel softmax, at the beginning and at the end of a phase.
_HOT, _COLD = 5.0, 0.1

#: Share of a phase after which blocks are free.
_FREEING = 0.33


def temperature_at(progress: float) -> float:
    """Return the temperature of the Gumbel softmax at a share of a phase, 0..1."""
    return float(_HOT * (_COLD / _HOT) ** progress)


def bounds_at(progress: float, target: float) -> tuple[float, float]:
    """Return between what the rate of each block is to lie at a share of a phase, 0..1."""
    held = math.cos(math.pi / 2 * min(progress / _FREEING, 1.0)) ** 2
    return held * target, 1 - held * (1 - target)


def rate_loss(
    work: torch.Tensor, rates: Sequence[torch.Tensor], target: float, progress: float
) -> torch.Tensor:
    """
    Return the loss of one pass, without its weight.

    :param work: of the pass, as a share of all, 0..1
    :param rates: of each block the share that ran, 0..1
    :param target: of both
    :param progress: share of the phase that is over, 0..1
    """
    lower, upper = bounds_at(progress, target)
    each = torch.stack(list(rates))
    outside = (each - upper).relu().square() + (lower - each).relu().square()
    return (work - target).square() + outside.mean()
