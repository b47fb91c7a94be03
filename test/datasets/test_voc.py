# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.datasets.registry import open_dataset
from support.labelled_data import packed, write_picture

OBJECT = (
    '<object><name>{name}</name><difficult>{difficult}</difficult><part><name>head</name>'
    '<bndbox><xmin>9</xmin><ymin>9</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></part>'
    '<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>20</xmax><ymax>{lower}</ymax></bndbox></object>'
)
SIZE = '<size><width>{}</width><height>{}</height></size>'


def write_voc(folder: Path, name: str, inner: str, beside: bool = False) -> Path:
    pictures, annotations = ('x', 'x') if beside else ('JPEGImages', 'Annotations')
    write_picture(folder / pictures / f'{name}.jpg')
    path = folder / annotations / f'{name}.xml'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'<annotation>{inner}</annotation>')
    return folder


def an_object(name='cat', difficult='0', lower='10'):
    return OBJECT.format(name=name, difficult=difficult, lower=lower)


def open_voc(path, labels=None, **options):
    return open_dataset(path, 'detection', labels, **options)


@pytest.mark.parametrize('beside', [True, False])
def test_boxes_and_difficult_objects(tmp_path, beside):
    inner = SIZE.format(20, 10) + an_object() + an_object('cup', '1', '5.5')
    folder = write_voc(tmp_path / 'data', 'a', inner, beside)
    write_voc(folder, 'b', SIZE.format(0, 0), beside)
    for path in (folder, packed(folder, 'tar.gz', 'VOCdevkit/VOC2007')):
        data = open_voc(path)
        assert data.labels == ('cat', 'cup')
        first, second = data
        assert first.truth.boxes.tolist() == [[0, 1, 20, 10], [0, 1, 20, 5.5]]
        assert first.truth.classes.tolist() == [0, 1]
        assert first.truth.crowd.tolist() == [False, True]
        assert len(second.truth.boxes) == 0
    assert open_voc(folder, ('Cup', 'Cat'))[0].truth.classes.tolist() == [1, 0]
    (folder / 'names.txt').write_text('cup\ncat\n')
    assert open_voc(folder).labels == ('cup', 'cat')


def test_parts_of_the_lists(tmp_path):
    for name in ('a', 'b', 'c'):
        write_voc(tmp_path, name, an_object())
    lists = tmp_path / 'ImageSets' / 'Main'
    lists.mkdir(parents=True)
    (lists / 'train.txt').write_text('a\nb\n')
    (lists / 'val.txt').write_text('c 1\n')
    (lists / 'cat_train.txt').write_text('a  1\nb -1\n')
    assert open_voc(tmp_path).names == ('JPEGImages/c.jpg',)
    assert len(open_voc(tmp_path, split='train')) == 2


def test_pictures_without_a_file_and_files_without_a_picture(tmp_path):
    write_voc(tmp_path, 'a', an_object())
    write_picture(tmp_path / 'JPEGImages' / 'b.jpg')
    (tmp_path / 'Annotations' / 'c.xml').write_text('<annotation/>')
    said = []
    data = open_voc(tmp_path, say=said.append)
    assert [len(picture.truth.boxes) for picture in data] == [1, 0]
    assert '1 x annotations of a picture that is missing (Annotations/c.xml)' in said[0]


@pytest.mark.parametrize(
    ('inner', 'said'),
    [
        (SIZE.format(40, 10), r'a.xml is for a picture of 40x10, the picture is 20x10'),
        (an_object(lower='x'), r"an object has the box \['1', '2', '20', 'x'\]"),
        (an_object(lower='nan'), 'an object has the box'),
        ('<object><name>cat</name></object>', 'an object has the box'),
        (an_object(name=' '), 'an object has no name'),
        ('<object>', 'is no XML'),
    ],
)
def test_bad_files_are_named(tmp_path, inner, said):
    write_voc(tmp_path, 'a', inner)
    with pytest.raises(DataError, match=said):
        _ = open_voc(tmp_path)[0]


def test_a_name_that_the_file_of_names_lacks_is_refused(tmp_path):
    write_voc(tmp_path, 'a', an_object())
    (tmp_path / 'names.txt').write_text('dog\n')
    with pytest.raises(DataError, match="'cat' is not among the names of classes"):
        _ = open_voc(tmp_path)[0]


def test_entities_are_refused(tmp_path):
    write_voc(tmp_path, 'a', '')
    text = '<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>'
    (tmp_path / 'Annotations' / 'a.xml').write_text(text)
    with pytest.raises(DataError, match='declares a document type'):
        open_voc(tmp_path)
