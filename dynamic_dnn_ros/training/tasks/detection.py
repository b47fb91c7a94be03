# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training of detectors: quality focal, box and distribution losses, aligned assignment."""

from __future__ import annotations

from typing import Any

import torch

from dynamic_dnn_ros.bundles.manifest import TaskChoice
from dynamic_dnn_ros.datasets.registry import open_dataset
from dynamic_dnn_ros.networks.detector_layouts import STRIDES
from dynamic_dnn_ros.pictures.input import Interpolation, Preprocessing
from dynamic_dnn_ros.tasks.contract import Limits, Task
from dynamic_dnn_ros.tasks.registry import create_task
from dynamic_dnn_ros.training.batches import Normalisation
from dynamic_dnn_ros.training.configuration import TrainingConfiguration
from dynamic_dnn_ros.training.tasks.box_augmentation import BoxAugmentation
from dynamic_dnn_ros.training.tasks.contract import Batches, TrainingTask
from dynamic_dnn_ros.training.tasks.detection_batches import BoxBatches, BoxPictures

TEST_LIMITS = Limits(score=0.01, number=100, overlap=0.6)
"""For AP, which ranks detections and so needs many; as the authors of NanoDet-Plus test."""


def served_task(output_name: str) -> Task[Any, Any]:
    """Return the task of a trained detector's output."""
    return create_task('detection', served_options(output_name))


def served_options(output_name: str) -> dict[str, Any]:
    """Return the options of the task, as a manifest holds them."""
    return {
        'decoder': 'nanodet_plus',
        'output': output_name,
        'strides': list(STRIDES),
        'cell_offset': 0.0,
    }


class DetectionTraining(TrainingTask):
    """Pictures with boxes, in any layout that `datasets` reads."""

    name = 'detection'
    one_size_a_step = True

    def choice(self, output_name: str) -> TaskChoice:
        """Return the task of the trained network's output, for a manifest."""
        return TaskChoice(self.name, served_task(output_name).options())

    def preprocessing(self, configuration: TrainingConfiguration) -> Preprocessing:
        """Return how the trained network is to be shown camera frames."""
        return Preprocessing(
            resize=configuration.resize,
            mean=configuration.mean,
            standard_deviation=configuration.standard_deviation,
            interpolation=Interpolation.BILINEAR,
        )

    def read(
        self, configuration: TrainingConfiguration, preprocessing: Preprocessing, quiet: bool
    ) -> tuple[BoxPictures, BoxPictures]:
        """Return the pictures to train with, and the test pictures; see the contract."""
        source = open_dataset(configuration.training_data, 'detection', split='train')
        pictures = BoxPictures(source, preprocessing, configuration.workers)
        if configuration.test_every:
            return pictures.every(configuration.test_every)
        test = open_dataset(configuration.test_data, 'detection', split='test')
        return pictures, BoxPictures(test, preprocessing, configuration.workers)

    def check(self, configuration: TrainingConfiguration, pictures: Any) -> None:
        """Check the augmentation; pictures may have any size."""
        BoxAugmentation.of(configuration.augmentation)

    def batches(
        self,
        configuration: TrainingConfiguration,
        pictures: Any,
        device: torch.device,
        rank: int = 0,
        count: int = 1,
    ) -> Batches:
        """Return the batches of one of several processes; see the contract."""
        return BoxBatches(
            pictures,
            BoxAugmentation.of(configuration.augmentation),
            Normalisation(configuration.mean, configuration.standard_deviation),
            configuration.canvas,
            configuration.batch_size,
            device,
            rank,
            count,
        )
