# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Keep files so that a kill at any moment costs at most the last step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import contextlib
import fcntl
import json
import os
from pathlib import Path
from typing import Any, BinaryIO


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """
    Give a stream whose content replaces a file at once when the context ends, or not at all.

    One writer at a time: the part lies beside the file, and what a kill left of it is written
    over.

    :raises OSError: when it cannot be written; the old file stays
    """
    part = path.with_name(f'.{path.name}.part')
    try:
        with part.open('wb') as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """
    Write a file at once or not at all; one writer at a time.

    :raises OSError: when it cannot be written; the old file stays
    """
    with written_whole(path) as stream:
        stream.write(content)


class JournalFile:
    """
    A file of JSON objects, one a line. It is locked while it is open.

    A row is on disk when `append` returns; a line that a kill cut off is forgotten.
    """

    def __init__(self, path: Path, create: bool = True, restart: bool = False) -> None:
        """
        Open a journal and read its rows.

        :param create: whether to begin one where there is none; its folder is made too
        :param restart: whether to forget what is in there
        :raises BlockingIOError: when another process has it open
        :raises OSError: when it cannot be opened, or written
        :raises ValueError: when a line is no JSON object
        """
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | (os.O_CREAT if create else 0)
        self._file = os.fdopen(os.open(path, flags, 0o644), 'r+b', buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.rows = self._read(restart)
        except BaseException:
            self._file.close()
            raise

    def _read(self, restart: bool) -> list[Mapping[str, Any]]:
        content = b'' if restart else self._file.read()
        whole = content[: content.rfind(b'\n') + 1]
        rows = [_json_object(line) for line in whole.splitlines()]
        self._file.seek(len(whole))
        if os.fstat(self._file.fileno()).st_size > len(whole):
            self._file.truncate()
        return rows

    def append(self, row: Mapping[str, Any]) -> None:
        """
        Add a row.

        :raises OSError: when it cannot be written
        """
        line = memoryview((json.dumps(row) + '\n').encode())
        while line:
            line = line[self._file.write(line) :]
        os.fsync(self._file.fileno())
        self.rows.append(row)

    def close(self) -> None:
        """Close the file; the next one may go on with it."""
        self._file.close()


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the names under which two mappings have other values, or only one has any."""
    return [name for name in {**one, **other} if one.get(name) != other.get(name)]


def _json_object(line: bytes) -> Mapping[str, Any]:
    row = json.loads(line)
    if not isinstance(row, dict):
        raise ValueError(f'no JSON object but {row!r}')
    return row
