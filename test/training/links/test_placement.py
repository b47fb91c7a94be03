# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dynamic_dnn_ros.training.arithmetic import Arithmetic
from dynamic_dnn_ros.training.configuration import Phase, Precision, Rule
from dynamic_dnn_ros.training.links.placement import parts_of, placements
from dynamic_dnn_ros.training.links.planning import advice, describe, measured_placements
from dynamic_dnn_ros.training.links.ratios import Links
from dynamic_dnn_ros.training.links.workload import Operator, measure_operators, measure_steps
from dynamic_dnn_ros.training.space import SuperNetworkSpace
from dynamic_dnn_ros.training.tasks.classification import ClassificationTraining
from support.training import colour_pictures, small_network, training_configuration

SLOW, FAST = 1e6, 125e6
"""Bytes a second: 8 Mbit/s, 1 Gbit/s."""


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _operators(parameters, handed_on, count=8):
    return [Operator(f'layer{index}', 0.1, parameters, handed_on, True) for index in range(count)]


def _by_name(found):
    return {placement.name: placement for placement in found}


def test_many_parameters_and_little_handed_on_make_a_pipeline():
    operators = _operators(parameters=50_000_000, handed_on=10_000)
    best, *_ = placements(
        operators, Links.uniform(2, SLOW), 25.0, compute_seconds=0.8, pictures=64
    )
    assert best.name == 'pipeline'
    assert best.ends == ('layer3',)
    assert best.workers == ((0,), (1,))
    # Eight parts, each of a quarter of a batch: nine times half a network.
    np.testing.assert_allclose(best.seconds, 9 * 0.25 * 0.4, rtol=0.01)


def test_parts_of_few_pictures_take_what_is_measured_of_them():
    operators = _operators(parameters=50_000_000, handed_on=10_000)
    asked = []

    def seconds_at(pictures):
        asked.append(pictures)
        return [0.05] * len(operators)  # A quarter of the pictures takes half the time.

    links = Links.uniform(2, SLOW)
    best, *_ = placements(operators, links, 25.0, 1.6, pictures=64, seconds_at=seconds_at)
    assert asked == [16]
    # A step takes twice what its operators do, and so does each part.
    np.testing.assert_allclose(best.seconds, 9 * 2 * 4 * 0.05, rtol=0.01)


def test_few_parameters_and_much_handed_on_stay_data_parallel():
    operators = _operators(parameters=100_000, handed_on=50_000_000)
    best, *_ = placements(
        operators, Links.uniform(2, SLOW), 25.0, compute_seconds=0.8, pictures=64
    )
    assert best.name == 'data parallel, compressed'
    assert best.ends == ()


def test_two_laboratories_are_two_stages():
    bandwidth = np.full((4, 4), FAST)
    bandwidth[:2, 2:] = bandwidth[2:, :2] = SLOW
    links = Links(bandwidth, np.zeros((4, 4)))
    found = _by_name(placements(_operators(50_000_000, 10_000), links, 25.0, 0.8, 64))
    assert found['mixed'].workers == ((0, 1), (2, 3))
    assert len(found['mixed'].ends) == 1
    assert found['mixed'].seconds < found['data parallel, all sent'].seconds


def test_clusters_that_are_not_alike_make_no_stages():
    bandwidth = np.full((3, 3), FAST)
    bandwidth[:2, 2] = bandwidth[2, :2] = SLOW
    links = Links(bandwidth, np.zeros((3, 3)))
    found = _by_name(placements(_operators(50_000_000, 10_000), links, 25.0, 0.8, 64))
    assert 'mixed' not in found and 'pipeline' in found


@pytest.mark.parametrize(('pictures', 'parts'), [(128, 8), (6, 6), (26, 2), (13, 1)])
def test_pictures_go_through_stages_in_equal_parts(pictures, parts):
    assert parts_of(pictures, 2) == parts


def test_a_network_that_cannot_be_cut_is_no_pipeline():
    whole = [Operator('all', 0.5, 1_000_000, 1000, False)]
    found = _by_name(placements(whole, Links.uniform(2, SLOW), 25.0, 0.5, 64))
    assert set(found) == {'data parallel, all sent', 'data parallel, compressed'}


def test_the_advice_is_what_train_can_do():
    found = placements(_operators(50_000_000, 10_000), Links.uniform(2, SLOW), 25.0, 0.8, 64)
    assert 'cut after layer3 (process 0; process 1)' in describe(found)[0]
    assert advice(found).startswith("`placement: best` trains as 'pipeline'")
    fast = placements(_operators(1000, 50_000_000), Links.uniform(2, FAST), 25.0, 0.8, 64)
    assert advice(fast) == "`compression: none` trains as 'data parallel, all sent'"


def test_a_plan_of_a_training_is_measured(one_thread):
    space = SuperNetworkSpace(small_network())
    phase = Phase('largest', Rule.LARGEST, epochs=1, learning_rate=0.1)
    task = ClassificationTraining()
    configuration = training_configuration(Path())
    pictures = colour_pictures(32)
    arithmetic = Arithmetic(torch.device('cpu'), Precision.FLOAT32)
    (only,) = measured_placements(space, phase, configuration, arithmetic, pictures, task, 25.0)
    assert only.name == 'data parallel, all sent'
    assert 0.0 < only.seconds < 10.0


class _Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 6)
        self.inner = nn.Linear(6, 6)
        self.last = nn.Linear(6, 2)

    def forward(self, inputs):
        outputs = self.first(inputs)
        return self.last(outputs + self.inner(outputs))


def test_operators_are_measured_and_cut_only_where_one_tensor_goes_on():
    operators = measure_operators(_Residual(), torch.zeros(3, 4))
    assert [(each.name, each.parameters, each.output_bytes) for each in operators] == [
        ('first', 30, 72),
        ('inner', 42, 72),
        ('add', 0, 72),
        ('last', 14, 24),
    ]
    assert [each.cut for each in operators] == [True, False, True, True]
    assert all(each.seconds > 0.0 for each in operators)


def test_steps_are_measured_and_stages_end_at_places():
    network = small_network()
    steps = SuperNetworkSpace(network).extract_steps(network.largest())
    operators = measure_steps(steps, torch.zeros(2, 3, *network.largest().size))
    places = network.places(network.largest())
    assert [each.name for each in operators if each.cut] == list(places)
    sizes = {each.name: each.output_bytes for each in operators}
    assert all(sizes[name] == 2 * 4 * np.prod(shape) for name, shape in places.items())
    assert sum(each.parameters for each in operators) == network.parameter_count(network.largest())


class _Deciding(nn.Linear):
    def forward(self, inputs):
        return super().forward(inputs) if inputs.sum() > 0 else inputs


def test_what_cannot_be_traced_is_one_operator():
    (operator,) = measure_operators(_Deciding(4, 4), torch.ones(3, 4))
    assert (operator.parameters, operator.output_bytes, operator.cut) == (20, 48, False)
