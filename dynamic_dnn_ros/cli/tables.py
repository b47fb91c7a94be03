# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tables on standard output: by rich on a terminal where it is installed, else as aligned text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import sys
from typing import Any


def aligned(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as text, each column as wide as its widest cell."""
    lines = [list(titles), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    return '\n'.join(
        '  '.join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
        for line in lines
    )


def options_text(options: Mapping[str, Any]) -> str:
    """Return options as people read them: yes and no, lists with slashes."""
    return ', '.join(f'{name} {_value_text(value)}' for name, value in options.items())


def _value_text(value: Any) -> str:
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    if isinstance(value, (list, tuple)):
        return '/'.join(map(_value_text, value))
    return str(value)


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table."""
    if sys.stdout.isatty():
        try:
            from rich import box
            from rich.console import Console
            from rich.table import Table
            from rich.text import Text
        except ImportError:
            pass
        else:
            table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
            for title in titles:
                table.add_column(title, overflow='fold')
            for row in rows:
                table.add_row(*(Text(cell) for cell in row))
            Console(markup=False).print(table)
            return
    print(aligned(titles, rows))
