# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labels of files and of metadata."""

from pathlib import Path

import pytest

from dynamic_dnn_ros.importing.errors import ImportingError
from dynamic_dnn_ros.importing.labels import metadata_labels, read_labels

THREE = ('cat', 'dog', 'wine glass')


@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('a.txt', 'cat\ndog\nwine glass\n'),
        ('bom.txt', '\ufeffcat\r\ndog\r\nwine glass\r\n\r\n'),
        ('a.names', 'cat\ndog\nwine glass'),
        ('a.json', '["cat", "dog", "wine glass"]'),
        ('b.json', '{"1": "dog", "0": "cat", "2": "wine glass"}'),
        ('c.json', '{"categories": [{"id": 1, "name": "cat"}, {"name": "dog"}, '
         '{"name": "wine glass"}], "images": []}'),
        ('a.yaml', 'names:\n  0: cat\n  1: dog\n  2: wine glass\nnc: 3\n'),
        ('b.yml', '\ufeffpath: x\nnames: [cat, dog, wine glass]\n'),
        ('c.yaml', '- cat\n- dog\n- wine glass\n'),
        ('d.yaml', 'labels: {2: wine glass, 0: cat, 1: dog}\n'),
    ],
)  # fmt: skip
def test_labels_are_read(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding='utf-8')
    assert read_labels(tmp_path / name) == THREE


def test_two_labels_may_have_one_name(tmp_path: Path) -> None:
    (tmp_path / 'a.txt').write_text('crane\nheron\ncrane\n')
    assert read_labels(tmp_path / 'a.txt') == ('crane', 'heron', 'crane')


@pytest.mark.parametrize(
    ('name', 'text', 'named'),
    [
        ('a.txt', '', 'holds no labels'),
        ('b.txt', 'cat\n\ndog\n', 'label 1 is empty'),
        ('a.yaml', 'names:\n  0: cat\n  1: dog\n  1: bird\n', "'1'"),
        ('b.yaml', 'names: [a, b]\nnc: 2\nnames: [c, d]\n', "'names'"),
        ('c.yaml', 'names: {0: cat, 2: dog}\n', 'there is no 1'),
        ('d.yaml', 'path: x\ntrain: y\n', 'keys are no'),
        ('e.yaml', 'names: [cat, [a, b]]\n', 'is no text'),
        ('f.yaml', 'names: [cat\n', 'cannot be read'),
        ('a.json', '{"names": ["a"], "names": ["b"]}', '2 times'),
        ('b.json', '["a",', 'cannot be read'),
        ('c.json', '7', 'no list of labels'),
        ('d.json', '["a", true]', 'is no text'),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, name: str, text: str, named: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ImportingError) as caught:
        read_labels(tmp_path / name)
    assert named in str(caught.value) and name in str(caught.value)


def test_names_that_yaml_takes_for_values_stay_names(tmp_path: Path) -> None:
    (tmp_path / 'a.yaml').write_text('names: [yes, no, 3]\n')
    assert read_labels(tmp_path / 'a.yaml') == ('yes', 'no', '3')


def test_other_bytes_and_absent_files(tmp_path: Path) -> None:
    (tmp_path / 'a.txt').write_bytes(b'caf\xe9\n')
    for path, named in ((tmp_path / 'a.txt', 'UTF-8'), (tmp_path / 'b.txt', 'No such file')):
        with pytest.raises(ImportingError, match=named):
            read_labels(path)


def test_metadata() -> None:
    assert metadata_labels({'names': "{0: 'cat', 1: 'dog', 2: 'wine glass'}"}, 'm') == THREE
    assert metadata_labels({}, 'm') is None
    for text in ('{0: open("x")}', '[[', "{0: 'a', 5: 'b'}"):
        with pytest.raises(ImportingError, match='m: '):
            metadata_labels({'names': text}, 'm')
