# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The heads of one sub-network's exits, trained while the sub-network stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
import json
from pathlib import Path
import random
from typing import Any

import torch
from torch import nn

from dynamic_dnn_ros.networks.contract import Choices, Configuration
from dynamic_dnn_ros.networks.cutting import Part, parts_between
from dynamic_dnn_ros.networks.exits import ExitConfiguration, ExitNetwork
from dynamic_dnn_ros.training.batches import use_channels_last
from dynamic_dnn_ros.training.configuration import Phase, Rule, TrainingConfiguration
from dynamic_dnn_ros.training.space import Space
from dynamic_dnn_ros.training.tasks.registry import training_task
from dynamic_dnn_ros.training.trainer import Trainer

PHASE = 'heads'


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

    def answers(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the answer at each exit, and the last one."""
        features = []
        values: tuple[torch.Tensor, ...] = (images,)
        with torch.no_grad():
            for part in self.parts:
                values = part(*values)
                features.append(values[0])
        *early, last = features
        return (*(head(each) for head, each in zip(self.exits, early)), last)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the last answer."""
        return self.answers(images)[-1]


class HeadSpace(Space):
    """One sub-network, whatever a rule asks for."""

    changes_shapes = False

    def __init__(self, network: ExitNetwork, configuration: ExitConfiguration) -> None:
        """
        Make the heads of a sub-network ready to train.

        :param network: with the batch-norm statistics of the sub-network
        """
        self.recalibrated = False
        self._network = network
        self._configuration = configuration
        self.module = HeadsAlone(network, configuration)

    def identity(self) -> dict[str, str]:
        """Return family, layout and configuration."""
        layout = json.dumps(self._network.layout_mapping(), sort_keys=True)
        configuration = json.dumps(self._configuration.to_mapping(), sort_keys=True)
        return {'family': self._network.family, 'layout': layout, 'configuration': configuration}

    def enter(self, phase: Phase, earlier: Sequence[Phase], anew: bool) -> None:
        """Do nothing: the heads alone train."""

    def largest(self, within: Choices) -> Configuration:
        """Return the one configuration."""
        return self._configuration

    def smallest(self, within: Choices) -> Configuration:
        """Return the one configuration."""
        return self._configuration

    def sample(self, generator: random.Random, within: Choices) -> Configuration:
        """Return the one configuration."""
        return self._configuration

    def of_one_size(self, generator: random.Random, within: Choices) -> Choices:
        """Return what was given: the one configuration has its size."""
        return within

    def exits(self, within: Choices) -> tuple[str, ...]:
        """Return the places of its exits."""
        return tuple(self._network.exits_of(self._configuration))

    def activate(self, module: nn.Module, configuration: Configuration) -> None:
        """Do nothing: the module runs nothing else."""

    def extract(self, configuration: Configuration) -> nn.Module:
        """Return the sub-network without its exits."""
        return self._network.extract(self._configuration)


def train_heads(
    network: ExitNetwork,
    configuration: ExitConfiguration,
    training: TrainingConfiguration,
    phase: Phase,
    pictures: Any,
    work: Path,
    quiet: bool = False,
) -> Trainer:
    """
    Train the heads of a sub-network's exits; killed and called again, it goes on.

    :param network: with the batch-norm statistics of the sub-network; its heads are trained
    :param training: augmentation, batches, optimizer and seed are taken from it
    :param phase: epochs and learning rate
    :param pictures: to train on, of the network's task
    :param work: folder of the checkpoint
    :return: the trainer, which tells how long it took
    :raises CheckpointError: if the folder holds a checkpoint of something else, or is in use
    :raises DivergenceError: if the weights are no finite numbers any more
    """
    trainer = Trainer(
        HeadSpace(network, configuration),
        training,
        (phase,),
        work,
        training_task(network.task),
    )
    trainer.train(pictures, None, quiet)
    network.eval()
    return trainer


def heads_phase(epochs: int, learning_rate: float) -> Phase:
    """Return the phase that trains heads."""
    return Phase(PHASE, Rule.EXITS, epochs, learning_rate, warm_up=min(0.5, epochs / 10))
