# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks of layouts and configurations; each raises ConfigurationError naming the field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any, TypeVar

PartT = TypeVar('PartT')


class ConfigurationError(ValueError):
    """
    A configuration or layout that a family refuses.

    :param field: the name of the field, with its index where it is a list.
    :param value: what was given.
    :param allowed: what would have been accepted, in words.
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        super().__init__(f'{field} is {value!r}: allowed is {allowed}')
        self.field = field
        self.value = value
        self.allowed = allowed


def require_fields(what: str, value_class: type[Any], mapping: Mapping[str, Any]) -> None:
    """Check that a mapping has exactly the fields of a dataclass."""
    names = [field.name for field in dataclasses.fields(value_class)]
    if set(mapping) != set(names):
        raise ConfigurationError(what, sorted(map(str, mapping)), f'exactly the fields {names}')


def require_positive(name: str, value: object) -> None:
    """Check that a value is a positive whole number."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(name, value, 'a positive whole number')


def require_choice(name: str, value: object, choices: Sequence[Any]) -> None:
    """Check that a value is one of the choices, and of its type."""
    # type() as well: True equals 1 and 3.0 equals 3, but neither is a legal number here.
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        raise ConfigurationError(name, value, one_of(choices))


def as_sequence(name: str, value: object) -> tuple[Any, ...]:
    """Return a list as a tuple."""
    if not isinstance(value, (list, tuple)):
        raise ConfigurationError(name, value, 'a list')
    return tuple(value)


def parts_of(name: str, value: object, part_class: type[PartT]) -> tuple[PartT, ...]:
    """
    Return a list of mappings as values of a dataclass.

    :param name: the field of the list, which errors name with the index
    :raises ConfigurationError: for what is no list of mappings with exactly its fields
    """
    found = []
    for index, each in enumerate(as_sequence(name, value)):
        if not isinstance(each, Mapping):
            raise ConfigurationError(f'{name}[{index}]', each, 'a mapping')
        require_fields(f'{name}[{index}]', part_class, each)
        found.append(part_class(**each))
    return tuple(found)


def one_of(choices: Sequence[Any]) -> str:
    """Return choices in words."""
    return 'one of ' + ', '.join(str(choice) for choice in choices)
