# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training of classifiers: cross-entropy on labels, and on what another network says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from dynamic_dnn_ros.bundles.manifest import CLASSIFICATION, TaskChoice
from dynamic_dnn_ros.pictures.input import Preprocessing
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.training.augmentation import check_augmentation, make_augmentation
from dynamic_dnn_ros.training.batches import (
    CAMERA_INTERPOLATION,
    Normalisation,
    TrainingBatches,
    resize,
)
from dynamic_dnn_ros.training.configuration import TrainingConfiguration
from dynamic_dnn_ros.training.pictures import Pictures, read_pictures
from dynamic_dnn_ros.training.tasks.contract import Batches, Lesson, TrainingTask


class ClassificationTraining(TrainingTask):
    """Pictures with one folder a class."""

    name = 'classification'
    one_size_a_step = False

    def choice(self, output_name: str) -> TaskChoice:
        """Return the task of the trained network's output, for a manifest."""
        return CLASSIFICATION

    def preprocessing(self, configuration: TrainingConfiguration) -> Preprocessing:
        """Return how the trained network is to be shown camera frames."""
        return Preprocessing(
            resize=configuration.resize,
            mean=configuration.mean,
            standard_deviation=configuration.standard_deviation,
            interpolation=CAMERA_INTERPOLATION,
        )

    def read(
        self, configuration: TrainingConfiguration, preprocessing: Preprocessing, quiet: bool
    ) -> tuple[Pictures, Pictures]:
        """Return the pictures to train with, and the test pictures; see the contract."""

        def read_part(path: Path, split: str | None) -> Pictures:
            return read_pictures(path, quiet, preprocessing.resize, configuration.workers, split)

        training = read_part(configuration.training_data, 'train')
        if configuration.test_every:
            return training.every(configuration.test_every)
        return training, read_part(configuration.test_data, None)

    def check(self, configuration: TrainingConfiguration, pictures: Any) -> None:
        """Check that all pictures become of one size; see the contract."""
        check_augmentation(make_augmentation(configuration.augmentation), pictures)

    def batches(
        self,
        configuration: TrainingConfiguration,
        pictures: Any,
        device: torch.device,
        rank: int = 0,
        count: int = 1,
    ) -> Batches:
        """Return the batches of one of several processes; see the contract."""
        return _Batches(configuration, pictures, device, rank, count)


class _Batches:
    def __init__(
        self,
        configuration: TrainingConfiguration,
        pictures: Pictures,
        device: torch.device,
        rank: int,
        count: int,
    ) -> None:
        self._batches = TrainingBatches(
            pictures,
            make_augmentation(configuration.augmentation),
            configuration.batch_size,
            configuration.workers,
            device,
            rank,
            count,
        )
        self._normalisation = Normalisation(configuration.mean, configuration.standard_deviation)
        self._label_smoothing = configuration.label_smoothing

    def __len__(self) -> int:
        return len(self._batches)

    def batches(self, seed: int) -> Iterator[ClassificationBatch]:
        for images, labels in self._batches.batches(seed):
            yield ClassificationBatch(images, labels, self._normalisation, self._label_smoothing)


class ClassificationBatch:
    """
    Pictures, scaled and normalised once for each size that is asked for.

    :param images: N x 3 x H x W, colours in 0..255.
    :param labels: N, indices into the classes.
    """

    def __init__(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        normalisation: Normalisation,
        label_smoothing: float,
    ) -> None:
        self._images = images
        self._labels = labels
        self._normalisation = normalisation
        self._label_smoothing = label_smoothing
        self._lessons: dict[Size, ClassificationLesson] = {}

    def __len__(self) -> int:
        return len(self._labels)

    def at(self, size: Size) -> ClassificationLesson:
        """Return the pictures at a size."""
        if size not in self._lessons:
            inputs = self._normalisation(resize(self._images, size))
            self._lessons[size] = ClassificationLesson(inputs, self._labels, self._label_smoothing)
        return self._lessons[size]


class ClassificationLesson(Lesson):
    """Pictures with one class each."""

    students_learn_labels = False

    def __init__(self, inputs: torch.Tensor, labels: torch.Tensor, label_smoothing: float) -> None:
        self.inputs = inputs
        self.labels = labels
        self._label_smoothing = label_smoothing

    def of(self, inputs: Any, labels: torch.Tensor) -> ClassificationLesson:
        """Return a lesson with other inputs and labels, and the same smoothing."""
        return ClassificationLesson(inputs, labels, self._label_smoothing)

    def loss(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return the cross-entropy of logits, labels smoothed."""
        return functional.cross_entropy(
            outputs, self.labels, label_smoothing=self._label_smoothing
        )

    def soft(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return probabilities."""
        return outputs.detach().softmax(1)

    def distilled(self, outputs: torch.Tensor, soft: torch.Tensor) -> torch.Tensor:
        """Return the cross-entropy of logits, given probabilities."""
        return functional.cross_entropy(outputs, soft)
