# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The journal of a profile as a table for a board."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from dynamic_dnn_ros.platforms.calibration.table import TableError
from dynamic_dnn_ros.profiling.journal import Journal
from dynamic_dnn_ros.profiling.journal_table import journal_table
from dynamic_dnn_ros.profiling.plan import Place, Visit, VisitKind

CLOCKS = (0.5e9, 1.0e9)


def visit(number: int, setting: int, latency: float, energy: float = math.nan) -> Visit:
    place = Place(VisitKind.RUN, setting, 'gpu', 's0')
    latencies = np.full(10, latency)
    granted = {'gpu': CLOCKS[setting], 'gpu_other': 1.0}
    return Visit(number, 0, place, latencies, 10 * latency, energy, granted, {}, {})


def write(path: Path, visits: list[Visit]) -> Path:
    journal = Journal(path, {'bundle': 'synthetic'}, restart=False)
    for each in visits:
        journal.append(each)
    journal.close()
    return path


def test_a_row_for_each_setting_over_all_rounds(tmp_path: Path) -> None:
    idle = Visit(0, 0, Place(VisitKind.IDLE, 0), np.array([]), 1.0, 3.0, {}, {}, {})
    path = write(
        tmp_path / 'jetson.jsonl',
        [idle]
        + [visit(round_, 0, latency, 0.9) for round_, latency in enumerate((0.03, 0.031, 0.09))]
        + [visit(round_, 1, 0.02, 1.6) for round_ in range(3)],
    )
    with path.open('a') as file:
        file.write('{"cut off')
    slow, fast = journal_table(path).rows
    assert (slow.network, slow.processor, slow.clocks) == ('s0', 'gpu', {'gpu': 0.5e9})
    assert (slow.latency, fast.latency) == (pytest.approx(0.031), pytest.approx(0.02))
    assert fast.power == {'MODULE': pytest.approx(8.0)}


def test_without_a_rail_there_is_no_power(tmp_path: Path) -> None:
    path = write(tmp_path / 'linux.jsonl', [visit(0, 0, 0.03), visit(0, 1, 0.02)])
    assert [row.power for row in journal_table(path).rows] == [{}, {}]


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('', 'is no journal'),
        ('network,latency_s\n', 'is no journal'),
        (json.dumps({'other': 1}) + '\n', 'is no journal'),
        (json.dumps({'format_version': 1}) + '\n', 'has no rows'),
    ],
)
def test_refuses(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / 'x.jsonl'
    path.write_text(text)
    with pytest.raises(TableError, match=words):
        journal_table(path)
    with pytest.raises(TableError, match='cannot be read'):
        journal_table(tmp_path / 'none.jsonl')
