# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.datasets.registry import open_dataset
from support.labelled_data import packed, write_picture
from support.shared_data import CIFAR10_TEST, shared_data


def open_folder(path, labels=None, **options):
    return open_dataset(path, 'classification', labels, **options)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    folder = tmp_path / 'data'
    names = (
        'cat/b.png',
        'cat/a.jpg',
        'cat/a-b/c.bmp',
        'cat/a/c.webp',
        'cat-like/d.tif',
        'Dog/e.png',
    )
    for index, name in enumerate(names):
        write_picture(folder / name, seed=index)
    return folder


def test_plain_trees_are_read_as_torchvision_reads_them(plain):
    datasets = pytest.importorskip('torchvision.datasets')
    expected = datasets.ImageFolder(str(plain))
    found = open_folder(plain)
    assert list(found.labels) == expected.classes
    assert [str(plain / name) for name in found.names] == [name for name, _ in expected.samples]
    assert [found.truth_of(index) for index in range(6)] == expected.targets
    for picture, (pixels, label) in zip(found, expected):
        assert picture.truth == label
        assert np.array_equal(picture.pixels, np.array(pixels))


@pytest.mark.parametrize('kind', ['zip', 'tar', 'tar.xz'])
def test_folder_and_archive_give_the_same(plain, kind):
    write_picture(plain / '.ipynb_checkpoints' / 'a.png')
    write_picture(plain / 'stray.png')
    if kind != 'zip':
        (plain / 'cat' / 'all').symlink_to('..')
        (plain / 'kitten').symlink_to('cat')
    said = {}
    for path in (plain, packed(plain, kind, 'data')):
        data = open_folder(path, say=lambda text, path=path: said.setdefault(path, text))
        found = (data.labels, data.names, [data.truth_of(index) for index in range(len(data))])
        said[path, 'found'] = found
    assert said[plain, 'found'] == said[path, 'found']
    assert len(data) == (6 if kind == 'zip' else 10)
    for text in (said[plain], said[path]):
        assert '1 x hidden entry (.ipynb_checkpoints)' in text
        assert '1 x picture outside of the folders of classes (stray.png)' in text
        assert kind == 'zip' or '2 x link back to a folder that it lies in (cat/all, ...)' in text


def test_parts(tmp_path):
    for part in ('train', 'val'):
        for name in ('cat', 'dog'):
            write_picture(tmp_path / part / name / f'{part}.png')
    assert open_folder(tmp_path).names == ('val/cat/val.png', 'val/dog/val.png')
    train = open_folder(tmp_path, split='train')
    assert train.labels == ('cat', 'dog')
    assert [picture.truth for picture in train] == [0, 1]
    with pytest.raises(DataError, match='no part test'):
        open_folder(tmp_path, split='test')


def test_classes_are_mapped_to_the_labels_of_a_network(plain):
    data = open_folder(plain, ('dog', 'Cat', 'cat-like'))
    assert [data.truth_of(index) for index in range(6)] == [0, 1, 1, 1, 1, 2]
    with pytest.raises(DataError, match='no labels of the network: cat-like. Its 2 labels are'):
        open_folder(plain, ('dog', 'cat'))
    with pytest.raises(DataError, match='no pictures of classes that the network knows: cup'):
        open_folder(plain, ('dog', 'cat', 'cat-like', 'cup'))


def test_repeated_labels_are_numbered(tmp_path):
    for name in ('crane', 'crane (2)'):
        write_picture(tmp_path / name / 'a.png')
    data = open_folder(tmp_path, ('crane', 'crane'))
    assert [data.truth_of(index) for index in range(2)] == [0, 1]


@pytest.mark.parametrize('kind', ['', 'tar', 'zip'])
def test_a_class_without_pictures_is_refused(plain, kind):
    (plain / 'nothing' / 'below').mkdir(parents=True)
    with pytest.raises(DataError, match='folders without pictures: nothing'):
        open_folder(packed(plain, kind, 'data') if kind else plain)


def test_real_data():
    data = open_folder(shared_data(CIFAR10_TEST))
    assert (len(data), len(data.labels)) == (10000, 10)
    assert data.names[:1] == ('airplane/0000.jpg',)
    assert np.bincount([data.truth_of(index) for index in range(10000)]).tolist() == [1000] * 10


@pytest.mark.parametrize(
    ('folders', 'expected'),
    [
        (('n01440764', 'n02012849', 'n03126707'), [0, 1, 2]),
        (('0', '1', '2'), [0, 1, 2]),
        (('02', '00', '01'), [0, 1, 2]),
        (('crane (2)', 'crane', 'Tench'), [0, 1, 2]),
    ],
)
def test_folders_of_imagenet_and_of_numbers(tmp_path, folders, expected):
    labels = ('tench', 'crane', 'crane')
    for name in folders:
        write_picture(tmp_path / name / 'a.png')
    data = open_folder(tmp_path, labels)
    by_folder = {name.split('/')[0]: data.truth_of(i) for i, name in enumerate(data.names)}
    if 'crane' in folders:
        assert by_folder == {'Tench': 0, 'crane': 1, 'crane (2)': 2}
    else:
        assert [by_folder[name] for name in sorted(folders)] == expected


def test_a_folder_of_a_number_that_no_label_has_is_refused(tmp_path):
    for name in ('0', '7'):
        write_picture(tmp_path / name / 'a.png')
    with pytest.raises(DataError, match='no labels of the network: 7'):
        open_folder(tmp_path, ('cat', 'dog'))
