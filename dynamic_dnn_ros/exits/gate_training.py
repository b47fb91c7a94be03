# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Train a gate on what its choices answer, the network itself frozen.

Li et al., Dynamic Slimmable Network, CVPR 2021, section 3.4. Three losses: cross-entropy of the
scores with the choice that suffices (SGS), there the smallest width or the largest, here the
smallest choice that is right; the task's loss through a straight-through Gumbel softmax; and the
cost of what is chosen. Noise is in the training alone.

Other than published, a gate can learn how sure the choices are of themselves. That is known of
every picture, also of those that the network was trained on and answers rightly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

from dynamic_dnn_ros.networks.gate_stages import Gate

_BATCH = 256

_Loss = Callable[[torch.Tensor, torch.Tensor, torch.Generator], torch.Tensor]
"""Of scores, N x choices, and the indices of their pictures."""


@dataclass(frozen=True)
class _Optimisation:
    learning_rate: float
    decay: float


#: Many pictures and a soft target need no strong decay.
_BY_ANSWERS, _BY_CONFIDENCE = _Optimisation(0.01, 0.3), _Optimisation(0.005, 0.01)


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
    targets = sufficing(told.right)

    def loss(scores: torch.Tensor, some: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        chosen = _chosen(scores, generator)
        answers = (chosen[:, :, None] * told.logits[some]).sum(1)
        return (
            functional.cross_entropy(scores, targets[some])
            + functional.cross_entropy(answers, told.labels[some])
            + complexity * (chosen * costs).sum(1).square().mean()
        )

    return _fitted(told.features, len(costs), loss, squeeze, epochs, seed, _BY_ANSWERS)


def train_on_confidence(
    features: torch.Tensor, logits: torch.Tensor, squeeze: int, epochs: int, seed: int = 0
) -> Gate:
    """
    Return a gate that tells which choice is the first that would be sure of its answer.

    :param features: N x twice the channels, as `squeezed` gives them
    :param logits: N x choices but the last x classes
    """
    targets = first_sure(logits)

    def loss(scores: torch.Tensor, some: torch.Tensor, _: torch.Generator) -> torch.Tensor:
        return functional.cross_entropy(scores, targets[some])

    return _fitted(features, targets.shape[1], loss, squeeze, epochs, seed, _BY_CONFIDENCE)


def first_sure(logits: torch.Tensor) -> torch.Tensor:
    """
    Return how probable it is of each choice that it is the first right one, N x choices.

    The probability that a choice is right is that of its highest class; the last one takes what
    is left.

    :param logits: N x choices but the last x classes
    """
    confidence = logits.softmax(2).amax(2)
    wrong = (1.0 - confidence).cumprod(1)
    before = torch.cat((torch.ones_like(wrong[:, :1]), wrong[:, :-1]), 1)
    return torch.cat((before * confidence, wrong[:, -1:]), 1)


def _fitted(
    features: torch.Tensor,
    choices: int,
    loss_of: _Loss,
    squeeze: int,
    epochs: int,
    seed: int,
    how: _Optimisation,
) -> Gate:
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        gate = Gate(features.shape[1] // 2, squeeze, choices)
    # Features of one scale learn faster; the scale goes into the weights at the end.
    mean, deviation = features.mean(0), features.std(0) + 1e-6
    features = (features - mean) / deviation
    steps = max(1, len(features) // _BATCH)
    optimizer = torch.optim.AdamW(gate.parameters(), how.learning_rate, weight_decay=how.decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * steps)
    for _ in range(epochs):
        order = torch.randperm(len(features), generator=generator)
        for step in range(steps):
            some = order[step * _BATCH : (step + 1) * _BATCH]
            loss = loss_of(gate.scored(features[some]), some, generator)
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
