# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a model card says of cascades."""

from __future__ import annotations

from collections.abc import Sequence

TITLE = 'Cascades'
_HEADING = f'\n## {TITLE}\n'


def with_cascades(
    card: str, titles: Sequence[str], rows: Sequence[Sequence[str]], how: str
) -> str:
    """
    Return a model card with a section on cascades, in place of the one that it has.

    :param titles: of the columns of a table
    :param rows: a cascade each
    :param how: they were made, as text below the table
    """
    begin = card.find(_HEADING)
    if begin >= 0:
        end = card.find('\n## ', begin + len(_HEADING))
        card = card[:begin] + (card[end:] if end >= 0 else '')
    lines = [_line(titles), '| --- ' * len(titles) + '|', *map(_line, rows)]
    table = '\n'.join(lines)
    return f'{card.rstrip()}\n{_HEADING}\n{table}\n\n{how.strip()}\n'


def _line(cells: Sequence[str]) -> str:
    return f'| {" | ".join(cells)} |'
