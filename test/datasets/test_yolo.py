# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
from PIL import Image
import pytest

from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.datasets.registry import open_dataset
from support.labelled_data import packed, write_picture, write_yolo
from support.shared_data import shared_data


def open_yolo(path, labels=None, **options):
    return open_dataset(path, 'detection', labels, **options)


def test_boxes_are_in_pixels_of_the_picture(tmp_path):
    data = open_yolo(write_yolo(tmp_path, {'a': '1 0.5 0.5 0.5 0.2\n\n0 0 1 1 1\n'}))
    assert data.labels == ('cat', 'cup')
    picture = data[0]
    assert (picture.name, picture.pixels.shape) == ('images/a.png', (10, 20, 3))
    assert np.allclose(picture.truth.boxes, [[5, 4, 15, 6], [0, 5, 10, 10]])
    assert picture.truth.boxes.dtype == np.float32
    assert picture.truth.classes.tolist() == [1, 0]
    assert picture.truth.crowd.tolist() == [False, False]


def test_pictures_without_lines_have_no_objects(tmp_path):
    data = open_yolo(write_yolo(tmp_path, {'a': None, 'b': '', 'c': '0 0.5 0.5 1 1'}))
    assert [len(data.truth_of(index).boxes) for index in range(3)] == [0, 0, 1]


def test_polygons_become_boxes(tmp_path):
    data = open_yolo(write_yolo(tmp_path, {'a': '0 0.1 0.2 0.5 0.2 0.3 0.8'}))
    assert np.allclose(data[0].truth.boxes, [[2, 2, 10, 8]])


def test_poses_give_their_boxes(tmp_path):
    folder = write_yolo(tmp_path, {'a': '0 0.5 0.5 0.5 0.2 0.1 0.1 0.2 0.2'})
    (folder / 'data.yaml').write_text('names: [cat]\nkpt_shape: [2, 2]\n')
    assert np.allclose(open_yolo(folder)[0].truth.boxes, [[5, 4, 15, 6]])


@pytest.mark.parametrize(
    ('line', 'said'),
    [
        ('0 0.5 0.5 1.2 0.1', r'1.2 lies outside of 0..1'),
        ('0 100 50 20 20', r'100 lies outside of 0..1'),
        ('0 nan 0.5 0.1 0.1', r'nan lies outside'),
        ('2 0.5 0.5 0.1 0.1', r'the class is 2, .*names 2 classes, from 0 to 1'),
        ('-1 0.5 0.5 0.1 0.1', r'the class is -1'),
        ('0.5 0.5 0.5 0.1 0.1', r'the class is 0.5'),
        ('cat 0.5 0.5 0.1 0.1', r"'cat 0.5 0.5 0.1 0.1' is not made of numbers"),
        ('0 0.5 0.5 0.1', r'3 values follow the class'),
        ('0 0.5 0.5 0.1 0.1 0.9', r'5 values follow the class'),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, said):
    data = open_yolo(write_yolo(tmp_path, {'a': f'0 0.5 0.5 0.1 0.1\n{line}\n'}))
    with pytest.raises(DataError, match=rf'labels/a.txt, line 2: .*{said}'):
        _ = data[0]


def test_rounding_beyond_the_border_is_cut_and_nothing_has_no_area(tmp_path):
    data = open_yolo(write_yolo(tmp_path, {'a': '0 1.001 0.5 0.5 1\n1 0.5 0.5 0 0.1\n'}))
    truth = data[0].truth
    assert truth.classes.tolist() == [0]
    assert truth.boxes[0, 2] == 20


@pytest.mark.parametrize(
    'text',
    ['names: [cat, cup]', 'names:\n  1: cup\n  0: cat\n', '\ufeffnames:\n- cat\n- cup\n'],
)
def test_names_in_yaml(tmp_path, text):
    folder = write_yolo(tmp_path, {'a': '1 0.5 0.5 0.1 0.1'}, names='other\n')
    (folder / 'data.yaml').write_text(text, encoding='utf-8')
    data = open_yolo(folder)
    assert data.labels == ('cat', 'cup')
    assert data[0].truth.classes.tolist() == [1]


def test_names_with_a_byte_order_mark_and_repeated_ones(tmp_path):
    folder = write_yolo(
        tmp_path, {'a': '2 0.5 0.5 0.1 0.1'}, names='\ufeffcrane\nmaillot\ncrane\n'
    )
    data = open_yolo(folder)
    assert data.labels == ('crane', 'maillot', 'crane')
    assert data[0].truth.classes.tolist() == [2]
    network = ('crane', 'dog', 'crane', 'maillot')
    assert open_yolo(folder, network)[0].truth.classes.tolist() == [2]


def test_names_are_text_whatever_they_look_like(tmp_path):
    folder = write_yolo(tmp_path, {'a': '0 0.5 0.5 0.1 0.1'})
    (folder / 'data.yaml').write_text('names: [on, 2024]')
    assert open_yolo(folder).labels == ('on', '2024')


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('names: [cat]\nnames: [dog]', "'names' is given twice, in line 1 and in line 2"),
        ('names: {0: cat, 0: dog}', "'0' is given twice"),
        ('names: {0: cat, 00: dog}', 'number 0 is given twice'),
        ('names: {a: cat}', "names have 'a': 'cat'"),
        ('names: 5', "names are '5': a list, or a mapping"),
        ('names: [cat', 'data.yaml: '),
    ],
)
def test_bad_names_are_refused(tmp_path, text, said):
    folder = write_yolo(tmp_path, {'a': '0 0.5 0.5 0.1 0.1'})
    (folder / 'data.yaml').write_text(text)
    with pytest.raises(DataError, match=said):
        open_yolo(folder)


def test_names_are_mapped_to_the_labels_of_a_network(tmp_path):
    folder = write_yolo(tmp_path, {'a': '1 0.5 0.5 0.1 0.1\n0 0.5 0.5 0.1 0.1'})
    data = open_yolo(folder, ('Dog', 'Cup', 'Cat'))
    assert data.labels == ('Dog', 'Cup', 'Cat')
    assert data[0].truth.classes.tolist() == [1, 2]
    with pytest.raises(DataError, match=r'no labels of the network: cat. Its 2 labels are'):
        open_yolo(folder, ('cup', 'kitten'))


def test_a_class_named_ignore_does_not_count(tmp_path):
    folder = write_yolo(tmp_path, {'a': '1 0.5 0.5 0.1 0.1\n0 0.5 0.5 0.1 0.1'}, 'ignore\ncup\n')
    assert open_yolo(folder, ('cup',))[0].truth.classes.tolist() == [0]
    assert open_yolo(folder).labels == ('cup',)


LAYOUTS = {
    'folders of images': ('images/train/a', 'images/val/b'),
    'folders of parts': ('train/images/a', 'valid/images/b'),
}


@pytest.mark.parametrize('pictures', LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize('yaml', [True, False])
def test_parts(tmp_path, pictures, yaml):
    for index, name in enumerate(pictures):
        write_picture(tmp_path / f'{name}.jpg')
        file = tmp_path / f'{name.replace("images", "labels")}.txt'
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'{index} 0.5 0.5 0.1 0.1')
    if yaml:
        folders = [name.rpartition('/')[0] for name in pictures]
        (tmp_path / 'data.yaml').write_text(
            f'path: /home/somebody\ntrain: ../{folders[0]}\nval: {folders[1]}\nnames: [cat, cup]\n'
        )
    else:
        (tmp_path / 'classes.txt').write_text('cat\ncup\n')
    for path in (tmp_path, packed(tmp_path, 'zip', 'mine')):
        assert open_yolo(path).names == (f'{pictures[1]}.jpg',)
        data = open_yolo(path, split='train')
        assert data.names == (f'{pictures[0]}.jpg',)
        assert data[0].truth.classes.tolist() == [0]
        with pytest.raises(DataError, match='no part test, only train, val'):
            open_yolo(path, split='test')
    part = open_yolo((tmp_path / pictures[0]).parent)
    assert part.names == (f'{pictures[0]}.jpg',)


def test_parts_as_lists_of_pictures(tmp_path):
    folder = write_yolo(tmp_path, {'a': '0 0.5 0.5 0.1 0.1', 'b': '1 0.5 0.5 0.1 0.1'})
    (folder / 'train.txt').write_text('./images/b.png\n')
    (folder / 'val.txt').write_text('/home/somebody/data/images/a.png\n')
    (folder / 'data.yaml').write_text('train: train.txt\nval: val.txt\nnames: [cat, cup]\n')
    assert open_yolo(folder).names == ('images/a.png',)
    assert open_yolo(folder / 'data.yaml', split='train').names == ('images/b.png',)
    (folder / 'val.txt').write_text('images/a.png\nimages/c.png\n')
    with pytest.raises(DataError, match=r'val.txt, line 2: there is no picture images/c.png'):
        open_yolo(folder)


def test_lines_beside_the_pictures(tmp_path):
    write_picture(tmp_path / 'a.png')
    (tmp_path / 'a.txt').write_text('0 0.5 0.5 0.1 0.1')
    (tmp_path / 'classes.txt').write_text('cat\n')
    assert len(open_yolo(tmp_path)[0].truth.boxes) == 1


def test_hidden_entries_are_said_once(tmp_path):
    folder = write_yolo(tmp_path, {'a': '0 0.5 0.5 0.1 0.1'})
    write_picture(folder / 'images' / '.ipynb_checkpoints' / 'a.png')
    said = []
    assert len(open_yolo(folder, say=said.append)) == 1
    assert len(said) == 1 and 'left out: 1 x hidden entry' in said[0]


def test_what_was_looked_for_is_said(tmp_path):
    write_picture(tmp_path / 'a.png')
    with pytest.raises(
        DataError, match=r'1 pictures, and no labels .*COCO annotations; .*; YOLO text'
    ):
        open_yolo(tmp_path)
    with pytest.raises(DataError, match='does not exist'):
        open_yolo(tmp_path / 'nothing')


@pytest.mark.parametrize(
    ('name', 'pictures', 'boxes'),
    [('fruit', (240, 60), (465, 117)), ('doors', (1117,), (8926,)), ('coco128', (128,), (929,))],
)
def test_real_data(name, pictures, boxes):
    path = shared_data(f'labelled/{name}')
    counts = []
    for split in ('train', 'test')[: len(pictures)]:
        data = open_yolo(path, split=split)
        counts.append((len(data), sum(len(data.truth_of(i).boxes) for i in range(len(data)))))
    assert counts == list(zip(pictures, boxes))


@pytest.mark.parametrize('ending', ['jpg', 'png', 'webp', 'tif'])
def test_boxes_are_those_of_the_upright_picture(tmp_path, ending):
    folder = write_yolo(tmp_path, {'a': '0 0.25 0.5 0.5 1'})
    (folder / 'images' / 'a.png').unlink()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('RGB', (20, 10)).save(folder / 'images' / f'a.{ending}', exif=exif)
    data = open_yolo(folder)
    assert data[0].pixels.shape == (20, 10, 3)
    assert data[0].truth.boxes.tolist() == data.truth_of(0).boxes.tolist() == [[0, 0, 5, 20]]


@pytest.mark.parametrize('read', [lambda data: data[0], lambda data: data.truth_of(0)])
def test_a_picture_that_cannot_be_read_is_named(tmp_path, read):
    folder = write_yolo(tmp_path, {'a': '0 0.25 0.5 0.5 1'})
    (folder / 'images' / 'a.png').write_bytes(b'no picture')
    with pytest.raises(DataError, match=r'picture .*images/a.png: it is no picture'):
        read(open_yolo(folder))


def test_the_description_that_is_named_is_taken(tmp_path):
    folder = write_yolo(tmp_path, {'a': '0 0.5 0.5 0.1 0.1'})
    (folder / 'a.yaml').write_text('names: [dog]')
    (folder / 'b.yaml').write_text('names: [bird]')
    (folder / 'c.yaml').write_text('train: images')
    assert open_yolo(folder).labels == ('dog',)
    assert open_yolo(folder / 'b.yaml').labels == ('bird',)
    assert open_yolo(folder / 'names.txt').labels == ('cat', 'cup')
    with pytest.raises(DataError, match=r'c.yaml has no names of classes'):
        open_yolo(folder / 'c.yaml')
