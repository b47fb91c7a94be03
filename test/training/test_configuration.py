# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dynamic_dnn_ros.training.configuration import (
    TrainingConfiguration,
    TrainingConfigurationError,
)
from support.shared_data import REPOSITORY

MAPPING = {
    'name': 'colours',
    'training_data': 'train',
    'test_data': 'test',
    'data_name': 'noisy colours',
    'output': 'bundle',
    'work': 'work',
    'family': 'ofa_mobilenet_v3',
    'layout': 'ofa_mbv3_32x32',
    'mean': [0.5, 0.5, 0.5],
    'standard_deviation': [0.25, 0.25, 0.25],
    'epochs': 2,
}


def test_a_file_gives_typed_values(tmp_path, monkeypatch):
    monkeypatch.setenv('PICTURES', '/data')
    path = tmp_path / 'colours.yaml'
    path.write_text(yaml.safe_dump({**MAPPING, 'training_data': '$PICTURES/train'}))
    configuration = TrainingConfiguration.from_file(path)
    assert configuration.training_data == Path('/data/train')
    assert configuration.mean == (0.5, 0.5, 0.5)
    assert configuration.epochs == 2


@pytest.mark.parametrize('path', sorted((REPOSITORY / 'config' / 'training').glob('*.yaml')))
def test_shipped_configurations_can_be_read(path):
    assert TrainingConfiguration.from_file(path).name == path.stem


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'nonesuch': 1}, 'unknown field nonesuch'),
        ({'seconds': 10.0}, 'either epochs or seconds'),
        ({'epochs': 0}, 'either epochs or seconds'),
        ({'epochs': 1.5}, 'epochs is 1.5'),
        ({'epochs': True}, 'epochs is True'),
        ({'name': 3}, 'name is 3'),
        ({'mean': [0.5]}, 'mean is'),
        ({'mean': 'grey'}, 'mean is'),
        ({'work': 3}, 'work is 3'),
        ({'batch_size': 0}, 'batch_size is 0'),
        ({'largest_only': 1.0}, 'largest_only is 1.0'),
        ({'sub_networks': 1}, 'sub_networks is 1'),
    ],
)
def test_illegal_fields_are_named_with_the_file(tmp_path, changes, message):
    path = tmp_path / 'colours.yaml'
    path.write_text(yaml.safe_dump({**MAPPING, **changes}))
    with pytest.raises(TrainingConfigurationError, match=message) as caught:
        TrainingConfiguration.from_file(path)
    assert str(path) in str(caught.value)


def test_a_missing_field_is_named():
    mapping = {name: value for name, value in MAPPING.items() if name != 'family'}
    with pytest.raises(TrainingConfigurationError, match='family is missing'):
        TrainingConfiguration.from_mapping(mapping)


@pytest.mark.parametrize('content', ['- a list', '{broken', None])
def test_a_file_that_is_no_configuration_is_named(tmp_path, content):
    path = tmp_path / 'colours.yaml'
    if content is not None:
        path.write_text(content)
    with pytest.raises(TrainingConfigurationError, match=str(path)):
        TrainingConfiguration.from_file(path)
