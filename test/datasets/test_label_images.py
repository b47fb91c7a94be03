# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
import pytest

from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.datasets.registry import open_dataset
from dynamic_dnn_ros.tasks.contract import LabelMap
from support.labelled_data import packed, write_picture
from support.shared_data import shared_data

NUMBERS = np.zeros((10, 20), np.uint8)
NUMBERS[0, 0], NUMBERS[1, 1], NUMBERS[2, 2] = 7, 3, 255
NAMES = 'names:\n  0: unlabeled\n  3: cat\n  7: cup\n'


def palette_image(numbers):
    image = Image.fromarray(numbers, 'P')
    image.putpalette([value for index in range(256) for value in (255 - index, 7, index)])
    return image


MASKS = {
    'grey': Image.fromarray,
    'palette': palette_image,
    '16 bit': lambda numbers: Image.fromarray(numbers.astype(np.uint16)),
}


def write_masks(folder: Path, mask: Image.Image, names: str = NAMES, where='images:masks') -> Path:
    pictures, masks = where.split(':')
    write_picture(folder / pictures / 'val' / 'a.jpg')
    path = folder / masks / 'val' / 'a.png'
    path.parent.mkdir(parents=True, exist_ok=True)
    mask.save(path)
    if names:
        (folder / 'names.yaml').write_text(names)
    return folder


def open_masks(path, labels=None, **options):
    return open_dataset(path, 'segmentation', labels, **options)


@pytest.mark.parametrize('make', MASKS.values(), ids=MASKS)
@pytest.mark.parametrize(
    'where', ['images:masks', 'JPEGImages:SegmentationClass', 'images:labels']
)
def test_numbers_become_indices(tmp_path, make, where):
    folder = write_masks(tmp_path / 'data', make(NUMBERS), where=where)
    for path in (folder, packed(folder, 'zip', 'data')):
        data = open_masks(path)
        assert data.labels == ('cat', 'cup')
        truth = data[0].truth
        assert (truth.dtype, truth.shape) == (np.uint8, (10, 20))
        expected = np.full((10, 20), LabelMap.UNLABELLED)
        expected[0, 0], expected[1, 1] = 1, 0
        assert np.array_equal(truth, expected)


def test_names_are_mapped_and_one_name_may_have_several_numbers(tmp_path):
    folder = write_masks(tmp_path, Image.fromarray(NUMBERS), '{names: {0: Sky, 3: cat, 7: cat}}')
    truth = open_masks(folder, ('cat', 'sky', 'cup'))[0].truth
    assert (truth[0, 0], truth[1, 1], truth[2, 2], truth[9, 9]) == (0, 0, 255, 1)
    with pytest.raises(DataError, match='no labels of the network: cat'):
        open_masks(folder, ('sky', 'cup'))


def test_numbers_of_voc_need_no_names(tmp_path):
    folder = write_masks(tmp_path, palette_image(NUMBERS), '', 'JPEGImages:SegmentationClass')
    data = open_masks(folder)
    assert len(data.labels) == 21
    assert data.labels[data[0].truth[0, 0]] == 'car'


@pytest.mark.parametrize(
    ('mask', 'names', 'said'),
    [
        (NUMBERS, 'names: {0: a, 7: b}', 'a.png has pixels of the numbers 3, which have no name'),
        (NUMBERS[:5], NAMES, r'a.png is 20x5, its picture is 20x10'),
        (np.zeros((10, 20, 3), np.uint8), NAMES, r'has colours \(mode RGB\)'),
        (NUMBERS, '', 'does not name its classes'),
        (NUMBERS, 'names: {0: a, 0: b}', "'0' is given twice"),
        (NUMBERS, f'names: {[f"n{i}" for i in range(256)]}', '256 classes: 255 at most'),
    ],
)
def test_bad_label_images_are_refused(tmp_path, mask, names, said):
    folder = write_masks(tmp_path, Image.fromarray(mask), names)
    with pytest.raises(DataError, match=said):
        _ = open_masks(folder)[0]


def test_a_broken_label_image_is_named(tmp_path):
    folder = write_masks(tmp_path, Image.fromarray(NUMBERS))
    path = folder / 'masks' / 'val' / 'a.png'
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError, match='label image .*masks/val/a.png: it'):
        _ = open_masks(folder)[0]


def test_pictures_without_a_label_image_are_said(tmp_path):
    folder = write_masks(tmp_path, Image.fromarray(NUMBERS))
    write_picture(folder / 'images' / 'val' / 'b.jpg')
    said = []
    assert len(open_masks(folder, say=said.append)) == 1
    assert '1 x picture without a label image (images/val/b.jpg)' in said[0]


def test_real_data():
    data = open_masks(shared_data('labelled/coco128'))
    assert (len(data), len(data.labels)) == (100, 129)
    found = np.unique(np.concatenate([np.unique(data[index].truth) for index in range(10)]))
    assert len(found) > 20
    assert found[-1] == LabelMap.UNLABELLED
