# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.training.survey import survey
from support.labelled_data import write_picture, write_yolo


def write_class(folder, name, sizes):
    for index, (width, height) in enumerate(sizes):
        write_picture(folder / name / f'{index}.png', width, height)


def test_pictures_and_sizes_are_counted(tmp_path):
    write_class(tmp_path, 'box', [(40, 20)] * 5)
    write_class(tmp_path, 'door', [(30, 60)] * 6)
    found = survey(tmp_path, say=pytest.fail)
    assert found.classes == ('box', 'door')
    assert found.pictures == (5, 6)
    assert found.count == 11
    assert (found.smallest, found.largest) == (Size(20, 30), Size(60, 40))
    assert found.side == 30.0
    assert found.elongation == 2.0
    assert not found.detection and not found.one_size
    assert found.test_data is None


def test_a_part_to_validate_with_is_tested_on_where_there_is_no_other(tmp_path):
    for part in ('train', 'val'):
        for name in ('box', 'door'):
            write_class(tmp_path / part, name, [(20, 20)] * 5)
    found = survey(tmp_path, say=pytest.fail)
    assert found.count == 10
    assert found.test_data == tmp_path / 'val'


def test_boxes_are_measured_against_their_pictures(tmp_path):
    # Of pictures of 20x10, boxes of 10x5 and one of 5x2.5; the second class has no picture.
    lines = {f'{index}': '0 0.5 0.5 0.5 0.5\n' for index in range(6)}
    lines['6'] = '0 0.5 0.5 0.25 0.25\n'
    found = survey(write_yolo(tmp_path, lines), say=pytest.fail)
    assert found.detection
    assert found.pictures == (7, 0)
    assert found.object_share == pytest.approx((10 * 5) ** 0.5 / 20)


def test_boxes_in_too_few_pictures_are_refused(tmp_path):
    lines = {f'{index}': '0 0.5 0.5 0.5 0.5\n' for index in range(4)}
    with pytest.raises(DataError, match='no class is in 5 pictures or more'):
        survey(write_yolo(tmp_path, lines), say=pytest.fail)


def test_what_was_left_out_is_said_once(tmp_path):
    for name in ('box', 'door'):
        write_class(tmp_path, name, [(20, 20)] * 5)
    write_picture(tmp_path / 'alone.png')
    said = []
    survey(tmp_path, say=said.append)
    assert len(said) == 1 and 'alone.png' in said[0]
