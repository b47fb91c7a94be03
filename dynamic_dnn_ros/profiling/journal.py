# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The file that keeps what was measured so far, so that a kill costs one step."""

from __future__ import annotations

from collections.abc import Mapping
import fcntl
import json
import os
from pathlib import Path
from typing import Any, BinaryIO

from dynamic_dnn_ros.profiling.plan import Visit

FORMAT_VERSION = 1

_RESTART = 'Begin anew with --restart'
_NOTHING = ('there is nothing to go on with', 'Leave --resume out')


class JournalError(RuntimeError):
    """A journal cannot be used. The text names the file, the problem and the remedy."""

    def __init__(self, where: object, problem: str, remedy: str) -> None:
        super().__init__(f'{where}: {problem}. {remedy}')


class Journal:
    """
    A file of JSON lines: first what the measurement is of, then one line a visit.

    It is locked while it is open. A line that a kill cut off is forgotten.
    """

    def __init__(
        self, path: Path, header: Mapping[str, Any], restart: bool, resume: bool = False
    ) -> None:
        """
        Open the journal, or begin it.

        :param header: what the measurement is of, plain JSON data
        :param restart: whether to forget what is in there
        :param resume: whether there has to be something in there
        :raises JournalError: when it is of another measurement, in use, missing or unwritable
        """
        self.path = path
        self.visits: list[Visit] = []
        expected = json.loads(json.dumps({'format_version': FORMAT_VERSION, **header}))
        self._file = self._open(resume)
        try:
            content = b'' if restart else self._file.read()
            whole = content[: content.rfind(b'\n') + 1]
            if whole:
                self._take(whole, expected)
            elif resume:
                raise JournalError(path, *_NOTHING)
            self._file.seek(len(whole))
            if os.fstat(self._file.fileno()).st_size > len(whole):
                self._file.truncate()
            if not whole:
                self._write(expected)
        except BaseException:
            self._file.close()
            raise

    def _open(self, resume: bool) -> BinaryIO:
        try:
            if not resume:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | (0 if resume else os.O_CREAT)
            file = os.fdopen(os.open(self.path, flags, 0o644), 'r+b', buffering=0)
        except OSError as error:
            if resume and isinstance(error, FileNotFoundError):
                raise JournalError(self.path, *_NOTHING) from error
            raise JournalError(
                self.path,
                f'cannot be written ({error.strerror})',
                'Name a folder that you may write with --work-folder',
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            raise JournalError(
                self.path, 'another command is measuring this', 'Wait for its end, or stop it'
            ) from error
        return file

    def _take(self, content: bytes, expected: Mapping[str, Any]) -> None:
        try:
            header, *visits = (json.loads(line) for line in content.splitlines())
            different = [
                name
                for name in (*expected, *(name for name in header if name not in expected))
                if header.get(name) != expected.get(name)
            ]
            if not different:
                self.visits = [Visit.from_mapping(visit) for visit in visits]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise JournalError(self.path, f'is damaged ({error})', _RESTART) from error
        if different:
            raise JournalError(
                self.path,
                'was begun for another measurement: '
                + '; '.join(
                    f'{name} is {_short(header.get(name))} there, {_short(expected.get(name))} now'
                    for name in different
                ),
                f'Give the same options to go on with it. {_RESTART}, which forgets it',
            )

    def append(self, visit: Visit) -> None:
        """
        Add a visit; it survives a kill from here on.

        :raises JournalError: when the disk is full
        """
        self._write(visit.to_mapping())
        self.visits.append(visit)

    def _write(self, mapping: Mapping[str, Any]) -> None:
        line = memoryview((json.dumps(mapping) + '\n').encode())
        try:
            while line:
                line = line[self._file.write(line) :]
        except OSError as error:
            raise JournalError(
                self.path,
                f'cannot be written ({error.strerror})',
                'Make room and give the same command again: it goes on where this one ended',
            ) from error

    def close(self) -> None:
        """Close the file; the next one may go on with it."""
        self._file.close()


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + '...'
