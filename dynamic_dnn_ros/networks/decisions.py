# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How the blocks of a network decide what of them runs, and how much that is."""

from __future__ import annotations

import abc
import math

import torch


def advantage(scores: torch.Tensor, threshold: float) -> torch.Tensor:
    """
    Return by how much each logit of running is above what it needs; above 0 it runs.

    :param scores: N x 2 x ..., of skipping and of running
    :return: N x ...
    """
    return scores[:, 1] - scores[:, 0] - math.log(threshold / (1 - threshold))


class Decisions(abc.ABC):
    """The decisions of a network's blocks in the pass that was made last."""

    def __init__(self) -> None:
        self.temperature: float | None = None
        """Of the Gumbel softmax that draws while a network is trained; None: the arg-max."""
        self.threshold = 0.5
        """What has a higher probability that it is to run does; 0.5 is the arg-max."""
        self.rates: list[torch.Tensor] = []
        """Of each block the share that ran, 0..1, over the pictures of the batch."""

    @abc.abstractmethod
    def work(self) -> torch.Tensor:
        """Return the multiply-adds that ran, as a share of those that are decided on, 0..1."""

    def begin(self) -> None:
        """Begin a pass."""
        self.rates.clear()

    def mask(self, scores: torch.Tensor) -> torch.Tensor:
        """
        Decide what runs, 1 or 0, and note how much that is.

        With a temperature the decision is drawn, and its gradient is that of the softmax.

        :param scores: N x 2 x ..., of skipping and of running
        :return: N x ...
        """
        difference = advantage(scores, self.threshold)
        if self.temperature is None:
            chosen = (difference > 0).to(scores.dtype)
        else:
            # The difference of two values of Gumbel's distribution has the logistic one.
            uniform = torch.rand_like(difference).clamp(1e-6, 1 - 1e-6)
            noise = uniform.log() - (-uniform).log1p()
            soft = ((difference + noise) / self.temperature).sigmoid()
            chosen = (soft > 0.5).to(scores.dtype) + soft - soft.detach()
        self.rates.append(chosen.mean())
        return chosen
