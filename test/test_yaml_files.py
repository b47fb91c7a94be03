# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import yaml

from dynamic_dnn_ros.yaml_files import DoubledKeyError, parse_yaml, read_yaml


@pytest.mark.parametrize('text_only', [True, False])
@pytest.mark.parametrize(
    ('text', 'said'),
    [
        (
            'phases: 1\nbatch_size: 2\nphases: 3\n',
            "'phases' is given twice, in line 1 and in line 3",
        ),
        ('x:\n- a: 1\n- b: 1\n  b: 2\n', "'b' is given twice, in line 3 and in line 4"),
        ('{a: 1, a: 2}', "'a' is given twice, in line 1 and in line 1"),
    ],
)
def test_a_key_given_twice_is_refused(text, said, text_only):
    with pytest.raises(DoubledKeyError, match=said):
        parse_yaml(text, text_only)


def test_what_is_merged_may_be_given_anew():
    text = 'y: &y {b: 1}\na: {deep: &x {<<: *y, b: 2}}\nd: {<<: *x, b: 3}\n'
    assert parse_yaml(text) == {'y': {'b': 1}, 'a': {'deep': {'b': 2}}, 'd': {'b': 3}}


def test_values_as_they_are_or_as_text():
    assert parse_yaml('a: on\n1: 2\n"1": 3') == {'a': True, 1: 2, '1': 3}
    assert parse_yaml('a: on\n1: 2', text_only=True) == {'a': 'on', '1': '2'}


def test_nothing_but_data_is_made():
    with pytest.raises(yaml.YAMLError):
        parse_yaml('!!python/object/apply:os.system ["true"]')


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    path = tmp_path / 'a.yaml'
    path.write_text('\ufeffa: 1', encoding='utf-8')
    assert read_yaml(path) == {'a': 1}
