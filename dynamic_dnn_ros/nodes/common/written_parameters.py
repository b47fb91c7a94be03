# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of nodes in files that people write, checked before any node is started."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import difflib
from typing import Any

from dynamic_dnn_ros.nodes.common.parameters import ParameterSpecification


class WrittenError(RuntimeError):
    """A file cannot be used. The text names the file, the place in it and the remedy."""


def near(given: object, known: Iterable[str]) -> str:
    """Return a question for the nearest name that is known, empty where none is near."""
    found = difflib.get_close_matches(str(given), list(known), 1)
    return f' (did you mean {found[0]!r}?)' if found else ''


def check_keys(where: str, row: Mapping[Any, Any], known: Sequence[str]) -> None:
    """
    Check that a mapping has no key that means nothing.

    :raises WrittenError: naming the key, and those that are known
    """
    for key in row:
        if key not in known:
            raise WrittenError(
                f'{where} has an unknown key {key!r}{near(key, known)}. Known: {", ".join(known)}.'
            )


def checked_parameters(
    where: str, rows: object, table: Sequence[ParameterSpecification], node: str
) -> dict[str, Any]:
    """
    Return parameters as the node itself would take them.

    :param rows: names and values; None: there are none
    :param table: of all parameters of the node
    :param node: its executable
    :raises WrittenError: when one is unknown, or its value does not fit
    """
    if rows is None:
        return {}
    if not isinstance(rows, Mapping):
        raise WrittenError(f'{where}: parameters are {rows!r}. Give keys and values.')
    known = {row.name: row for row in table}
    values = {}
    for name, value in rows.items():
        specification = known.get(name)
        if specification is None:
            raise WrittenError(
                f'{where}: {node} has no parameter {name!r}{near(name, known)}. '
                'docs/parameters.md lists them.'
            )
        taken = specification.coerce(value)
        problem = specification.problem(taken)
        if problem is not None:
            raise WrittenError(f'{where}: {problem}')
        values[name] = taken
    return values
