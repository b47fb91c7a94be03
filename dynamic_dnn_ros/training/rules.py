# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The gradients of one step: the largest alone, progressive shrinking, or the sandwich rule.

Progressive shrinking: Cai et al., Once-for-All, ICLR 2020, section 3.3: random sub-networks, on
the labels and on what a frozen teacher says. Sandwich rule: Yu and Huang, Universally Slimmable
Networks, ICCV 2019, section 3: the largest on the labels, the smallest and random ones on what
the largest just said.
"""

from __future__ import annotations

import dataclasses
import random

import torch
from torch import nn
from torch.nn import functional

from dynamic_dnn_ros.networks.contract import Configuration
from dynamic_dnn_ros.training.arithmetic import Arithmetic
from dynamic_dnn_ros.training.batches import Normalisation, resize
from dynamic_dnn_ros.training.configuration import Phase, Rule
from dynamic_dnn_ros.training.space import Space


@dataclasses.dataclass(frozen=True)
class Teacher:
    """
    A network that gives soft labels and learns nothing.

    It runs in training mode, so that it normalises by the batch as its students do; published
    progressive shrinking does the same.
    """

    module: nn.Module
    configuration: Configuration


class Step:
    """Adds up the gradients of one batch as a phase's rule says."""

    def __init__(
        self,
        space: Space,
        phase: Phase,
        normalisation: Normalisation,
        label_smoothing: float,
        arithmetic: Arithmetic,
        teacher: Teacher | None = None,
    ) -> None:
        self._space = space
        self._phase = phase
        self._normalisation = normalisation
        self._label_smoothing = label_smoothing
        self._arithmetic = arithmetic
        self._teacher = teacher

    def backward(
        self, images: torch.Tensor, labels: torch.Tensor, generator: random.Random
    ) -> float:
        """
        Add the gradients of one batch, and return the loss on the labels.

        :param images: N x 3 x H x W, colours in 0..255.
        :param generator: draws the sub-networks.
        :return: cross-entropy of the largest sub-network, or the mean over the random ones where
            the rule trains these alone.
        """
        phase, space = self._phase, self._space
        batch = _Batch(images, self._normalisation)
        soft_labels = None
        if self._teacher is not None:
            with torch.no_grad():
                configuration = self._teacher.configuration
                inputs = batch.at(configuration.resolution)
                soft_labels = self._run(self._teacher.module, configuration, inputs).softmax(1)
        if phase.rule is Rule.SAMPLED:
            losses = [
                self._learn(space.sample(generator, phase.within), batch, labels, soft_labels)[0]
                for _ in range(phase.sampled)
            ]
            return sum(losses) / len(losses)
        loss, logits = self._learn(space.largest(phase.within), batch, labels, soft_labels)
        if phase.rule is Rule.SANDWICH:
            in_place = logits.softmax(1)
            students = [space.sample(generator, phase.within) for _ in range(phase.sampled)]
            for student in (space.smallest(phase.within), *students):
                answers = self._run(space.module, student, batch.at(student.resolution))
                self._arithmetic.backward(functional.cross_entropy(answers, in_place))
        return loss

    def _learn(
        self,
        configuration: Configuration,
        batch: _Batch,
        labels: torch.Tensor,
        soft_labels: torch.Tensor | None,
    ) -> tuple[float, torch.Tensor]:
        """Add one sub-network's gradients; return its loss on the labels and its logits."""
        inputs = batch.at(configuration.resolution)
        logits = self._run(self._space.module, configuration, inputs)
        loss = functional.cross_entropy(logits, labels, label_smoothing=self._label_smoothing)
        total = loss
        if soft_labels is not None:
            distilled = functional.cross_entropy(logits, soft_labels)
            total = loss + self._phase.distillation * distilled
        self._arithmetic.backward(total)
        return float(loss.detach()), logits.detach()

    def _run(
        self, module: nn.Module, configuration: Configuration, images: torch.Tensor
    ) -> torch.Tensor:
        self._space.activate(module, configuration)
        with self._arithmetic.autocast():
            logits: torch.Tensor = module(images)
        return logits.float()


class _Batch:
    """Pictures, scaled and normalised once for each resolution that is asked for."""

    def __init__(self, images: torch.Tensor, normalisation: Normalisation) -> None:
        self._images = images
        self._normalisation = normalisation
        self._scaled: dict[int, torch.Tensor] = {}

    def at(self, resolution: int) -> torch.Tensor:
        if resolution not in self._scaled:
            self._scaled[resolution] = self._normalisation(resize(self._images, resolution))
        return self._scaled[resolution]
