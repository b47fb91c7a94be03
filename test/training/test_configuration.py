# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from dynamic_dnn_ros.networks.registry import create
from dynamic_dnn_ros.pictures.input import Resize
from dynamic_dnn_ros.training.augmentation import make_augmentation
from dynamic_dnn_ros.training.configuration import (
    Phase,
    Precision,
    Rule,
    TrainingConfiguration,
    TrainingConfigurationError,
)
from dynamic_dnn_ros.training.tasks.box_augmentation import BoxAugmentation
from support.shared_data import REPOSITORY
from support.training import PHASES, training_mapping

SHIPPED = sorted((REPOSITORY / 'config' / 'training').glob('*.yaml'))
PHASE = {'name': 'first', 'rule': 'sampled', 'epochs': 4, 'learning_rate': '1e-2'}


def _write(folder, **changes):
    path = folder / 'colours.yaml'
    path.write_text(yaml.safe_dump(training_mapping(folder, **changes)))
    return path


def test_a_file_gives_typed_values(tmp_path, monkeypatch):
    monkeypatch.setenv('PICTURES', '/data')
    configuration = TrainingConfiguration.from_file(
        _write(
            tmp_path,
            training_data='$PICTURES/train',
            precision='bfloat16',
            resize='center_crop',
            augmentation=['TrivialAugmentWide', {'RandomHorizontalFlip': None}],
            search={'population': 8},
        )
    )
    assert configuration.training_data == Path('/data/train')
    assert configuration.mean == (0.5, 0.5, 0.5)
    assert configuration.phases == PHASES
    assert configuration.precision is Precision.BFLOAT16
    assert configuration.resize is Resize.CENTER_CROP
    assert configuration.augmentation == ({'TrivialAugmentWide': {}}, {'RandomHorizontalFlip': {}})
    assert configuration.search == {'population': 8}


def test_a_phase_is_what_its_mapping_says_and_back():
    mapping = {
        **PHASE,
        'within': {'depth': [1, 2]},
        'freeze': {'groups': 1},
        'teacher': 'largest',
        'warm_up': 0.5,
    }
    phase = Phase.from_mapping(mapping)
    assert phase.rule is Rule.SAMPLED
    assert phase.learning_rate == 0.01
    assert phase.within == {'depth': (1, 2)}
    assert phase.freeze == {'groups': 1}
    assert Phase.from_mapping(phase.to_mapping()) == phase


def test_the_learning_rate_rises_then_falls_along_half_a_cosine():
    phase = dataclasses.replace(
        PHASES[0], epochs=10, warm_up=2.0, learning_rate=0.4, final_learning_rate=0.1
    )
    rates = [phase.learning_rate_at(step / 10) for step in range(101)]
    assert rates[0] == 0.0
    assert rates[10] == pytest.approx(0.2)
    assert max(rates) == rates[20] == pytest.approx(0.4)
    assert rates[60] == pytest.approx(0.25)
    assert rates[100] == pytest.approx(0.1)
    assert rates[20:] == sorted(rates[20:], reverse=True)


@pytest.mark.parametrize('path', SHIPPED, ids=lambda path: path.stem)
def test_shipped_configurations_fit_their_networks(path):
    configuration = TrainingConfiguration.from_file(path)
    assert configuration.name == path.stem
    network = create(configuration.family, configuration.layout)
    for phase in configuration.phases:
        network.smallest(phase.within)
        network.largest({name: (value,) for name, value in phase.freeze.items()})
    made = {'classification': make_augmentation, 'detection': BoxAugmentation.of}
    made[network.task](configuration.augmentation)


def test_the_published_recipe_grows_its_space_as_published():
    path = REPOSITORY / 'config' / 'training' / 'imagenet_ofa_progressive_shrinking.yaml'
    configuration = TrainingConfiguration.from_file(path)
    network = create(configuration.family, configuration.layout)
    smallest = []
    for phase in configuration.phases:
        least = network.smallest(phase.within)
        smallest.append((least.kernel_size[0], least.depth[0], least.expand_ratio[0]))
    assert smallest == [(7, 4, 6), (3, 4, 6), (3, 3, 6), (3, 2, 6), (3, 2, 4), (3, 2, 3)]
    assert [phase.epochs for phase in configuration.phases[1:]] == [120, 25, 120, 25, 120]
    assert [phase.sampled for phase in configuration.phases[1:]] == [1, 2, 2, 4, 4]
    published = [3e-2, 2.5e-3, 7.5e-3, 2.5e-3, 7.5e-3]
    assert [phase.learning_rate / 32 for phase in configuration.phases[1:]] == pytest.approx(
        published
    )


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'stored_precision': 'bfloat16'}, 'stored_precision is bfloat16: float32 or float16'),
        ({'nonesuch': 1}, 'unknown field nonesuch'),
        ({'name': 3}, 'name is 3'),
        ({'name': 'My pictures'}, "name is 'My pictures': small letters, digits, underscores"),
        ({'seed': -1}, 'seed is -1: at least 0'),
        ({'mean': [123.7, 116.3, 103.5]}, 'mean is .*: 0..1, of colours in 0..1'),
        ({'standard_deviation': [0.25, 0.0, 0.25]}, 'standard_deviation is .*: above 0'),
        ({'momentum': 0.0}, 'momentum is 0.0: above 0, below 1'),
        ({'weight_decay': -1e-4}, 'weight_decay is -0.0001: at least 0'),
        ({'label_smoothing': 1.5}, 'label_smoothing is 1.5: at least 0, below 1'),
        ({'gradient_limit': 0}, 'gradient_limit is 0.0: above 0'),
        ({'mean': [0.5]}, 'mean is'),
        ({'mean': 'grey'}, 'mean is'),
        ({'work': 3}, 'work is 3'),
        ({'batch_size': 0}, 'batch_size is 0'),
        ({'batch_size': 1.5}, 'batch_size is 1.5'),
        ({'batch_size': True}, 'batch_size is True'),
        ({'batch_size': float('inf')}, 'batch_size is inf'),
        ({'search': 3}, 'search is 3'),
        ({'precision': 'float8'}, "precision: 'float8' is none of auto, float32"),
        ({'augmentation': [{'RandomCrop': {}, 'RandomHorizontalFlip': {}}]}, 'augmentation is'),
        ({'phases': []}, 'phases is empty'),
        ({'phases': {}}, 'phases is'),
        ({'phases': [3]}, r'phases: \[0\]: 3 is given: a mapping'),
        ({'phases': [PHASE, PHASE]}, "two phases are named 'first'"),
        ({'phases': [{**PHASE, 'rule': 'nonesuch'}]}, 'rule: .*largest, sampled, sandwich'),
        ({'phases': [{**PHASE, 'epochs': 0}]}, "phase 'first': epochs is 0"),
        ({'phases': [{**PHASE, 'sampled': 0}]}, "phase 'first': sampled is 0"),
        ({'phases': [{**PHASE, 'warm_up': 4}]}, 'warm_up is 4.0: .* fewer than 4'),
        ({'phases': [{**PHASE, 'final_learning_rate': 1.0}]}, 'final_learning_rate is 1.0'),
        ({'phases': [{**PHASE, 'teacher': 'largest'}]}, "teacher is 'largest': .*there is none"),
        ({'phases': [{**PHASE, 'within': {'depth': 2}}]}, 'within is'),
        ({'phases': [{'name': 'first'}]}, 'rule is missing'),
    ],
)
def test_illegal_fields_are_named_with_the_file(tmp_path, changes, message):
    path = _write(tmp_path, **changes)
    with pytest.raises(TrainingConfigurationError, match=message) as caught:
        TrainingConfiguration.from_file(path)
    assert str(path) in str(caught.value)


def test_a_missing_field_is_named(tmp_path):
    mapping = training_mapping(tmp_path)
    del mapping['family']
    with pytest.raises(TrainingConfigurationError, match='family is missing'):
        TrainingConfiguration.from_mapping(mapping)


@pytest.mark.parametrize('content', [b'- a list', b'{broken', b'\xff\xfe\xfa', b'', None])
def test_a_file_that_is_no_configuration_is_named(tmp_path, content):
    path = tmp_path / 'colours.yaml'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TrainingConfigurationError, match=str(path)) as caught:
        TrainingConfiguration.from_file(path)
    assert content is not None or 'No such file or directory). Give the path' in str(caught.value)


@pytest.mark.parametrize('key', ['phases', 'batch_size'])
def test_a_key_given_twice_is_refused_with_both_lines(tmp_path, key):
    path = _write(tmp_path)
    lines = path.read_text().splitlines()
    first = next(number for number, line in enumerate(lines, 1) if line.startswith(key))
    path.write_text('\n'.join([*lines, f'{key}: 1']))
    said = rf"'{key}' is given twice, in line {first} and in line {len(lines) + 1}"
    with pytest.raises(TrainingConfigurationError, match=rf'colours.yaml: {said}'):
        TrainingConfiguration.from_file(path)


def test_a_byte_order_mark_is_no_part_of_a_configuration(tmp_path):
    path = _write(tmp_path)
    path.write_text('\ufeff' + path.read_text(), encoding='utf-8')
    assert TrainingConfiguration.from_file(path).name == 'colours'
