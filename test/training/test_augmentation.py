# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
from PIL import Image
import pytest
import torch

from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.training.augmentation import check_augmentation, make_augmentation
from dynamic_dnn_ros.training.configuration import TrainingConfigurationError
from dynamic_dnn_ros.training.pictures import read_pictures
from support.training import colour_pictures

SHIFT = {'RandomCrop': {'size': 16, 'padding': 2, 'padding_mode': 'reflect'}}


def test_pictures_are_shifted_and_flipped():
    rows = torch.arange(16, dtype=torch.uint8).view(1, 16, 1).expand(3, 16, 16)
    columns = torch.arange(16, dtype=torch.uint8).view(1, 1, 16).expand(3, 16, 16)
    augmentation = make_augmentation([SHIFT, {'RandomHorizontalFlip': {}}])
    torch.manual_seed(0)
    shifts, flips = set(), set()
    for _ in range(100):
        # The inner part shows how far a picture was shifted, and whether it was flipped.
        inner = augmentation(rows * 16 + columns)[0, 4:12, 4:12].int()
        step = int(inner[0, 1] - inner[0, 0])
        assert abs(step) == 1
        flips.add(step < 0)
        shifts.add(int(inner[0, 0] // 16) - 4)
    assert flips == {False, True}
    assert shifts == {-2, -1, 0, 1, 2}


def test_without_transforms_a_picture_stays_as_it_is():
    picture = torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8)
    assert torch.equal(make_augmentation([])(picture), picture)


@pytest.mark.parametrize(
    ('transform', 'message'),
    [
        ({'Nonesuch': {}}, r'augmentation\[0\] is Nonesuch'),
        ({'functional': {}}, 'is functional: the name of a class'),
        ({'RandomCrop': {}}, 'RandomCrop, cannot be made'),
        ({'RandomCrop': {'size': 8, 'colour': 'red'}}, 'colour'),
        ({'RandomHorizontalFlip': {'p': 3.0}}, 'RandomHorizontalFlip, cannot be made'),
    ],
)
def test_a_transform_that_there_is_not_is_named(transform, message):
    with pytest.raises(TrainingConfigurationError, match=message):
        make_augmentation([transform])


@pytest.mark.parametrize(
    ('transform', 'message'),
    [
        ({'RandomCrop': {'size': 64}}, 'the augmentation fails on picture'),
        ({'ToDtype': {'dtype': torch.float32}}, 'leave out transforms that convert'),
    ],
)
def test_an_augmentation_that_does_not_suit_the_pictures_is_refused(transform, message):
    with pytest.raises(DataError, match=message):
        check_augmentation(make_augmentation([transform]), colour_pictures(4))


def test_pictures_of_several_sizes_need_a_transform_that_makes_them_equal(tmp_path):
    generator = np.random.default_rng(0)
    for index, size in enumerate(((40, 30), (32, 32), (40, 30), (50, 20))):
        path = tmp_path / f'class_{index % 2}' / f'{index}.png'
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
    pictures = read_pictures(tmp_path, quiet=True)
    check_augmentation(make_augmentation([{'RandomResizedCrop': {'size': 32}}]), pictures)
    message = r'0\.png \(30x40\) is 30x40, .*3\.png \(20x50\) is 20x50: add RandomResizedCrop'
    with pytest.raises(DataError, match=message):
        check_augmentation(make_augmentation([{'RandomHorizontalFlip': {}}]), pictures)
