# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dynamic_dnn_ros.networks.registry import create
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.search.settings import SearchSettings
from dynamic_dnn_ros.training.configuration import (
    TrainingConfiguration,
    TrainingConfigurationError,
)
from dynamic_dnn_ros.training.proposal import (
    Computer,
    batch_size_of,
    epochs_of,
    held_out_of,
    propose,
    warnings,
)
from dynamic_dnn_ros.training.starting_file import starting_text
from dynamic_dnn_ros.training.survey import Survey
from dynamic_dnn_ros.yaml_files import parse_yaml

CPU = Computer(cores=4, gpu=False, backbone=False)
GPU = replace(CPU, gpu=True, backbone=True)
THUMBNAILS = Survey(
    path=Path('pictures'),
    detection=False,
    classes=('box', 'door'),
    pictures=(600, 400),
    count=1000,
    smallest=Size(32, 32),
    largest=Size(32, 32),
    side=32.0,
    elongation=1.0,
)
PHOTOS = replace(
    THUMBNAILS, smallest=Size(300, 400), largest=Size(480, 640), side=480.0, elongation=1.33
)
BOXES = replace(PHOTOS, detection=True, object_share=0.3)


def values(survey: Survey, computer: Computer = CPU) -> dict[str, object]:
    return {field.name: field.value for field in propose('things', survey, computer)}


@pytest.mark.parametrize('survey', [THUMBNAILS, PHOTOS, BOXES])
@pytest.mark.parametrize('computer', [CPU, GPU])
def test_the_text_is_a_configuration_with_a_reason_for_each_field(survey, computer):
    fields = propose('things', survey, computer)
    text = starting_text(fields, 'a title')
    configuration = TrainingConfiguration.from_mapping(parse_yaml(text))
    assert configuration.training_data == Path('pictures')
    assert SearchSettings.from_mapping(configuration.search).sub_networks == 8
    network = create(configuration.family, configuration.layout)
    assert network.layout_mapping()['classes'] in (2, 10, 80)  # A named layout gets them later.
    blocks = text.split('\n\n')
    assert blocks[0] == '# A title'
    assert len(blocks) == len(fields) + 1
    for block, field in zip(blocks[1:], fields):
        assert block.startswith('# ') and f'\n{field.name}:' in block
    assert max(map(len, text.splitlines())) <= 100


def test_small_pictures_are_trained_on_as_they_are():
    chosen = values(THUMBNAILS)
    assert chosen['layout'] == 'ofa_mbv3_32x32'
    assert chosen['resize'] == 'stretch'
    assert chosen['augmentation'][0]['RandomCrop']['size'] == 32
    assert (chosen['threads'], chosen['workers']) == (1, 0)


def test_large_pictures_are_made_one_size_that_the_layout_ends_at():
    for computer, side in ((CPU, 64), (GPU, 128)):
        chosen = values(PHOTOS, computer)
        assert chosen['layout']['resolutions'][-1] == side
        assert chosen['layout']['classes'] == 2
        assert chosen['augmentation'][0]['RandomResizedCrop']['size'] == [side, side]
        assert chosen['resize'] == 'center_crop'
        assert chosen['workers'] == 3


def test_the_published_layout_takes_many_pictures_and_a_gpu():
    many = replace(PHOTOS, pictures=(20_000, 20_000), count=40_000)
    assert values(many, GPU)['layout'] == 'ofa_mbv3_d234_e346_k357_w1.0'
    assert values(many, CPU)['layout'] != 'ofa_mbv3_d234_e346_k357_w1.0'
    assert values(PHOTOS, GPU)['layout'] != 'ofa_mbv3_d234_e346_k357_w1.0'


def test_small_pictures_that_differ_in_size_are_cropped_to_the_input():
    mixed = replace(THUMBNAILS, smallest=Size(24, 30), largest=Size(36, 32))
    assert values(mixed)['augmentation'][0]['RandomResizedCrop']['size'] == [32, 32]


def test_a_detector_is_proposed_for_boxes_and_small_objects_get_larger_inputs():
    assert values(BOXES)['layout'] == 'ofa_detector_352'
    assert values(replace(BOXES, object_share=0.05))['layout'] == 'ofa_detector_416'
    assert values(BOXES, CPU)['initial_weights'] == ''
    assert values(BOXES, GPU)['initial_weights'] == 'efficientnet_lite0'
    assert values(BOXES, CPU)['threads'] == 4


def test_test_pictures_are_those_of_the_data_or_every_fifth():
    assert values(THUMBNAILS)['test_every'] == 5
    chosen = values(replace(THUMBNAILS, test_data=Path('pictures/test')))
    assert chosen['test_data'] == 'pictures/test'
    assert 'test_every' not in chosen


def test_a_share_is_held_out_and_some_are_left():
    assert [held_out_of(count) for count in (2, 8, 1000, 10**6)] == [1, 1, 150, 5000]


def test_epochs_follow_from_the_pictures_within_limits():
    limits = (10, 100)
    assert [epochs_of(30_000, count, limits) for count in (1, 600, 10**6)] == [100, 50, 10]


def test_batches_leave_an_epoch_some_steps():
    assert [batch_size_of(64, count) for count in (1, 40, 100, 200, 10**6)] == [4, 4, 8, 16, 64]


def test_few_pictures_of_a_class_are_warned_of():
    assert warnings(THUMBNAILS) == []
    (warning,) = warnings(replace(THUMBNAILS, pictures=(600, 12)))
    assert "'door' (12)" in warning and "'box'" not in warning


def test_a_path_that_would_be_read_as_another_is_refused(monkeypatch):
    monkeypatch.setenv('PLACE', 'elsewhere')
    for path in ('$PLACE/pictures', '~/pictures', 'pictures\n2'):
        fields = propose('things', replace(THUMBNAILS, path=Path(path)), CPU)
        with pytest.raises(TrainingConfigurationError, match='Give the data a path without'):
            starting_text(fields, 'a title')


def test_odd_names_of_classes_stay_comments():
    odd = replace(THUMBNAILS, classes=('a\nseed: 7', 'b # \x1b[31m'))
    text = starting_text(propose('things', odd, CPU), 'a title')
    assert TrainingConfiguration.from_mapping(parse_yaml(text)).seed == 0
    assert '\x1b' not in text
