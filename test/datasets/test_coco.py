# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.datasets.registry import open_dataset
from support.labelled_data import packed, write_coco, write_picture

CONTENT = {
    'images': [
        {'id': 7, 'file_name': 'b.png', 'width': 20, 'height': 10},
        {'id': 3, 'file_name': 'a.png', 'width': 20, 'height': 10},
    ],
    'annotations': [
        {'id': 1, 'image_id': 3, 'category_id': 90, 'bbox': [1, 2, 3, 4], 'iscrowd': 1},
        {
            'id': 2,
            'image_id': 3,
            'category_id': 5,
            'bbox': [0.5, 0, 19.5, 10],
            'segmentation': [[0, 0, 20, 0, 20, 10]],
        },
    ],
    'categories': [{'id': 90, 'name': 'cup'}, {'id': 5, 'name': 'cat'}],
}


def open_coco(path, labels=None, **options):
    return open_dataset(path, 'detection', labels, **options)


@pytest.fixture
def content():
    return copy.deepcopy(CONTENT)


def test_gaps_disorder_crowds_and_pictures_without_annotations(tmp_path, content):
    write_coco(tmp_path, content)
    data = open_coco(tmp_path)
    assert data.labels == ('cat', 'cup')
    assert data.names == ('val/a.png', 'val/b.png')
    first, second = data
    assert np.array_equal(first.truth.boxes, np.float32([[1, 2, 4, 6], [0.5, 0, 20, 10]]))
    assert first.truth.classes.tolist() == [1, 0]
    assert first.truth.crowd.tolist() == [True, False]
    assert second.truth.boxes.shape == (0, 4)


@pytest.mark.parametrize('name', ['labels.json', 'val/_annotations.coco.json'])
def test_other_places_of_annotations(tmp_path, content, name):
    path = write_coco(tmp_path, content, name)
    for each in (tmp_path, path, packed(tmp_path, 'tar.gz', 'x')):
        assert len(open_coco(each)[0].truth.boxes) == 2


def test_annotations_or_pictures_may_be_named(tmp_path, content):
    path = write_coco(tmp_path, content)
    content['images'] = content['images'][:1]
    other = write_coco(tmp_path, content, 'annotations/instances_train.json')
    assert len(open_coco(path)) == len(open_coco(tmp_path / 'val')) == 2
    assert len(open_coco(other)) == 1
    assert len(open_coco(tmp_path)) == 2
    assert len(open_coco(tmp_path, split='train')) == 1
    content['images'][0]['file_name'] = 'nowhere.png'
    write_coco(tmp_path, content, 'annotations/captions_val.json')
    assert len(open_coco(tmp_path)) == 2


def test_several_annotations_of_one_part_are_refused(tmp_path, content):
    write_coco(tmp_path, content, 'one.json')
    write_coco(tmp_path, content, 'two.json')
    with pytest.raises(DataError, match=r'several files of annotations \(one.json, two.json\)'):
        open_coco(tmp_path)


def test_missing_pictures_are_left_out_and_said(tmp_path, content):
    content['images'].append({'id': 8, 'file_name': 'c.png', 'width': 20, 'height': 10})
    content['annotations'] += [
        {'id': 3, 'image_id': 8, 'category_id': 5, 'bbox': [0, 0, 1, 1]},
        {'id': 4, 'image_id': 9, 'category_id': 5, 'bbox': [0, 0, 1, 1]},
        {'id': 5, 'image_id': 3, 'category_id': 5},
    ]
    write_coco(tmp_path, content)
    said = []
    data = open_coco(tmp_path, say=said.append)
    assert len(data) == 2 and len(data[0].truth.boxes) == 2
    assert '1 x annotated picture that is missing (c.png)' in said[0]
    assert '1 x annotation of a picture that the file does not list (9)' in said[0]
    assert '1 x annotation without a box (5)' in said[0]


def test_no_picture_at_all_is_refused(tmp_path, content):
    for entry in content['images']:
        entry['file_name'] = 'other/' + entry['file_name'] + '.jpg'
    write_coco(tmp_path, content)
    with pytest.raises(DataError, match='annotates 2 pictures, and none of them is in'):
        open_coco(tmp_path)


def test_pictures_of_another_size_are_refused(tmp_path, content):
    content['images'][1]['width'] = 40
    write_coco(tmp_path, content)
    with pytest.raises(DataError, match=r'val/a.png is 20x10, its annotations are for 40x10'):
        _ = open_coco(tmp_path)[0]


def test_names_are_mapped(tmp_path, content):
    write_coco(tmp_path, content)
    assert open_coco(tmp_path, ('CUP', 'dog', 'cat'))[0].truth.classes.tolist() == [0, 2]
    with pytest.raises(DataError, match='no labels of the network: cup'):
        open_coco(tmp_path, ('dog', 'cat'))
    content['categories'][0]['name'] = 'ignore'
    write_coco(tmp_path, content)
    assert open_coco(tmp_path, ('dog', 'cat'))[0].truth.classes.tolist() == [1]


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path, content):
    write_coco(tmp_path, '\ufeff' + json.dumps(content))
    assert len(open_coco(tmp_path)) == 2


def test_pictures_of_one_name_are_told_apart_by_their_part(tmp_path, content):
    write_picture(tmp_path / 'train' / 'a.png', width=30)
    write_coco(tmp_path, content)
    assert 'val/a.png' in open_coco(tmp_path).names


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (lambda c: c['annotations'][0].update(category_id=6), 'of category 6, which is not among'),
        (lambda c: c['annotations'][0].update(bbox=[1, 2, 3]), r'has the box \[1, 2, 3\]'),
        (lambda c: c['annotations'][0].update(bbox=[1, 2, -3, 1]), 'has the box'),
        (lambda c: c['annotations'][0].update(bbox=['a', 2, 3, 1]), 'has the box'),
        (lambda c: c['annotations'][0].pop('image_id'), "'image_id' is None"),
        (lambda c: c['images'][0].pop('file_name'), "'file_name' is None"),
        (lambda c: c['categories'][1].update(id=90), 'category 90 is given twice'),
        (lambda c: c.update(images={'categories': 1}), "the list 'images' is missing"),
        (lambda c: c.update(images=[1]), "'images' holds something else than mappings"),
    ],
)
def test_bad_annotations_are_refused(tmp_path, content, change, said):
    change(content)
    write_coco(tmp_path, content)
    with pytest.raises(DataError, match=said):
        open_coco(tmp_path)


def test_broken_json_is_refused(tmp_path, content):
    path = write_coco(tmp_path, json.dumps(content)[:-3])
    with pytest.raises(DataError, match='is no JSON'):
        open_coco(path)
