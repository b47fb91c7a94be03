# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Which rows of a table a file names.

Either numbers, one a line, where 0 is the first row below the header; or a table with columns of
the same names, each row of which names all rows that agree with it in what it is measured at.
"""

from __future__ import annotations

from collections.abc import Sequence
import csv
import io
from pathlib import Path
import re

from dynamic_dnn_ros.platforms.calibration.table import DOMAINS, GPU, Row, Table, TableError

_KEYS = ('network', 'processor', 'image_size', 'cores', *(f'{domain}_hz' for domain in DOMAINS))


def named_rows(path: Path, table: Table) -> list[Row]:
    """
    Return the rows that a file names, in the order of the table.

    :raises TableError: when it cannot be read, names a row that is not there, or none
    """
    try:
        text = path.read_text(encoding='utf-8-sig')
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(path, f'cannot be read ({error})', 'Give a text file') from error
    lines = [line for line in text.splitlines() if line.split('#')[0].strip()]
    if not lines:
        raise TableError(path, 'names no row', 'Give the number of a row on each line, from 0')
    numbers = [re.split(r'[\s,;]+', line.split('#')[0].strip().strip(',;')) for line in lines]
    if all(cell.lstrip('-').isdigit() for cell in numbers[0]):
        return _by_number(path, [cell for line in numbers for cell in line], table)
    return _by_setting(path, '\n'.join(lines), table)


def _by_number(path: Path, cells: Sequence[str], table: Table) -> list[Row]:
    chosen = set()
    for cell in cells:
        if not cell.isdigit() or int(cell) >= len(table.rows):
            raise TableError(
                path,
                f'names row {cell!r}, and {table.name} has the rows 0 to {len(table.rows) - 1}',
                'Count rows from 0, without the header',
            )
        chosen.add(int(cell))
    return [table.rows[index] for index in sorted(chosen)]


def _by_setting(path: Path, text: str, table: Table) -> list[Row]:
    reader = csv.DictReader(io.StringIO(text))
    names = [(name or '').strip() for name in reader.fieldnames or ()]
    reader.fieldnames = names
    keys = [key for key in _KEYS if key in names]
    if not keys:
        raise TableError(
            path,
            'has neither numbers of rows nor a column that tells them apart',
            f'Give numbers from 0, one a line, or a CSV file with any of {", ".join(_KEYS)}',
        )
    known: dict[tuple[object, ...], list[Row]] = {}
    for row in table.rows:
        known.setdefault(tuple(_cell(row, key) for key in keys), []).append(row)
    chosen: dict[int, Row] = {}
    for cells in reader:
        wanted = tuple(_wanted(path, reader.line_num, key, cells.get(key)) for key in keys)
        if wanted not in known:
            raise TableError(
                f'{path}: line {reader.line_num}',
                f'{table.name} has no row with '
                + ', '.join(f'{key} {value}' for key, value in zip(keys, wanted)),
                'Name settings that the table has',
            )
        chosen.update((id(row), row) for row in known[wanted])
    return [row for row in table.rows if id(row) in chosen]


def _cell(row: Row, key: str) -> object:
    if key.endswith('_hz'):
        return row.clocks.get(key[:-3], 0.0)
    return getattr(row, key)


def _wanted(path: Path, line: int, key: str, cell: object) -> object:
    text = str(cell or '').strip()
    if key in ('network', 'processor'):
        return text or (GPU if key == 'processor' else '')
    try:
        value = float(text or 0)
    except ValueError:
        raise TableError(f'{path}: line {line}', f'{key} is {text!r}', 'Give a number') from None
    return value if key.endswith('_hz') else round(value)
