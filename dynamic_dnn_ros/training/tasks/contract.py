# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The contract of a task's training: from labelled data to the losses of a batch."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from dynamic_dnn_ros.bundles.manifest import TaskChoice
from dynamic_dnn_ros.pictures.input import Preprocessing
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.training.batches import Normalisation
from dynamic_dnn_ros.training.configuration import TrainingConfiguration

DataT = TypeVar('DataT', bound='TrainingData')


class TrainingData(Protocol):
    """Labelled pictures of a task."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the names of the classes."""

    def __len__(self) -> int:
        """Return the number of pictures."""

    def take(self: DataT, indices: npt.NDArray[np.int64]) -> DataT:
        """Return some of the pictures."""

    def first(self: DataT, count: int) -> DataT:
        """Return that many pictures, or all where there are fewer."""

    def split(self: DataT, held_out: int, seed: int) -> tuple[DataT, DataT]:
        """
        Return all but the held-out pictures, and the held-out ones, drawn by a seed.

        :raises DataError: if too few pictures would be left.
        """

    def identity(self) -> dict[str, Any]:
        """Return what tells these pictures from others: arrays and plain values."""

    def inputs(
        self, size: Size, normalisation: Normalisation, device: torch.device
    ) -> Iterator[torch.Tensor]:
        """Yield batches in order, fitted as a bundle has camera frames fitted."""

    def accuracy(self, module: nn.Module, size: Size, normalisation: Normalisation) -> float:
        """Return the accuracy, 0..1, of a static sub-network by the metric of the task."""


class Lesson(abc.ABC):
    """A batch at one size: what a sub-network is shown, and how well it answered."""

    students_learn_labels: ClassVar[bool]
    """
    Whether sub-networks that learn from the largest learn from the labels too.

    Where they do not, what the largest says is all that they learn.
    """

    inputs: torch.Tensor
    """N x 3 x height x width, normalised."""

    @abc.abstractmethod
    def loss(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return the loss on the labels."""

    @abc.abstractmethod
    def soft(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return what others can learn from these outputs, without gradients."""

    @abc.abstractmethod
    def distilled(self, outputs: torch.Tensor, soft: torch.Tensor) -> torch.Tensor:
        """Return the loss on what another network said, at the same size or, of classes, any."""


class Batch(Protocol):
    """Labelled pictures on the device that computes."""

    def __len__(self) -> int:
        """Return the number of pictures."""

    def at(self, size: Size) -> Lesson:
        """Return the pictures at a size, the same lesson for the same size."""


class Batches(Protocol):
    """Shuffled, altered batches of one process."""

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""

    def batches(self, seed: int) -> Iterator[Batch]:
        """Yield the batches of one epoch, the same for the same seed."""


class TrainingTask(abc.ABC):
    """How a task's data are read and made into batches."""

    name: ClassVar[str]

    one_size_a_step: ClassVar[bool]
    """
    Whether all sub-networks of a step are shown pictures of one size, drawn for each step.

    Where what they answer depends on the size, one cannot learn from another otherwise.
    """

    @abc.abstractmethod
    def choice(self, output_name: str) -> TaskChoice:
        """Return the task of the trained network's output, for a manifest."""

    @abc.abstractmethod
    def preprocessing(self, configuration: TrainingConfiguration) -> Preprocessing:
        """Return how the trained network is to be shown camera frames."""

    @abc.abstractmethod
    def read(
        self, configuration: TrainingConfiguration, preprocessing: Preprocessing, quiet: bool
    ) -> tuple[Any, Any]:
        """
        Return the pictures to train with, and the test pictures.

        :param preprocessing: how pictures are fitted that are not trained on.
        :raises DataError: if they cannot be used.
        """

    @abc.abstractmethod
    def check(self, configuration: TrainingConfiguration, pictures: Any) -> None:
        """
        Check that pictures can be altered as the configuration says.

        :raises TrainingConfigurationError: for an augmentation that does not exist.
        :raises DataError: naming the picture that cannot be used.
        """

    @abc.abstractmethod
    def batches(
        self,
        configuration: TrainingConfiguration,
        pictures: Any,
        device: torch.device,
        rank: int = 0,
        count: int = 1,
    ) -> Batches:
        """
        Return the batches of one of several processes.

        :raises DataError: if there are fewer pictures than processes.
        """
