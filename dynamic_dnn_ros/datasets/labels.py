# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Names of classes: read from files, and mapped to the labels of a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.datasets.layout import DataFiles
from dynamic_dnn_ros.yaml_files import parse_yaml

#: A class that is called so is none: what has it counts as unlabelled.
IGNORED_NAMES = ('unlabeled', 'unlabelled', 'ignore', 'ignored', 'void')
#: Files of names, one in each line.
NAME_FILES = ('names.txt', 'classes.txt', 'obj.names', 'labels.txt')
_LISTED = 8
_MOST_CLASSES = 65536


def names_file(files: DataFiles) -> str | None:
    """Return the file of a data set that has a name in each line; None where there is none."""
    return next((name for name in NAME_FILES if name in files), None)


def text_of(content: bytes, name: str) -> str:
    """
    Return the text of a file, without a byte order mark.

    :param name: what to call it in an error
    :raises DataError: when it is no UTF-8
    """
    try:
        return content.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise DataError(f'{name} is no UTF-8 text ({error}): save it as UTF-8') from error


def yaml_of(content: bytes, name: str) -> Any:
    """
    Return what a YAML file says, every value as the text that it is.

    :param name: what to call it in an error
    :raises DataError: when it is none, or has a key twice
    """
    try:
        return parse_yaml(text_of(content, name), text_only=True)
    except yaml.YAMLError as error:
        raise DataError(f'{name}: {error}') from error


def names_of_lines(text: str, name: str) -> tuple[str, ...]:
    """
    Return the names of a file that has one in each line; empty lines at the end do not count.

    :raises DataError: when there are none, or a line between them is empty
    """
    lines = [line.strip() for line in text.rstrip().splitlines()]
    if not lines or '' in lines:
        where = f'line {lines.index("") + 1}' if lines else 'it'
        raise DataError(f'{name}: {where} is empty: the name of a class in each line is needed')
    return tuple(lines)


def names_by_number(found: Any, name: str) -> dict[int, str]:
    """
    Return the names of classes by their numbers, from a list or a mapping.

    :param found: what the YAML file says of names
    :raises DataError: when it says something else
    """
    if isinstance(found, Sequence) and not isinstance(found, str):
        found = {str(number): value for number, value in enumerate(found)}
    if not isinstance(found, Mapping) or not found:
        raise DataError(f'{name}: names are {found!r}: a list, or a mapping of numbers to names')
    named: dict[int, str] = {}
    for key, value in found.items():
        number = int(key) if isinstance(key, str) and key.isdecimal() else -1
        if not 0 <= number < _MOST_CLASSES or not isinstance(value, str) or not value.strip():
            raise DataError(
                f'{name}: names have {key!r}: {value!r}: a number from 0 to {_MOST_CLASSES - 1} '
                'and a name are needed'
            )
        if number in named:
            raise DataError(f'{name}: number {number} is given twice: remove one of them')
        named[number] = value.strip()
    return dict(sorted(named.items()))


def numbered(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of which each occurs once: the second 'crane' becomes 'crane (2)'."""
    seen: Counter[str] = Counter()
    distinct = []
    for name in names:
        seen[name] += 1
        distinct.append(name if seen[name] == 1 else f'{name} ({seen[name]})')
    return tuple(distinct)


def matched(found: Sequence[str], labels: Sequence[str], where: str) -> list[int]:
    """
    Return the index among a network's labels for each name of the data.

    Names are compared as they are, then without regard to case; of names that occur several
    times, the second of the one is the second of the other. No other names are taken for the
    same.

    :param where: the data, for the error
    :raises DataError: naming those that do not fit
    """
    exact = {name: index for index, name in enumerate(numbered(labels))}
    folded: dict[str, int | None] = {}
    for name, index in exact.items():
        key = name.casefold()
        folded[key] = None if key in folded else index
    indices: list[int] = []
    strange: list[str] = []
    for name in numbered(found):
        fitting = exact.get(name, folded.get(name.casefold()))
        if fitting is None:
            strange.append(name)
        else:
            indices.append(fitting)
    if strange:
        raise DataError(
            f'{where} has classes that are no labels of the network: {listed(strange)}. Its '
            f'{len(labels)} labels are {listed(labels)}: name the classes of the data as the '
            "network does, or 'ignore' where they shall not count"
        )
    return indices


def listed(names: Sequence[str]) -> str:
    """Return the first of some names."""
    return ', '.join(names[:_LISTED]) + (', ...' if len(names) > _LISTED else '')


def is_ignored(name: str) -> bool:
    """Return whether a class of this name is none."""
    return name.casefold() in IGNORED_NAMES
