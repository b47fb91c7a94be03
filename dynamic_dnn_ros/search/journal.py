# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What a search has measured, kept on disk, so that a search that was killed goes on.

A folder with `journal.jsonl` and the batch-norm statistics of each candidate. The first line of
the journal says what was measured (`subject`); each further one is a measurement of a candidate:
its accuracy, or its cost, as a ratio to that of the largest sub-network, with the conditions under
which it was measured.
"""

from __future__ import annotations

from collections.abc import Mapping
import fcntl
import json
import math
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load, save

from dynamic_dnn_ros.networks.contract import Arrays
from dynamic_dnn_ros.search.errors import SearchError
from dynamic_dnn_ros.search.space import key_of

JOURNAL_NAME = 'journal.jsonl'
_STATISTICS_FOLDER = 'statistics'


class Journal:
    """
    The measurements of one search; one process at a time may open it.

    Each measurement is on disk when its method returns.
    """

    def __init__(self, folder: Path, subject: Mapping[str, Any]) -> None:
        """
        Open the journal of a folder, or start one.

        :param subject: whatever the accuracies depend on.
        :raises SearchError: if it is of another subject, damaged, or another search uses it.
        """
        self._folder = folder
        self._path = folder / JOURNAL_NAME
        self._accuracies: dict[str, float] = {}
        self._costs: dict[tuple[str, str], float] = {}
        (folder / _STATISTICS_FOLDER).mkdir(parents=True, exist_ok=True)
        self._file = self._path.open('a+b')
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._read(dict(subject))
        except BlockingIOError as error:
            self._file.close()
            raise SearchError(
                f'{self._path} is used by another search: wait for its end, or give this one '
                'another work folder'
            ) from error
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def accuracy(self, mapping: Mapping[str, Any]) -> float | None:
        """Return the held-out accuracy of a configuration, None where it was not measured."""
        return self._accuracies.get(key_of(mapping))

    def cost(self, mapping: Mapping[str, Any], conditions: str) -> float | None:
        """Return the cost of a configuration under some conditions, None where not measured."""
        return self._costs.get((key_of(mapping), conditions))

    def statistics(self, mapping: Mapping[str, Any]) -> Arrays:
        """
        Return the batch-norm statistics of a configuration whose accuracy was measured.

        :raises SearchError: if their file is missing or damaged.
        """
        path = self._statistics_path(key_of(mapping))
        try:
            return dict(load(path.read_bytes()))
        except (OSError, SafetensorError) as error:
            raise SearchError(
                f'{path} cannot be read ({error}): remove {self._folder} to search anew'
            ) from error

    def record_accuracy(
        self, mapping: Mapping[str, Any], accuracy: float, statistics: Arrays
    ) -> None:
        """Keep a measured accuracy, and the statistics it was measured with."""
        key = key_of(mapping)
        path = self._statistics_path(key)
        part = path.with_suffix('.part')
        with part.open('wb') as file:
            file.write(save(statistics))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        self._append({'configuration': dict(mapping), 'accuracy': accuracy})
        self._accuracies[key] = accuracy

    def record_cost(self, mapping: Mapping[str, Any], cost: float, conditions: str) -> None:
        """Keep a measured cost."""
        self._append({'configuration': dict(mapping), 'cost': cost, 'conditions': conditions})
        self._costs[key_of(mapping), conditions] = cost

    def _statistics_path(self, key: str) -> Path:
        return self._folder / _STATISTICS_FOLDER / f'{key}.safetensors'

    def _append(self, row: Mapping[str, Any]) -> None:
        self._file.write((json.dumps(row) + '\n').encode())
        self._file.flush()
        os.fsync(self._file.fileno())

    def _read(self, subject: dict[str, Any]) -> None:
        self._file.seek(0)
        content = self._file.read()
        # A kill in the middle of a line leaves that line without its end.
        whole, _, rest = content.rpartition(b'\n')
        if rest:
            self._file.truncate(len(content) - len(rest))
        lines = whole.splitlines()
        if not lines:
            self._append({'subject': subject})
            return
        try:
            found = json.loads(lines[0])['subject']
            differing = [
                name
                for name in sorted(subject.keys() | found.keys())
                if subject.get(name) != found.get(name)
            ]
            for line in lines[1:]:
                self._take(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SearchError(
                f'{self._path} is damaged ({error}): remove {self._folder} to search anew'
            ) from error
        if differing:
            raise SearchError(
                f'{self._path} is of another search, its {", ".join(differing)} differ: remove '
                f'{self._folder} to search anew'
            )

    def _take(self, row: Mapping[str, Any]) -> None:
        if 'cost' in row:
            key = key_of(row['configuration']), str(row['conditions'])
            self._costs[key] = _positive(row['cost'])
        else:
            self._accuracies[key_of(row['configuration'])] = float(row['accuracy'])


def _positive(value: Any) -> float:
    number = float(value)
    if not (math.isfinite(number) and number > 0.0):
        raise ValueError(f'a cost of {value}')
    return number
