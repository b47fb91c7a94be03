# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The published schedules of a network that decides by the picture, and what they lead to."""

from __future__ import annotations

import random

import pytest
import torch

from dynamic_dnn_ros.networks.adaptive_resnet import AdaptiveResNet
from dynamic_dnn_ros.networks.checks import ConfigurationError
from dynamic_dnn_ros.training.arithmetic import Arithmetic
from dynamic_dnn_ros.training.batches import Normalisation
from dynamic_dnn_ros.training.configuration import (
    Phase,
    Precision,
    Rule,
    TrainingConfigurationError,
)
from dynamic_dnn_ros.training.rates import bounds_at, rate_loss, temperature_at
from dynamic_dnn_ros.training.rules import Step
from dynamic_dnn_ros.training.space import SuperNetworkSpace
from dynamic_dnn_ros.training.tasks.classification import ClassificationBatch

_STAGE = {'width': 8, 'middle': 8, 'blocks': 2, 'mode': 'layers', 'granularity': 0}
_LAYOUT = {'resolution': 16, 'stem': 8, 'classes': 3, 'stages': [_STAGE]}


def test_temperature_falls_from_five_to_a_tenth() -> None:
    assert [temperature_at(each) for each in (0.0, 1.0)] == pytest.approx([5.0, 0.1])
    assert temperature_at(0.5) == pytest.approx((5.0 * 0.1) ** 0.5)


def test_blocks_are_held_at_first_and_free_after_a_third() -> None:
    assert bounds_at(0.0, 0.4) == pytest.approx((0.4, 0.4))
    assert bounds_at(0.165, 0.4) == pytest.approx((0.2, 0.7))
    assert bounds_at(0.33, 0.4) == bounds_at(0.9, 0.4) == pytest.approx((0.0, 1.0))


def test_the_loss_is_that_of_the_whole_and_of_blocks_out_of_bounds() -> None:
    rates = [torch.tensor(0.2), torch.tensor(0.6)]
    held = rate_loss(torch.tensor(0.5), rates, 0.4, 0.0)
    assert float(held) == pytest.approx(0.1**2 + (0.2**2 + 0.2**2) / 2)
    assert float(rate_loss(torch.tensor(0.5), rates, 0.4, 1.0)) == pytest.approx(0.1**2)


def test_a_training_comes_to_the_work_that_was_asked_for() -> None:
    torch.manual_seed(0)
    network = AdaptiveResNet.from_layout(_LAYOUT)
    space = SuperNetworkSpace(network)
    phase = Phase('adaptive', Rule.ADAPTIVE, 1, 0.05, work=0.4, within={'ways': (2,)})
    step = Step(space, phase, Arithmetic(torch.device('cpu'), Precision.FLOAT32))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    normalisation = Normalisation((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    works = []
    for index in range(40):
        labels = torch.randint(0, 3, (16,))
        images = 100 * torch.rand(16, 3, 16, 16)
        images[torch.arange(16), labels] += 100
        optimizer.zero_grad()
        batch = ClassificationBatch(images, labels, normalisation, 0.0)
        step.backward(batch, random.Random(0), index / 40)
        optimizer.step()
        decisions = network.decisions()
        assert decisions is not None and decisions.temperature is None
        works.append(float(decisions.work().detach()))
    assert works[0] > 0.6 and sum(works[-10:]) / 10 == pytest.approx(0.4, abs=0.15)


def test_a_rule_that_cannot_be_kept_is_refused() -> None:
    network = AdaptiveResNet.from_layout(_LAYOUT)
    with pytest.raises(ConfigurationError, match='adaptive'):
        SuperNetworkSpace(network).decisions(network.smallest())
    with pytest.raises(TrainingConfigurationError, match='work'):
        Phase('adaptive', Rule.ADAPTIVE, 1, 0.05, work=1.0)
