# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import torch
from torch import nn

from dynamic_dnn_ros.training.batches import Normalisation
from dynamic_dnn_ros.training.evaluation import accuracy, recalibrate
from dynamic_dnn_ros.training.trainer import Trainer
from support.training import colour_pictures, small_network, training_configuration

NORMALISATION = Normalisation((0.5,) * 3, (0.25,) * 3)


class _Colour(nn.Module):
    """Sees the mean colour only."""

    def __init__(self):
        super().__init__()
        self.batch_norm = nn.BatchNorm2d(3)

    def forward(self, images):
        return self.batch_norm(images).mean((2, 3))


def test_recalibration_averages_over_all_pictures():
    pictures = colour_pictures(500)
    module = _Colour().eval()
    recalibrate(module, pictures, 32, NORMALISATION)
    normalised = (torch.from_numpy(pictures.images).double() / 255 - 0.5) / 0.25
    torch.testing.assert_close(
        module.batch_norm.running_mean, normalised.mean((0, 1, 2)).float(), atol=1e-3, rtol=0
    )
    assert not module.batch_norm.training
    assert module.batch_norm.momentum == 0.1


def test_accuracy_is_the_share_of_right_answers():
    pictures = colour_pictures(100)

    class Constant(nn.Module):
        def forward(self, images):
            return nn.functional.one_hot(torch.full((len(images),), 3), 10).float()

    assert accuracy(Constant(), pictures, 32, NORMALISATION) == 0.1


def test_recalibration_restores_the_accuracy_of_a_sub_network(tmp_path):
    pictures = colour_pictures(400)
    network = small_network()
    Trainer(network, training_configuration(tmp_path, epochs=6, largest_only=0.2)).train(
        pictures, quiet=True
    )
    smallest = network.smallest()
    module = network.extract(smallest)
    # Statistics of the largest sub-network, or of a mixture of all, are not the smallest's.
    for child in module.modules():
        if isinstance(child, nn.BatchNorm2d):
            child.reset_running_stats()
    before = accuracy(module, pictures, smallest.resolution, NORMALISATION)
    recalibrate(module, pictures, smallest.resolution, NORMALISATION)
    after = accuracy(module, pictures, smallest.resolution, NORMALISATION)
    assert after > 0.7
    assert after > before + 0.3
