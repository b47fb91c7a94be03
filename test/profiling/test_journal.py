# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dynamic_dnn_ros.profiling.journal import Journal, JournalError
from dynamic_dnn_ros.profiling.plan import Place, Visit, VisitKind

HEADER = {'bundle': 'synthetic', 'threads': 1, 'settings': ((1e9,), (2e9,))}


def visit(number: int) -> Visit:
    place = Place(VisitKind.RUN, 0, 'cpu', 's0')
    return Visit(number, 0, place, np.array([1e-3]), 1e-3, 0.5, {}, {}, {})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / 'work' / 'linux.jsonl'


def write(path: Path, number: int) -> None:
    journal = Journal(path, HEADER, restart=False)
    for index in range(len(journal.visits), number):
        journal.append(visit(index))
    journal.close()


def test_goes_on_where_it_ended(path: Path) -> None:
    write(path, 2)
    write(path, 3)
    journal = Journal(path, HEADER, restart=False, resume=True)
    assert [entry.round for entry in journal.visits] == [0, 1, 2]
    journal.close()


@pytest.mark.parametrize('cut', [1, 5, 60])
def test_a_line_that_a_kill_cut_off_is_forgotten(path: Path, cut: int) -> None:
    write(path, 3)
    path.write_bytes(path.read_bytes()[:-cut])
    write(path, 2)
    whole = path.read_bytes()
    assert whole.endswith(b'}\n')
    write(path, 3)
    assert path.read_bytes().startswith(whole)
    assert len(path.read_bytes().splitlines()) == 4


def test_a_header_that_a_kill_cut_off_is_nothing(path: Path) -> None:
    write(path, 0)
    path.write_bytes(path.read_bytes()[:-3])
    write(path, 1)
    assert len(path.read_bytes().splitlines()) == 2


def test_another_measurement_is_refused_and_says_in_what(path: Path) -> None:
    write(path, 2)
    before = path.read_bytes()
    with pytest.raises(JournalError, match=r'threads is 1 there, 2 now.*--restart'):
        Journal(path, {**HEADER, 'threads': 2}, restart=False)
    assert path.read_bytes() == before
    journal = Journal(path, {**HEADER, 'threads': 2}, restart=True)
    assert journal.visits == []
    journal.close()


def test_resume_needs_something_to_go_on_with(path: Path) -> None:
    with pytest.raises(JournalError, match='nothing to go on with'):
        Journal(path, HEADER, restart=False, resume=True)
    assert not path.parent.exists()


@pytest.mark.parametrize('line', [b'not JSON\n', b'{"round": "x"}\n', b'[]\n'])
def test_damage_is_named(path: Path, line: bytes) -> None:
    write(path, 1)
    path.write_bytes(path.read_bytes() + line)
    with pytest.raises(JournalError, match=r'linux.jsonl: is damaged.*--restart'):
        Journal(path, HEADER, restart=False)


def test_one_command_at_a_time(path: Path) -> None:
    journal = Journal(path, HEADER, restart=False)
    with pytest.raises(JournalError, match='another command'):
        Journal(path, HEADER, restart=False)
    journal.close()
    Journal(path, HEADER, restart=False).close()


def test_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / 'work').write_text('a file where the folder should be')
    with pytest.raises(JournalError, match='--work-folder'):
        Journal(tmp_path / 'work' / 'linux.jsonl', HEADER, restart=False)


def test_full_disk_is_said() -> None:
    with pytest.raises(JournalError, match=r'No space left.*goes on'):
        Journal(Path('/dev/full'), HEADER, restart=True)
