# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import copy
import random

import pytest
import torch
from torch.nn import functional

from dynamic_dnn_ros.training.arithmetic import Arithmetic
from dynamic_dnn_ros.training.averaging import AveragedWeights
from dynamic_dnn_ros.training.batches import Normalisation
from dynamic_dnn_ros.training.configuration import Phase, Precision, Rule
from dynamic_dnn_ros.training.rules import Step, Teacher
from dynamic_dnn_ros.training.space import SuperNetworkSpace
from dynamic_dnn_ros.training.tasks.classification import ClassificationBatch
from support.training import colour_pictures, small_network

NORMALISATION = Normalisation((0.5,) * 3, (0.25,) * 3)
SMOOTHING = 0.1


@pytest.fixture
def batch():
    pictures = colour_pictures(8)
    return torch.from_numpy(pictures.images).permute(0, 3, 1, 2), torch.from_numpy(pictures.labels)


def _shown(batch):
    return ClassificationBatch(*batch, NORMALISATION, SMOOTHING)


def _step(rule, teacher=None, precision=Precision.FLOAT32, **changes):
    """Return a step of a rule, its network, and a list that it adds each activated network to."""
    network = small_network()
    runs = []
    activate = network.activate
    network.activate = lambda configuration: (runs.append(configuration), activate(configuration))
    phase = Phase('phase', rule, epochs=1, learning_rate=0.1, **changes)
    arithmetic = Arithmetic(torch.device('cpu'), precision)
    space = SuperNetworkSpace(network)
    average = AveragedWeights(network, 0.9)
    return Step(space, phase, arithmetic, teacher, average=average), network, runs


def _gradients(network):
    return {
        name: parameter.grad.clone()
        for name, parameter in network.named_parameters()
        if parameter.grad is not None
    }


def _logits(network, configuration, images):
    network.activate(configuration)
    inputs = functional.interpolate(
        images.float(), size=(configuration.resolution,) * 2, mode='bilinear', antialias=True
    )
    return network(NORMALISATION(inputs))


def _assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, msg=name)


def test_the_largest_of_a_space_learns_the_labels(batch):
    within = {'resolution': (24,), 'depth': (1,)}
    step, network, runs = _step(Rule.LARGEST, within=within)
    loss = step.backward(_shown(batch), random.Random(0))
    assert runs == [network.largest(within)]
    other = small_network()
    logits = _logits(other, other.largest(within), batch[0])
    expected = functional.cross_entropy(logits, batch[1], label_smoothing=SMOOTHING)
    expected.backward()
    assert loss == pytest.approx(float(expected.detach()))
    _assert_equal(_gradients(network), _gradients(other))


def test_random_ones_learn_the_labels_and_what_the_teacher_says(batch):
    teaching = small_network()
    teacher = Teacher(teaching.requires_grad_(False).train(), teaching.largest())
    step, network, runs = _step(Rule.SAMPLED, teacher, sampled=2, distillation=0.5)
    loss = step.backward(_shown(batch), random.Random(3))
    generator = random.Random(3)
    drawn = [network.sample(generator) for _ in range(2)]
    assert runs == drawn
    other = small_network()
    soft_labels = _logits(small_network(), other.largest(), batch[0]).detach().softmax(1)
    losses = []
    for configuration in drawn:
        logits = _logits(other, configuration, batch[0])
        losses.append(functional.cross_entropy(logits, batch[1], label_smoothing=SMOOTHING))
        (losses[-1] + 0.5 * functional.cross_entropy(logits, soft_labels)).backward()
    assert loss == pytest.approx(float(sum(losses).detach()) / 2)
    _assert_equal(_gradients(network), _gradients(other))


def test_the_smallest_and_random_ones_learn_what_the_largest_just_said(batch):
    step, network, runs = _step(Rule.SANDWICH, sampled=1)
    step.backward(_shown(batch), random.Random(3))
    drawn = network.sample(random.Random(3))
    assert runs == [network.largest(), network.smallest(), drawn]
    other = small_network()
    logits = _logits(other, other.largest(), batch[0])
    functional.cross_entropy(logits, batch[1], label_smoothing=SMOOTHING).backward()
    soft_labels = logits.detach().softmax(1)
    for configuration in (other.smallest(), drawn):
        functional.cross_entropy(_logits(other, configuration, batch[0]), soft_labels).backward()
    _assert_equal(_gradients(network), _gradients(other))


def test_bootstrapped_ones_learn_what_averaged_weights_say(batch):
    step, network, runs = _step(Rule.BOOTSTRAPPING, sampled=1)
    step._average.update()
    before = {name: each.detach().clone() for name, each in network.named_parameters()}
    with torch.no_grad():
        network.classifier.weight.mul_(2.0)
    step.backward(_shown(batch), random.Random(3))
    drawn = network.sample(random.Random(3))
    assert runs == [network.largest(), drawn, network.largest(), network.smallest(), drawn]
    other, averaged = small_network(), small_network()
    other.load_state_dict(network.state_dict())
    averaged.load_state_dict({**averaged.state_dict(), **before})
    with torch.no_grad():
        said = [_logits(averaged, each, batch[0]).softmax(1) for each in (other.largest(), drawn)]
    logits = _logits(other, other.largest(), batch[0])
    functional.cross_entropy(logits, batch[1], label_smoothing=SMOOTHING).backward()
    for configuration, soft in ((other.smallest(), sum(said) / 2), (drawn, said[0])):
        functional.cross_entropy(_logits(other, configuration, batch[0]), soft).backward()
    _assert_equal(_gradients(network), _gradients(other))


@pytest.mark.parametrize('rule', [Rule.SAMPLED, Rule.SANDWICH, Rule.BOOTSTRAPPING])
def test_random_ones_stay_within_their_phase(batch, rule):
    step, _, runs = _step(rule, sampled=3, within={'depth': (1,), 'kernel_size': (3,)})
    step.backward(_shown(batch), random.Random(0))
    assert {depth for each in runs for depth in each.depth} == {1}
    assert {size for each in runs for size in each.kernel_size} == {3}
    assert {ratio for each in runs for ratio in each.expand_ratio} == {2, 3}


def test_a_teacher_learns_nothing(batch):
    teaching = small_network()
    before = copy.deepcopy(dict(teaching.named_parameters()))
    teacher = Teacher(teaching.requires_grad_(False).train(), teaching.largest())
    step, _, _ = _step(Rule.LARGEST, teacher)
    step.backward(_shown(batch), random.Random(0))
    for name, parameter in teaching.named_parameters():
        assert parameter.grad is None
        assert torch.equal(parameter, before[name])


def test_half_precision_gives_nearly_the_same_gradients(batch):
    gradients = []
    for precision in (Precision.FLOAT32, Precision.BFLOAT16):
        step, network, _ = _step(Rule.LARGEST, precision=precision)
        step.backward(_shown(batch), random.Random(0))
        gradients.append(network.classifier.weight.grad.flatten())
    assert gradients[1].dtype is torch.float32
    assert not torch.equal(*gradients)
    assert torch.cosine_similarity(*gradients, dim=0) > 0.98
