# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The sandwich rule with in-place distillation.

Yu and Huang, Universally Slimmable Networks, ICCV 2019, section 3: each step trains the largest
sub-network on the labels, and smaller ones, always or often the smallest among them, on what the
largest just said.
"""

from __future__ import annotations

import random
from typing import Any

import torch
from torch.nn import functional

from dynamic_dnn_ros.networks.contract import Configuration, DynamicNetwork
from dynamic_dnn_ros.training.batches import Normalisation, resize


class Sandwich:
    """
    Gathers the gradients of one step.

    :param sampled: sub-networks a step besides the largest. With one, the smallest and a random
        one take turns; with more, the smallest and `sampled - 1` random ones.
    """

    def __init__(
        self,
        network: DynamicNetwork[Any],
        normalisation: Normalisation,
        label_smoothing: float,
        sampled: int,
    ) -> None:
        self._network = network
        self._normalisation = normalisation
        self._label_smoothing = label_smoothing
        self._sampled = sampled

    def backward(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        step: int,
        generator: random.Random,
        largest_only: bool,
    ) -> float:
        """
        Add the gradients of one batch, and return the loss of the largest sub-network.

        :param images: N x 3 x H x W, colours in 0..255.
        """
        network = self._network
        logits = self._run(network.largest(), images)
        loss = functional.cross_entropy(logits, labels, label_smoothing=self._label_smoothing)
        loss.backward()
        if not largest_only:
            teacher = logits.detach().softmax(1)
            for configuration in self._smaller(step, generator):
                student = self._run(configuration, images)
                functional.cross_entropy(student, teacher).backward()
        return float(loss.detach())

    def _smaller(self, step: int, generator: random.Random) -> list[Any]:
        network = self._network
        if self._sampled == 1:
            return [network.smallest() if step % 2 else network.sample(generator)]
        others = [network.sample(generator) for _ in range(self._sampled - 1)]
        return [network.smallest(), *others]

    def _run(self, configuration: Configuration, images: torch.Tensor) -> torch.Tensor:
        self._network.activate(configuration)
        logits: torch.Tensor = self._network(
            self._normalisation(resize(images, configuration.resolution))
        )
        return logits
