# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The file that keeps what was measured so far, so that a kill costs one step."""

from __future__ import annotations

from collections.abc import Mapping
import json
from pathlib import Path
from typing import Any

from dynamic_dnn_ros.profiling.plan import Visit
from dynamic_dnn_ros.storage import JournalFile, differing

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
        self._file = self._open(restart, resume)
        try:
            if resume and not self._file.rows:
                raise JournalError(path, *_NOTHING)
            expected = json.loads(json.dumps({'format_version': FORMAT_VERSION, **header}))
            if not self._file.rows:
                self._append(expected)
            self.visits = self._visits(expected)
        except BaseException:
            self._file.close()
            raise

    def _open(self, restart: bool, resume: bool) -> JournalFile:
        try:
            return JournalFile(self.path, create=not resume, restart=restart)
        except ValueError as error:
            raise JournalError(self.path, f'is damaged ({error})', _RESTART) from error
        except BlockingIOError as error:
            raise JournalError(
                self.path, 'another command is measuring this', 'Wait for its end, or stop it'
            ) from error
        except OSError as error:
            if resume and isinstance(error, FileNotFoundError):
                raise JournalError(self.path, *_NOTHING) from error
            raise JournalError(
                self.path,
                f'cannot be written ({error.strerror})',
                'Name a folder that you may write with --work-folder',
            ) from error

    def _visits(self, expected: Mapping[str, Any]) -> list[Visit]:
        header, *rows = self._file.rows
        different = differing(expected, header)
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
        try:
            return [Visit.from_mapping(row) for row in rows]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise JournalError(self.path, f'is damaged ({error})', _RESTART) from error

    def append(self, visit: Visit) -> None:
        """
        Add a visit; it survives a kill from here on.

        :raises JournalError: when the disk is full
        """
        self._append(visit.to_mapping())
        self.visits.append(visit)

    def _append(self, row: Mapping[str, Any]) -> None:
        try:
            self._file.append(row)
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
