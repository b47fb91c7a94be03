# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The gradients of one step: the largest alone, progressive shrinking, the sandwich rule, or exits.

Progressive shrinking: Cai et al., Once-for-All, ICLR 2020, section 3.3: random sub-networks, on
the labels and on what a frozen teacher says. Sandwich rule: Yu and Huang, Universally Slimmable
Networks, ICCV 2019, section 3: the largest on the labels, the smallest and random ones on what
the largest just said. Adaptive: blocks decide by the picture what of them runs; see `rates`.
Exits: Bouzidi et al., HADAS, DATE 2023: each on the labels and on what the last answer says.
In-place ensemble bootstrapping: Li et al., Dynamic Slimmable Network, CVPR 2021, section 3.3:
random ones on what the largest says with weights averaged over the steps, the smallest on the mean
of what that and random ones say with them.
"""

from __future__ import annotations

import dataclasses
import random

import torch
from torch import nn

from dynamic_dnn_ros.networks.contract import Choices, Configuration
from dynamic_dnn_ros.training.arithmetic import Arithmetic
from dynamic_dnn_ros.training.averaging import AveragedWeights
from dynamic_dnn_ros.training.configuration import Phase, Rule
from dynamic_dnn_ros.training.rates import SOFTNESS, WEIGHT, rate_loss, temperature_at
from dynamic_dnn_ros.training.space import Space
from dynamic_dnn_ros.training.tasks.contract import Batch, Lesson


@dataclasses.dataclass(frozen=True)
class Teacher:
    """
    A network that gives soft labels and learns nothing.

    It runs in training mode, so that it normalises by the batch as its students do; published
    progressive shrinking does the same. Only the static teacher of an adaptive network is in eval
    mode, as published.
    """

    module: nn.Module
    configuration: Configuration


class Step:
    """Adds up the gradients of one batch as a phase's rule says."""

    def __init__(
        self,
        space: Space,
        phase: Phase,
        arithmetic: Arithmetic,
        teacher: Teacher | None = None,
        one_size: bool = False,
        average: AveragedWeights | None = None,
    ) -> None:
        """
        Take what all batches of a phase have in common.

        :param one_size: show all sub-networks of a step pictures of one size, drawn anew.
        :param average: of the network's weights, which a rule of bootstrapping learns from.
        """
        self._space = space
        self._phase = phase
        self._arithmetic = arithmetic
        self._teacher = teacher
        self._one_size = one_size
        self._average = average

    def backward(self, batch: Batch, generator: random.Random, progress: float = 0.0) -> float:
        """
        Add the gradients of one batch, and return the loss on the labels.

        :param generator: draws the sub-networks.
        :param progress: share of the phase that is over, 0..1.
        :return: loss of the largest sub-network, or the mean over the random ones or the exits
            where the rule trains these alone.
        """
        phase, space = self._phase, self._space
        if phase.rule is Rule.EXITS:
            return self._learn_at_exits(space.largest(phase.within), batch)
        within: Choices = phase.within
        if self._one_size:
            within = space.of_one_size(generator, within)
        if phase.rule is Rule.ADAPTIVE:
            return self._adapt(batch, progress)
        soft = None
        if self._teacher is not None:
            with torch.no_grad():
                configuration = self._teacher.configuration
                if self._one_size:
                    configuration = space.largest(within)
                lesson = batch.at(configuration.size)
                soft = lesson.soft(self._run(self._teacher.module, configuration, lesson))
        if phase.rule is Rule.SAMPLED:
            losses = [
                self._learn(space.sample(generator, within), batch, soft)[0]
                for _ in range(phase.sampled)
            ]
            return sum(losses) / len(losses)
        if phase.rule is Rule.BOOTSTRAPPING:
            return self._bootstrap(batch, within, generator, soft)
        loss, in_place = self._learn(space.largest(within), batch, soft)
        if phase.rule is Rule.SANDWICH:
            students = [space.sample(generator, within) for _ in range(phase.sampled)]
            for student in (space.smallest(within), *students):
                lesson = batch.at(student.size)
                answers = self._run(space.module, student, lesson)
                imitation = lesson.distilled(answers, in_place)
                if lesson.students_learn_labels:
                    imitation = imitation + lesson.loss(answers)
                self._arithmetic.backward(imitation)
        return loss

    def _adapt(self, batch: Batch, progress: float) -> float:
        """Let the largest sub-network decide by the picture; return its loss on the labels."""
        phase, space = self._phase, self._space
        configuration = space.largest(phase.within)
        lesson = batch.at(configuration.size)
        decisions = space.decisions(configuration)
        decisions.temperature = temperature_at(progress)
        try:
            outputs = self._run(space.module, configuration, lesson)
        finally:
            decisions.temperature = None
        loss = lesson.loss(outputs)
        total = loss + WEIGHT * rate_loss(decisions.work(), decisions.rates, phase.work, progress)
        if self._teacher is not None:
            with torch.no_grad():
                module = self._teacher.module.eval()
                said = self._run(module, self._teacher.configuration, lesson)
            imitation = lesson.distilled(outputs / SOFTNESS, lesson.soft(said / SOFTNESS))
            total = total + phase.distillation * SOFTNESS**2 * imitation
        self._arithmetic.backward(total)
        return float(loss.detach())

    @torch.no_grad()
    def loss(self, batch: Batch) -> float:
        """Return the loss of the phase's largest sub-network on the labels; leaves no trace."""
        configuration = self._space.largest(self._phase.within)
        buffers = {name: each.clone() for name, each in self._space.module.named_buffers()}
        lesson = batch.at(configuration.size)
        loss = lesson.loss(self._run(self._space.module, configuration, lesson))
        for name, each in self._space.module.named_buffers():
            each.copy_(buffers[name])
        return float(loss)

    def _bootstrap(
        self, batch: Batch, within: Choices, generator: random.Random, soft: torch.Tensor | None
    ) -> float:
        """Add the gradients of all, each student on what averaged weights say; return the loss."""
        space = self._space
        assert self._average is not None, 'a configuration has averages where a rule needs them'
        drawn = [space.sample(generator, within) for _ in range(self._phase.sampled)]
        said = []
        with torch.no_grad(), self._average.in_place():
            for configuration in (space.largest(within), *drawn):
                lesson = batch.at(configuration.size)
                said.append(lesson.soft(self._run(space.module, configuration, lesson)))
        loss, _ = self._learn(space.largest(within), batch, soft)
        ensemble = torch.stack(said).mean(0)
        students = [(space.smallest(within), ensemble), *((each, said[0]) for each in drawn)]
        for student, taught in students:
            lesson = batch.at(student.size)
            answers = self._run(space.module, student, lesson)
            self._arithmetic.backward(lesson.distilled(answers, taught))
        return loss

    def _learn(
        self, configuration: Configuration, batch: Batch, soft: torch.Tensor | None
    ) -> tuple[float, torch.Tensor]:
        """Add one sub-network's gradients; return its loss on the labels, and what it teaches."""
        lesson = batch.at(configuration.size)
        outputs = self._run(self._space.module, configuration, lesson)
        loss = lesson.loss(outputs)
        total = loss
        if soft is not None:
            total = loss + self._phase.distillation * lesson.distilled(outputs, soft)
        self._arithmetic.backward(total)
        return float(loss.detach()), lesson.soft(outputs)

    def _learn_at_exits(self, configuration: Configuration, batch: Batch) -> float:
        """Add the gradients of all exits, and of the last answer where that trains."""
        lesson = batch.at(configuration.size)
        space = self._space
        space.activate(space.module, configuration)
        with self._arithmetic.autocast():
            answers = space.answers(lesson.inputs)
        *early, last = (answer.float() for answer in answers)
        soft = lesson.soft(last)
        losses = [lesson.loss(answer) for answer in early]
        imitations = [lesson.distilled(answer, soft) for answer in early]
        loss = torch.stack(losses).mean()
        total = loss + self._phase.distillation * torch.stack(imitations).mean()
        if last.requires_grad:
            total = total + lesson.loss(last)
        self._arithmetic.backward(total)
        return float(loss.detach())

    def _run(
        self, module: nn.Module, configuration: Configuration, lesson: Lesson
    ) -> torch.Tensor:
        self._space.activate(module, configuration)
        with self._arithmetic.autocast():
            outputs: torch.Tensor = module(lesson.inputs)
        return outputs.float()
