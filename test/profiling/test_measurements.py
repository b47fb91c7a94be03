# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.profile import OperatingPoints, ProfileKind
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.platforms.board_model import load_board
from dynamic_dnn_ros.profiling.measurements import (
    MeasurementError,
    board_profile,
    matched,
    networks_of_profile,
    point_profile,
    read_table,
)
from support.shared_data import shared_data

HEADER = 'board,framework,network,image_size,mean_ms,median_ms,min_ms,max_ms\n'
ROWS = (
    'Nano,tensorrt,yolov8n,320,3.0,2.9,2.8,4.0\n'
    'Nano,tensorrt,yolov8n,640,7.0,6.9,6.8,9.0\n'
    'Nano,tensorrt,yolov8s,640,11.0,,,\n'
    'Nano,torch,yolov8n,640,19.0,,,\n'
    'Big,tensorrt,yolov8n,640,2.0,,,\n'
)
SUB_NETWORKS = (
    SubNetwork('n_320', {'model': 'YOLO-v8n'}, Size(320, 320), 0.3, 10**9, 3 * 10**6, 64),
    SubNetwork('yolov8n_640', {}, Size(640, 640), 0.37, 4 * 10**9, 3 * 10**6, 64),
    SubNetwork('s', {'model': 'yolov8s'}, Size(640, 640), 0.45, 14 * 10**9, 11 * 10**6, 64),
)


def written(folder: Path, text: str) -> Path:
    path = folder / 'latency.csv'
    path.write_text(text, encoding='utf-8')
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(tmp_path, HEADER + ROWS)


def test_rows_are_found_by_model_or_id_and_size(path: Path) -> None:
    rows = matched(read_table(path), SUB_NETWORKS, 'Nano', 'tensorrt')
    assert {name: row.latency_mean for name, row in rows.items()} == {
        'n_320': pytest.approx(0.003),
        'yolov8n_640': pytest.approx(0.007),
        's': pytest.approx(0.011),
    }


def test_names_may_be_given(path: Path) -> None:
    entry = replace(SUB_NETWORKS[0], configuration={'model': 'mine'}, size=Size(384, 640))
    with pytest.raises(MeasurementError, match='input of 640x384.*n_320=mine@SIZE'):
        matched(read_table(path), [entry], 'Nano', 'tensorrt')
    for given in ({'n_320': 'yolov8n@640'}, {'mine': 'yolov8n@640'}):
        rows = matched(read_table(path), [entry], 'Nano', 'tensorrt', given)
        assert rows['n_320'].latency_mean == pytest.approx(0.007)


@pytest.mark.parametrize(
    ('board', 'framework', 'said'),
    [
        ('', 'tensorrt', 'several of them: name a board. Choose of: Nano, Big'),
        ('Small', 'tensorrt', "no board 'Small'. Choose of: Nano, Big"),
        ('Nano', '', 'name a framework. Choose of: tensorrt, torch'),
        ('Nano', 'torch', r'no YOLO-v8n at 320 .*the sizes \[640\].*n_320=NETWORK@SIZE'),
        ('Big', '', 'no YOLO-v8n at 320'),
    ],
)
def test_what_the_table_lacks_is_said(path: Path, board: str, framework: str, said: str) -> None:
    with pytest.raises(MeasurementError, match=said):
        matched(read_table(path), SUB_NETWORKS, board, framework)


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('', 'lacks the columns board'),
        ('board,framework,network,image_size,mean\nA,B,C,640,1\n', 'lacks the columns mean_ms'),
        (HEADER, 'has no rows'),
        (HEADER + 'A,B,C,640,0.003,,,\n', 'line 2: mean_ms is .0.003.*Give milliseconds'),
        (HEADER + 'A,B,C,640,7e6,,,\n', 'Give milliseconds'),
        (HEADER + 'A,B,C,640,nan,,,\n', "mean_ms is 'nan'"),
        (HEADER + 'A,B,C,640,,,,\n', "mean_ms is ''"),
        (HEADER + 'A,B,C,big,7,,,\n', "image_size is 'big'"),
        (HEADER + ',B,C,640,7,,,\n', 'board, framework or network is empty'),
    ],
)
def test_bad_tables_are_refused_by_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(MeasurementError, match=said):
        read_table(written(tmp_path, text))


def test_a_table_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match='cannot be read'):
        read_table(tmp_path / 'absent.csv')
    (tmp_path / 'picture.csv').write_bytes(b'\x89PNG\xff\xfe')
    with pytest.raises(MeasurementError):
        read_table(tmp_path / 'picture.csv')


def test_a_row_twice_is_refused_where_it_says_something_else(tmp_path: Path) -> None:
    same = read_table(written(tmp_path, HEADER + ROWS + ROWS.splitlines(True)[0]))
    assert len(same.of('Nano', 'tensorrt')) == 3
    other = read_table(written(tmp_path, HEADER + ROWS + 'Nano,tensorrt,yolov8n,320,9,,,\n'))
    with pytest.raises(MeasurementError, match='yolov8n at 320 on Nano .* twice'):
        other.of('Nano', 'tensorrt')


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    assert read_table(written(tmp_path, '\ufeff' + HEADER + ROWS)).boards == ('Nano', 'Big')


def test_points_of_a_board_whose_clocks_are_left_alone(path: Path) -> None:
    table = read_table(path)
    rows = matched(table, SUB_NETWORKS, 'Nano', 'tensorrt')
    profile = point_profile('jetson_orin_nano', SUB_NETWORKS, table, rows)
    assert (profile.kind, profile.domains, len(profile)) == (ProfileKind.MEASURED, (), 3)
    assert profile.latency_p50.tolist() == pytest.approx([0.0029, 0.0069, 0.011])
    assert np.isnan(profile.energy).all() and np.isnan(profile.power).all()
    assert 'measured by others on Nano with tensorrt' in profile.description
    assert profile.measured_elsewhere == 'latency.csv'
    again = OperatingPoints.from_mapping(profile.to_mapping(), 'file')
    assert again.measured_elsewhere == 'latency.csv'


@pytest.mark.parametrize('platform', ['xavier_nx_simulated', 'orin_nano_simulated'])
def test_a_simulated_board_is_true_to_the_table_at_its_highest_clocks(
    path: Path, platform: str
) -> None:
    table, board = read_table(path), load_board(platform)
    rows = matched(table, SUB_NETWORKS, 'Nano', 'tensorrt')
    profile = board_profile(board, platform, SUB_NETWORKS, table, rows)
    assert profile.extrapolated and 'assumed' in profile.description
    highest = (profile.frequencies == profile.frequencies.max(axis=0)).all(axis=1)
    assert profile.latency_mean[highest].tolist() == pytest.approx([0.003, 0.007, 0.011])
    lowest = (profile.frequencies == profile.frequencies.min(axis=0)).all(axis=1)
    assert (profile.latency_mean[lowest] > 1.3 * profile.latency_mean[highest]).all()
    assert np.isfinite(profile.energy).all()
    networks = networks_of_profile(board, SUB_NETWORKS, profile)
    clocks = dict(zip(profile.domains, profile.frequencies.max(axis=0)))
    assert board.latency(networks['s'], 'gpu', clocks) == pytest.approx(0.011)


def test_every_row_of_the_published_table_is_read() -> None:
    table = read_table(shared_data('platforms/jetson_detectors/latency.csv'))
    assert len(table.boards) == 5
    assert len(table.of('XavierNX-8GB', 'tensorrt')) == 96
