# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork, SuperNetwork
from dynamic_dnn_ros.pictures.input import Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.training.model_card import describe, model_card
from support.training import training_configuration

ENTRIES = tuple(
    SubNetwork(
        id=f's{index}',
        configuration={},
        size=Size(24 + 8 * index, 24 + 8 * index),
        accuracy=0.5 + 0.1 * index,
        multiply_adds=1_234_000,
        parameters=56_789,
        layers=24,
    )
    for index in range(2)
)


@pytest.fixture
def manifest():
    return Manifest(
        name='colours',
        source=SuperNetwork('ofa_mobilenet_v3', {}),
        labels=('red', 'green'),
        preprocessing=Preprocessing(Resize.STRETCH, (0.5,) * 3, (0.25,) * 3),
        sub_networks=ENTRIES,
        description='trained on colours',
        accuracy_data='colours, 60 test pictures',
    )


def test_the_card_says_data_recipe_command_figures_and_limits(manifest, tmp_path):
    configuration = training_configuration(
        tmp_path,
        limits='Colours only.',
        augmentation=[{'RandomCrop': {'size': 32, 'padding': 4}}, 'RandomHorizontalFlip'],
        phases=[
            {'name': 'largest', 'rule': 'largest', 'epochs': 3, 'learning_rate': 0.08},
            {
                'name': 'grow',
                'rule': 'sampled',
                'epochs': 5,
                'warm_up': 0.5,
                'learning_rate': 0.04,
                'within': {'depth': [1, 2]},
                'sampled': 2,
                'teacher': 'largest',
                'sort_channels': True,
            },
        ],
    )
    commands = ['dynamic-dnn train colours.yaml', 'dynamic-dnn search colours.yaml']
    card = model_card(manifest, configuration, '8 epochs in 2 minutes', commands)
    assert card.startswith('# colours\n')
    for part in (
        '| s1 | 60.00 % | 1.23 M | 57 k | 24 | 32x32 |',
        'colours, 60 test pictures',
        'red, green',
        '8 epochs in 2 minutes.',
        '\n'.join(commands),
        '## Limits\n\nColours only.',
        '`RandomCrop(size=32, padding=4)`, `RandomHorizontalFlip()`',
        '| largest | largest | 3, 0 of warm-up | 0.08 to 0 | all | - | - |',
        '| grow | random ones (progressive shrinking) | 5, 0.5 of warm-up | 0.04 to 0 '
        '| depth 1, 2 | 2 | channels sorted first; distilled from the end of largest, weight 1 |',
    ):
        assert part in card


def test_further_figures_are_columns(manifest, tmp_path):
    card = model_card(
        manifest,
        training_configuration(tmp_path),
        'report',
        [],
        figures={'latency': ['1.00 ms', '2.00 ms']},
        selection='Chosen from the front.',
    )
    assert '| id | test accuracy | latency |' in card
    assert '| s1 | 60.00 % | 2.00 ms |' in card
    assert 'Chosen from the front.' in card


def test_a_line_describes_a_sub_network():
    assert describe(ENTRIES[1]) == ('s1: accuracy 60.00%, 1.23 M multiply-adds, 32x32 pixels')
