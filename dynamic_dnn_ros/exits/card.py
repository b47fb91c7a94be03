# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a model card says of cascades and early exits."""

from __future__ import annotations

from collections.abc import Sequence

CASCADES, EXITS = 'Cascades', 'Early exits'
"""Titles of sections."""


def with_section(
    card: str, title: str, titles: Sequence[str], rows: Sequence[Sequence[str]], how: str
) -> str:
    """
    Return a model card with a section, in place of the one of this title that it has.

    :param title: of the section
    :param titles: of the columns of a table
    :param rows: a cascade or a sub-network with exits each
    :param how: they were made, as text below the table
    """
    heading = f'\n## {title}\n'
    begin = card.find(heading)
    if begin >= 0:
        end = card.find('\n## ', begin + len(heading))
        card = card[:begin] + (card[end:] if end >= 0 else '')
    lines = [_line(titles), '| --- ' * len(titles) + '|', *map(_line, rows)]
    table = '\n'.join(lines)
    return f'{card.rstrip()}\n{heading}\n{table}\n\n{how.strip()}\n'


def _line(cells: Sequence[str]) -> str:
    return f'| {" | ".join(cells)} |'
