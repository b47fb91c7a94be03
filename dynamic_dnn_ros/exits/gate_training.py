# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Train a gate on what its choices answer, the network itself frozen.

Li et al., Dynamic Slimmable Network, CVPR 2021, section 3.4. Three losses: cross-entropy of the
scores with the choice that suffices (SGS), there the smallest width or the largest, here the
smallest choice that is right; the task's loss through a straight-through Gumbel softmax; and the
cost of what is chosen. Noise is in the training alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from dynamic_dnn_ros.networks.gates import Gate

_BATCH, _LEARNING_RATE, _DECAY = 256, 0.01, 0.3


@dataclass(frozen=True)
class Told:
    """
    What choices answer to pictures.

    :param features: N x twice the channels, as `squeezed` gives them
    :param logits: N x choices x classes
    :param labels: N
    """

    features: torch.Tensor
    logits: torch.Tensor
    labels: torch.Tensor

    @property
    def right(self) -> torch.Tensor:
        """Return which choices are right, N x choices."""
        return self.logits.argmax(2) == self.labels[:, None]


def sufficing(right: torch.Tensor) -> torch.Tensor:
    """Return the first choice that is right of each picture, N; the last where none is."""
    last = torch.full((len(right),), right.shape[1] - 1)
    return torch.where(right.any(1), right.float().argmax(1), last)


def train_gate(
    told: Told, costs: torch.Tensor, complexity: float, squeeze: int, epochs: int, seed: int = 0
) -> Gate:
    """
    Return a gate that was trained.

    :param costs: of the paths, as shares of the largest
    :param complexity: weight of the loss on costs; below 0 it asks for more of them
    :param squeeze: channels of its hidden layer
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        gate = Gate(told.features.shape[1] // 2, squeeze, len(costs))
    # Features of one scale learn faster; the scale goes into the weights at the end.
    mean, deviation = told.features.mean(0), told.features.std(0) + 1e-6
    features = (told.features - mean) / deviation
    targets = sufficing(told.right)
    steps = max(1, len(features) // _BATCH)
    optimizer = torch.optim.AdamW(gate.parameters(), _LEARNING_RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * steps)
    for _ in range(epochs):
        order = torch.randperm(len(features), generator=generator)
        for step in range(steps):
            some = order[step * _BATCH : (step + 1) * _BATCH]
            scores = gate.scored(features[some])
            chosen = _chosen(scores, generator)
            answers = (chosen[:, :, None] * told.logits[some]).sum(1)
            loss = (
                functional.cross_entropy(scores, targets[some])
                + functional.cross_entropy(answers, told.labels[some])
                + complexity * (chosen * costs).sum(1).square().mean()
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        gate.reduce.weight.div_(deviation)
        gate.reduce.bias.sub_(gate.reduce.weight @ mean)
    return gate.eval().requires_grad_(False)


def _chosen(scores: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return choices as ones and zeros, N x choices, whose gradients are those of soft ones."""
    uniform = torch.rand(scores.shape, generator=generator).clamp_(1e-9, 1 - 1e-7)
    soft = (scores - (-uniform.log()).log()).softmax(1)
    hard = functional.one_hot(soft.argmax(1), scores.shape[1]).float()
    return hard + soft - soft.detach()


@torch.no_grad()
def judged(gate: Gate, told: Told) -> tuple[float, tuple[float, ...]]:
    """Return the accuracy behind a gate, 0..1, and the share of the pictures of each choice."""
    choice = gate.scored(told.features).argmax(1)
    right = told.right.gather(1, choice[:, None]).float().mean()
    shares = functional.one_hot(choice, told.logits.shape[1]).float().mean(0)
    return float(right), tuple(shares.tolist())
