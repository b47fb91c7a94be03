# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
from pathlib import Path
import signal
import subprocess
import sys

import pytest

from dynamic_dnn_ros.storage import JournalFile, differing, write_whole, written_whole

ROWS = [{'subject': 'a'}, {'step': 1}, {'step': 2}]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / 'work' / 'journal.jsonl'


def write(path: Path, rows=ROWS) -> None:
    journal = JournalFile(path)
    for row in rows:
        journal.append(row)
    journal.close()


def rows_of(path: Path, **options) -> list:
    journal = JournalFile(path, **options)
    journal.close()
    return journal.rows


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / 'result.json'
    for content in (b'old', b'new'):
        write_whole(path, content)
        assert path.read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == ['result.json']


def test_what_fails_on_the_way_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / 'result.json'
    write_whole(path, b'old')

    def interrupted() -> None:
        with written_whole(path) as stream:
            stream.write(b'half')
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b'old'
    assert [file.name for file in tmp_path.iterdir()] == ['result.json']


def test_what_a_kill_left_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / 'result.json'
    write_whole(path, b'old')
    killed = (
        'import os, sys, pathlib; from dynamic_dnn_ros.storage import written_whole\n'
        'with written_whole(pathlib.Path(sys.argv[1])) as stream:\n'
        '    stream.write(b"longer than the new one"); stream.flush(); os.kill(os.getpid(), 9)'
    )
    process = subprocess.run([sys.executable, '-c', killed, str(path)], check=False)
    assert process.returncode == -signal.SIGKILL
    assert path.read_bytes() == b'old'
    assert len(list(tmp_path.iterdir())) == 2
    write_whole(path, b'new')
    assert path.read_bytes() == b'new'
    assert [file.name for file in tmp_path.iterdir()] == ['result.json']


def test_rows_are_there_in_the_next_run(path: Path) -> None:
    write(path)
    assert rows_of(path) == ROWS
    write(path, [{'step': 3}])
    assert rows_of(path) == [*ROWS, {'step': 3}]


def test_a_line_cut_short_anywhere_is_forgotten(path: Path) -> None:
    write(path)
    whole = path.read_bytes()
    ends = [index + 1 for index, byte in enumerate(whole) if byte == ord('\n')]
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        kept = sum(end <= length for end in ends)
        assert rows_of(path) == ROWS[:kept]
        assert path.read_bytes() == b''.join(whole.splitlines(keepends=True)[:kept])


@pytest.mark.parametrize('line', [b'nonsense\n', b'[]\n', b'\xff\n', b'\n'])
def test_a_line_that_is_no_object_is_an_error_and_stays(path: Path, line: bytes) -> None:
    write(path)
    damaged = path.read_bytes() + line
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=r'.'):
        JournalFile(path)
    assert path.read_bytes() == damaged
    assert rows_of(path, restart=True) == []
    assert path.read_bytes() == b''


def test_one_at_a_time(path: Path) -> None:
    journal = JournalFile(path)
    with pytest.raises(BlockingIOError):
        JournalFile(path, restart=True)
    journal.close()
    JournalFile(path).close()


def test_begins_none_where_it_is_not_to(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        JournalFile(path, create=False)
    assert not path.parent.exists()


def test_a_full_disk_is_an_error() -> None:
    journal = JournalFile(Path('/dev/full'), restart=True)
    with pytest.raises(OSError, match=os.strerror(28)):
        journal.append({'step': 1})
    journal.close()
    assert journal.rows == []


def test_differing_names() -> None:
    assert differing({'a': 1, 'b': 2}, {'a': 1, 'b': 3, 'c': 4}) == ['b', 'c']
    assert differing({'a': (1.0,)}, {'a': (1.0,)}) == []
