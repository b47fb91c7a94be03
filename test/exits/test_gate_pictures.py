# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What choices answer is asked once, of the pictures that are needed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dynamic_dnn_ros.exits.gate_pictures import HELD, TEST, TRAIN, ChoiceAnswers, answers_of_all
from dynamic_dnn_ros.networks.contract import DynamicNetwork
from dynamic_dnn_ros.networks.registry import create
from dynamic_dnn_ros.training.configuration import TrainingConfiguration
from dynamic_dnn_ros.training.pictures import Pictures
from support.bundles import LAYOUT
from support.shared_data import REPOSITORY

#: Networks are so small that threads only wait for each other.
pytestmark = pytest.mark.usefixtures('one_thread')

CONFIGURATION = dataclasses.replace(
    TrainingConfiguration.from_file(REPOSITORY / 'config/training/cifar10_ofa.yaml'),
    recalibration_pictures=64,
)


def pictures(count: int, seed: int) -> Pictures:
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (count, 32, 32, 3), np.uint8)
    return Pictures(images, generator.integers(0, 4, count), ('a', 'b', 'c', 'd'))


@pytest.fixture
def network() -> DynamicNetwork[Any]:
    torch.manual_seed(0)
    return create('ofa_mobilenet_v3', LAYOUT.to_mapping())


def asking(network: DynamicNetwork[Any], work: Path, **changes: Any) -> ChoiceAnswers:
    sets = (pictures(300, 0), pictures(40, 1), pictures(30, 2))
    return ChoiceAnswers(network, CONFIGURATION, sets, 250, work, 'w', quiet=True, **changes)


def test_each_view_of_a_picture_is_another(network: DynamicNetwork[Any], tmp_path: Path) -> None:
    choice = network.smallest({'resolution': (32,)})
    once, _ = asking(network, tmp_path).of(choice, 0)
    twice, _ = asking(network, tmp_path, views=2).of(choice, 0)
    assert once[f'{TRAIN}.logits'].shape[0] == 250
    logits = twice[f'{TRAIN}.logits']
    assert logits.shape[0] == 500
    np.testing.assert_array_equal(logits[:250], once[f'{TRAIN}.logits'])
    assert np.abs(np.sort(logits[250:], 0) - np.sort(logits[:250], 0)).max() > 1e-4
    np.testing.assert_array_equal(twice[f'{HELD}.logits'], once[f'{HELD}.logits'])


def test_the_last_choice_need_not_be_asked_of_what_a_gate_learns_from(
    network: DynamicNetwork[Any], tmp_path: Path
) -> None:
    choices = [
        network.smallest({'resolution': (32,)}),
        network.largest({'resolution': (32,)}),
    ]
    ask = asking(network, tmp_path)
    (first, last), _ = answers_of_all(ask, choices, 0, str, last_trains=False)
    assert f'{TRAIN}.logits' in first
    assert f'{TRAIN}.logits' not in last
    (_, whole), _ = answers_of_all(ask, choices, 0, str)
    np.testing.assert_array_equal(whole[f'{TEST}.logits'], last[f'{TEST}.logits'])
    assert f'{TRAIN}.logits' in whole, 'what was kept without it is not taken for it'


def test_what_is_right_of_a_sub_network_as_it_is_in_the_bundle(
    network: DynamicNetwork[Any], tmp_path: Path
) -> None:
    choice = network.largest({'resolution': (32,)})
    ask = asking(network, tmp_path)
    answers, recalibrated = ask.of(choice, 0, trains=False)
    right = ask.right_of(choice, recalibrated)
    for name, count in ((HELD, 40), (TEST, 30)):
        said = answers[f'{name}.logits'].argmax(1) == answers[f'{name}.labels']
        assert said.shape == (count,)
        np.testing.assert_array_equal(right[name], said)
    network.activate(network.smallest())
    again = ask.right_of(choice, {})
    np.testing.assert_array_equal(again[TEST], right[TEST], 'it is asked once')
