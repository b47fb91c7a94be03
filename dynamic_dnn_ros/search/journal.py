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
import math
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load, save

from dynamic_dnn_ros.networks.contract import Arrays
from dynamic_dnn_ros.search.errors import SearchError
from dynamic_dnn_ros.search.space import key_of
from dynamic_dnn_ros.storage import JournalFile, differing, write_whole

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
        try:
            self._file = JournalFile(self._path)
        except BlockingIOError as error:
            raise SearchError(
                f'{self._path} is used by another search: wait for its end, or give this one '
                'another work folder'
            ) from error
        except ValueError as error:
            raise self._damaged(error) from error
        try:
            if not self._file.rows:
                self._file.append({'subject': dict(subject)})
            self._take(subject)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
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
        write_whole(self._statistics_path(key), save(statistics))
        self._file.append({'configuration': dict(mapping), 'accuracy': accuracy})
        self._accuracies[key] = accuracy

    def record_cost(self, mapping: Mapping[str, Any], cost: float, conditions: str) -> None:
        """Keep a measured cost."""
        self._file.append({'configuration': dict(mapping), 'cost': cost, 'conditions': conditions})
        self._costs[key_of(mapping), conditions] = cost

    def _statistics_path(self, key: str) -> Path:
        return self._folder / _STATISTICS_FOLDER / f'{key}.safetensors'

    def _take(self, subject: Mapping[str, Any]) -> None:
        header, *rows = self._file.rows
        try:
            different = differing(subject, header['subject'])
            for row in rows:
                self._take_row(row)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._damaged(error) from error
        if different:
            raise SearchError(
                f'{self._path} is of another search, its {", ".join(different)} differ: remove '
                f'{self._folder} to search anew'
            )

    def _take_row(self, row: Mapping[str, Any]) -> None:
        if 'cost' in row:
            key = key_of(row['configuration']), str(row['conditions'])
            self._costs[key] = _positive(row['cost'])
        else:
            self._accuracies[key_of(row['configuration'])] = float(row['accuracy'])

    def _damaged(self, error: Exception) -> SearchError:
        return SearchError(
            f'{self._path} is damaged ({error}): remove {self._folder} to search anew'
        )


def _positive(value: Any) -> float:
    number = float(value)
    if not (math.isfinite(number) and number > 0.0):
        raise ValueError(f'a cost of {value}')
    return number
