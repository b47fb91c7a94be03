# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which rows a board is fitted to: chosen ones, and those that a file names."""

from dataclasses import replace
from pathlib import Path

import pytest

from dynamic_dnn_ros.platforms.calibration.from_table import reference_of
from dynamic_dnn_ros.platforms.calibration.row_choice import well_chosen
from dynamic_dnn_ros.platforms.calibration.row_list import named_rows
from dynamic_dnn_ros.platforms.calibration.table import Table, TableError
from support.made_up_board import GPU, MEMORY, gpu_and_memory, known_board

ROWS = gpu_and_memory()
TABLE = Table('made_up.csv', tuple(ROWS))
REFERENCE = reference_of(TABLE, known_board())


def test_chosen_rows_reach_over_all_clocks_and_look_at_no_latency() -> None:
    chosen = well_chosen(ROWS, 6, REFERENCE)
    assert len({row.line for row in chosen}) == 6
    places = [GPU.index(row.clocks['gpu']) for row in chosen]
    assert min(places) <= 2 and max(places) >= 9
    assert {row.clocks['memory'] for row in chosen} >= {MEMORY[0], MEMORY[-1]}
    others = [replace(row, latency=row.latency * (1 + row.line)) for row in ROWS]
    assert [r.line for r in well_chosen(others, 6, REFERENCE)] == [r.line for r in chosen]


def test_so_many_of_each_network() -> None:
    both = [*ROWS, *gpu_and_memory(network='other')[:4]]
    chosen = well_chosen(both, 5, REFERENCE)
    assert sum(row.network == 'net' for row in chosen) == 5
    assert sum(row.network == 'other' for row in chosen) == 4  # it has no more
    with pytest.raises(TableError, match='all that there are'):
        well_chosen(ROWS, 52, REFERENCE)


@pytest.mark.parametrize('text', ['0\n3\n51\n', '# of GPU\n51\n0, 3  # last\n', '0 3 51'])
def test_rows_by_number_count_from_zero(tmp_path: Path, text: str) -> None:
    path = tmp_path / 'rows.txt'
    path.write_text(text)
    assert named_rows(path, TABLE) == [ROWS[0], ROWS[3], ROWS[51]]


def test_rows_by_setting(tmp_path: Path) -> None:
    path = tmp_path / 'rows.csv'
    path.write_text(
        'network,gpu_hz,memory_hz,latency_s\n'
        f'net,{GPU[2]},{MEMORY[1]},7\n'
        f'net,{GPU[0]},{MEMORY[0]},\n'
    )
    assert named_rows(path, TABLE) == [ROWS[0], ROWS[9]]
    path.write_text(f'gpu_hz\n{GPU[1]}\n')
    assert named_rows(path, TABLE) == ROWS[4:8]


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('', 'names no row'),
        ('# nothing\n', 'names no row'),
        ('52\n', "row '52', and made_up.csv has the rows 0 to 51"),
        ('-1\n', 'Count rows from 0'),
        ('1\nsix\n', "row 'six'"),
        ('remark\nwarm\n', 'numbers from 0, one a line'),
        ('network,gpu_hz\nnet,123\n', 'has no row with network net, gpu_hz 123'),
        ('network,gpu_hz\nnet,fast\n', "gpu_hz is 'fast'"),
    ],
)
def test_refuses_a_file_that_names_no_rows(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / 'rows'
    path.write_text(text)
    with pytest.raises(TableError) as error:
        named_rows(path, TABLE)
    assert words in str(error.value)
