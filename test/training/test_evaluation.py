# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.training.batches import Normalisation, plain_batches
from dynamic_dnn_ros.training.evaluation import accuracy, recalibrate
from support.training import colour_pictures, small_network

NORMALISATION = Normalisation((0.5,) * 3, (0.25,) * 3)


class _Colour(nn.Module):
    """Sees the mean colour only."""

    def __init__(self):
        super().__init__()
        self.batch_norm = nn.BatchNorm2d(3)

    def forward(self, images):
        return self.batch_norm(images).mean((2, 3))


def _normalised(pictures):
    return (torch.from_numpy(pictures.images).double() / 255 - 0.5) / 0.25


@pytest.mark.parametrize('count', [500, 251])
def test_recalibration_averages_over_all_pictures(count):
    """The last of 251 is a batch of its own, and counts no more than any other picture."""
    pictures = colour_pictures(count)
    module = _Colour().eval()
    recalibrate(module, pictures, Size(32, 32), NORMALISATION)
    normalised = _normalised(pictures)
    torch.testing.assert_close(
        module.batch_norm.running_mean, normalised.mean((0, 1, 2)).float(), atol=1e-3, rtol=0
    )
    assert not module.batch_norm.training
    assert module.batch_norm.momentum == 0.1


def test_recalibration_does_not_hang_on_the_order_of_the_pictures():
    pictures = colour_pictures(500)
    by_class = pictures.take(np.argsort(pictures.labels, kind='stable'))
    module = _Colour().eval()
    recalibrate(module, by_class, Size(32, 32), NORMALISATION)
    expected = _normalised(pictures).var((0, 1, 2)).float()
    torch.testing.assert_close(module.batch_norm.running_var, expected, rtol=0.05, atol=0.0)


def test_accuracy_is_the_share_of_right_answers():
    pictures = colour_pictures(100)

    class Constant(nn.Module):
        def forward(self, images):
            return nn.functional.one_hot(torch.full((len(images),), 3), 10).float()

    assert accuracy(Constant(), pictures, Size(32, 32), NORMALISATION) == 0.1


def test_recalibration_restores_the_accuracy_of_a_sub_network():
    pictures = colour_pictures(100)
    network = small_network().train()
    smallest = network.smallest()
    network.activate(smallest)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    generator = random.Random(0)
    for _ in range(12):
        for images, labels in plain_batches(pictures, Size(24, 24), NORMALISATION, batch_size=25):
            optimizer.zero_grad()
            functional.cross_entropy(network(images), labels).backward()
            optimizer.step()
    # The statistics of other sub-networks are not the smallest's.
    with torch.no_grad():
        for _ in range(20):
            configuration = network.sample(generator, {'depth': (2,), 'expand_ratio': (3,)})
            network.activate(configuration)
            for images, _ in plain_batches(pictures, configuration.size, NORMALISATION, 50):
                network(images)
    module = network.extract(smallest)
    before = accuracy(module, pictures, smallest.size, NORMALISATION)
    recalibrate(module, pictures, smallest.size, NORMALISATION)
    after = accuracy(module, pictures, smallest.size, NORMALISATION)
    assert after > 0.7
    assert after > before + 0.2
