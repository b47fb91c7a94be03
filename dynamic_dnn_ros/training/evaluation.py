# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Batch-norm recalibration and accuracy of a static sub-network."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.training.batches import Normalisation
from dynamic_dnn_ros.training.tasks.contract import TrainingData


@torch.no_grad()
def recalibrate(
    module: nn.Module, pictures: TrainingData, size: Size, normalisation: Normalisation
) -> None:
    """
    Replace batch-norm statistics by the average of those of the pictures' batches.

    A sub-network that shares weights was never trained with statistics of its own; without this
    step its accuracy can fall to chance (Yu and Huang, Universally Slimmable Networks, ICCV 2019,
    section 3.2). Works on the extracted sub-network, which keeps the rest of its mode.

    The pictures are taken in an order that does not hang on theirs, the same in each call: where
    a batch holds few of the classes, as of sorted pictures, its variance is too small.
    """
    batch_norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [batch_norm.momentum for batch_norm in batch_norms]
    for batch_norm in batch_norms:
        batch_norm.reset_running_stats()
        batch_norm.train()
    mixed = pictures.take(np.random.default_rng(0).permutation(len(pictures)))
    device = _device_of(module)
    seen = 0
    for images in mixed.inputs(size, normalisation, device):
        seen += len(images)
        for batch_norm in batch_norms:
            # So each picture counts alike, also those of a last batch of few.
            batch_norm.momentum = len(images) / seen
        module(images)
    for batch_norm, momentum in zip(batch_norms, momenta):
        batch_norm.momentum = momentum
        batch_norm.eval()


def accuracy(
    module: nn.Module, pictures: TrainingData, size: Size, normalisation: Normalisation
) -> float:
    """Return the accuracy, 0..1, of a static sub-network, by the metric of the pictures' task."""
    return pictures.accuracy(module, size, normalisation)


def _device_of(module: nn.Module) -> torch.device:
    return next((parameter.device for parameter in module.parameters()), torch.device('cpu'))
