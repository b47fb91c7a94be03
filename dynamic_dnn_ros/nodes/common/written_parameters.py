# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of nodes in files that people write, checked before any node is started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from dynamic_dnn_ros.nodes.common.parameters import ParameterSpecification
from dynamic_dnn_ros.suggestions import suggestion
from dynamic_dnn_ros.yaml_files import read_yaml


class WrittenError(RuntimeError):
    """A file cannot be used. The text names the file, the place in it and the remedy."""


def written_document(path: Path, key: str, remedy: str) -> dict[Any, Any]:
    """
    Read a file that has a list at its top.

    :param key: of the list
    :param remedy: where there is none
    :raises WrittenError: when the file cannot be read, or has no such key
    """
    try:
        document = read_yaml(path)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise WrittenError(f'{path} cannot be read: {error}') from error
    if not isinstance(document, dict) or key not in document:
        raise WrittenError(f'{path}: there is no list "{key}" at the top. {remedy}')
    return document


def written_rows(path: Path, document: Mapping[Any, Any], key: str) -> list[Any]:
    """
    Return the rows of the list at the top of a file, at least one.

    :raises WrittenError: when it is no list, or empty
    """
    rows = document[key]
    if not isinstance(rows, list) or not rows:
        raise WrittenError(f'{path}: "{key}" holds no list of {key}. Add one: "- name: front".')
    return rows


def check_keys(where: str, row: Mapping[Any, Any], known: Sequence[str]) -> None:
    """
    Check that a mapping has no key that means nothing.

    :raises WrittenError: naming the key, and those that are known
    """
    for key in row:
        if key not in known:
            raise WrittenError(
                f'{where} has an unknown key {key!r}{suggestion(key, known)}. '
                f'Known: {", ".join(known)}.'
            )


def _of_part(
    name: str, known: Mapping[str, ParameterSpecification]
) -> ParameterSpecification | None:
    """Return the parameter of a part that a name is, or None."""
    part, _, own = name.partition('.')
    row = known.get(own)
    return replace(row, name=name) if part and row is not None and row.by_part else None


def checked_parameters(
    where: str, rows: object, table: Sequence[ParameterSpecification], node: str
) -> dict[str, Any]:
    """
    Return parameters as the node itself would take them.

    Names such as `front.results` are those of a part, where a part may have them.

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
        specification = known.get(name) or _of_part(str(name), known)
        if specification is None:
            raise WrittenError(
                f'{where}: {node} has no parameter {name!r}{suggestion(name, known)}. '
                'docs/parameters.md lists them.'
            )
        taken = specification.coerce(value)
        problem = specification.problem(taken)
        if problem is not None:
            raise WrittenError(f'{where}: {problem}')
        values[name] = taken
    return values
