# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The heads of one sub-network's exits, trained while the sub-network stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from dynamic_dnn_ros.networks.contract import Choices, Configuration, ConfigurationError
from dynamic_dnn_ros.networks.cutting import Part, Tensors, parts_between
from dynamic_dnn_ros.networks.decisions import Decisions
from dynamic_dnn_ros.networks.exits import ExitConfiguration, ExitNetwork
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.training.batches import use_channels_last
from dynamic_dnn_ros.training.configuration import Phase, Rule, TrainingConfiguration
from dynamic_dnn_ros.training.space import OneSpace
from dynamic_dnn_ros.training.tasks.classification import (
    ClassificationLesson,
    ClassificationTraining,
)
from dynamic_dnn_ros.training.tasks.contract import Batches
from dynamic_dnn_ros.training.trainer import Trainer

PHASE = 'heads'

#: Bytes that features may take; of more, the sub-network runs in every step instead.
MEMORY = 3 * 2**30


class HeadsAlone(nn.Module):
    """
    A static sub-network in eval mode, and the heads of its exits, which train.

    The heads are those of the network that it was made of, so that these are trained.
    """

    def __init__(self, network: ExitNetwork, configuration: ExitConfiguration) -> None:
        super().__init__()
        exits = network.exits_of(configuration)
        steps = network.backbone.extract_steps(configuration.network)
        self.parts = nn.ModuleList(
            Part(part).eval() for part in parts_between(steps, list(exits))
        ).requires_grad_(False)
        self.exits = nn.ModuleList(network.exits[number] for number in exits.values())
        use_channels_last(self)

    def train(self, mode: bool = True) -> HeadsAlone:
        """Set the mode of the heads."""
        super().train(mode)
        self.parts.eval()
        return self

    @torch.no_grad()
    def features(self, images: torch.Tensor) -> Tensors:
        """Return what is handed on at the place of each exit, and the last answer."""
        found = []
        values: Tensors = (images,)
        for part in self.parts:
            values = part(*values)
            found.append(values[0])
        return tuple(found)

    def answers(self, given: torch.Tensor | Tensors) -> Tensors:
        """
        Return the answer at each exit, and the last one.

        :param given: images, or the features of some
        """
        *early, last = given if isinstance(given, tuple) else self.features(given)
        return (*(head(each) for head, each in zip(self.exits, early)), last)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the last answer."""
        return self.features(images)[-1]


class HeadSpace(OneSpace):
    """The heads of one sub-network, which alone train."""

    _network: ExitNetwork
    _configuration: ExitConfiguration

    def __init__(self, network: ExitNetwork, configuration: ExitConfiguration) -> None:
        """
        Make the heads of a sub-network ready to train.

        :param network: with the batch-norm statistics of the sub-network
        """
        super().__init__(network, configuration)
        self.recalibrated = False
        self.module: HeadsAlone = HeadsAlone(network, configuration)

    def exits(self, within: Choices) -> tuple[str, ...]:
        """Return the places of its exits."""
        return tuple(self._network.exits_of(self._configuration))

    def decisions(self, configuration: Configuration) -> Decisions:
        """Refuse: heads decide nothing by the picture."""
        raise ConfigurationError('rule', 'adaptive', 'exits: only heads are trained')

    def extract(self, configuration: Configuration) -> nn.Module:
        """Return the sub-network without its exits."""
        return self._network.extract(self._configuration)


class _FeatureBatch:
    """Features of pictures, of one size: the sub-network's."""

    def __init__(self, lesson: ClassificationLesson) -> None:
        self._lesson = lesson

    def __len__(self) -> int:
        return len(self._lesson.inputs[0])

    def at(self, size: Size) -> ClassificationLesson:
        return self._lesson


class _FeatureBatches:
    """Features that are computed once, and shown in an order drawn anew in each epoch."""

    def __init__(
        self,
        module: HeadsAlone,
        size: Size,
        batches: Sequence[Batches],
        batch_size: int,
        quiet: bool,
    ) -> None:
        """
        Take what is to be computed once an epoch begins: a training that is over needs nothing.

        :param batches: each gives all pictures once, altered otherwise than the others do
        :param batch_size: of a step
        """
        self._module = module
        self._size = size
        self._batches = batches
        self._batch_size = batch_size
        self._quiet = quiet
        self._template: ClassificationLesson | None = None
        self._features: list[torch.Tensor] = []
        self._labels = torch.empty(0, dtype=torch.int64)

    def __len__(self) -> int:
        return sum(map(len, self._batches))

    def _compute(self) -> ClassificationLesson:
        """Return a lesson of these pictures, whose features are kept."""
        kept: list[list[torch.Tensor]] = []
        labels: list[torch.Tensor] = []
        bar = tqdm(total=len(self), desc='features', unit='batch', disable=self._quiet or None)
        for view, each in enumerate(self._batches):
            for batch in each.batches(view):
                lesson = batch.at(self._size)
                assert isinstance(lesson, ClassificationLesson)
                template = lesson
                kept.append([part.half() for part in self._module.features(lesson.inputs)])
                labels.append(lesson.labels)
                bar.update()
        bar.close()
        self._features = [torch.cat(parts) for parts in zip(*kept)]
        self._labels = torch.cat(labels)
        return template

    def batches(self, seed: int) -> Iterator[_FeatureBatch]:
        if self._template is None:
            self._template = self._compute()
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(self._labels), generator=generator)
        for step in range(len(self)):
            chosen = order[step * self._batch_size : (step + 1) * self._batch_size]
            inputs = tuple(each[chosen].float() for each in self._features)
            yield _FeatureBatch(self._template.of(inputs, self._labels[chosen]))


class _FeatureTask(ClassificationTraining):
    """Classification by features that do not change while heads train."""

    def __init__(self, module: HeadsAlone, size: Size, views: int, quiet: bool) -> None:
        self._quiet = quiet
        self._module = module
        self._size = size
        self._views = views

    def batches(
        self,
        configuration: TrainingConfiguration,
        pictures: Any,
        device: torch.device,
        rank: int = 0,
        count: int = 1,
    ) -> Any:
        """Return batches of features; of pictures where features would fill the memory."""
        plain = super().batches(configuration, pictures, device, rank, count)
        example = self._module.features(torch.zeros(1, 3, *self._size, device=device))
        size = 2 * sum(each.numel() for each in example) * len(pictures) * self._views
        if size > MEMORY:
            return plain
        return _FeatureBatches(
            self._module,
            self._size,
            [plain] * self._views,
            configuration.batch_size,
            self._quiet,
        )


def train_heads(
    network: ExitNetwork,
    configuration: ExitConfiguration,
    training: TrainingConfiguration,
    phase: Phase,
    pictures: Any,
    work: Path,
    views: int = 2,
    quiet: bool = False,
) -> Trainer:
    """
    Train the heads of a sub-network's exits; killed and called again, it goes on.

    The sub-network runs once on each view of each picture, and its features are kept, where they
    fit into the memory.

    :param network: with the batch-norm statistics of the sub-network; its heads are trained
    :param training: augmentation, batches, optimizer and seed are taken from it
    :param phase: epochs and learning rate
    :param pictures: to train on, of the network's task
    :param work: folder of the checkpoint
    :param views: ways in which each picture is altered, at most
    :return: the trainer, which tells how long it took
    :raises CheckpointError: if the folder holds a checkpoint of something else, or is in use
    :raises DivergenceError: if the weights are no finite numbers any more
    """
    space = HeadSpace(network, configuration)
    task = _FeatureTask(space.module, configuration.size, views, quiet)
    trainer = Trainer(space, training, (phase,), work, task)
    trainer.train(pictures, None, quiet)
    network.eval()
    return trainer


def heads_phase(epochs: int, learning_rate: float) -> Phase:
    """Return the phase that trains heads."""
    return Phase(PHASE, Rule.EXITS, epochs, learning_rate, warm_up=min(0.5, epochs / 10))
