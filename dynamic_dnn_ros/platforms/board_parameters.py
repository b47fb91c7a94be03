# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The parameters of a board's file one by one, with their sources, and the file with some scaled.

A parameter is an entry `{value, source}` of the file, at any depth; a mapping under `value` makes
one for each of its numbers. Its name is its path, e.g. `domains.cpu.capacitance`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from dynamic_dnn_ros.platforms.contract import PlatformError

ASSUMED = 'assumed'
"""Begins the source of what nobody measured."""


@dataclass(frozen=True)
class BoardParameter:
    """
    One parameter: a number, or a curve of points (Hz, value), in SI units; see the board's file.

    `assumed` where nobody measured it.
    """

    name: str
    value: float | tuple[tuple[float, float], ...]
    source: str

    @property
    def assumed(self) -> bool:
        """Return whether nobody measured it."""
        return self.source.startswith(ASSUMED)


def parameters(mapping: Mapping[str, Any]) -> tuple[BoardParameter, ...]:
    """Return every parameter of a board's file that is a number or a curve."""
    return tuple(
        BoardParameter(name, _plain(holder[key]), source)
        for name, holder, key, source in _entries(mapping, '')
    )


def scaled(mapping: Mapping[str, Any], scale: Mapping[str, float], where: object) -> Any:
    """
    Return a board's file with some parameters multiplied; of a curve the values, not the Hz.

    :param scale: factor by name of the parameter
    :raises PlatformError: for a name that the file does not have, or a factor that is not positive
    """
    result = deepcopy(dict(mapping))
    entries = {name: (holder, key) for name, holder, key, _ in _entries(result, '')}
    for name, factor in scale.items():
        if name not in entries:
            raise PlatformError(
                f'parameter {name!r}',
                f'{where} has none of that name',
                f'Choose of: {", ".join(entries)}',
            )
        if not factor > 0.0:
            raise PlatformError(
                f'factor {factor!r} of parameter {name!r}', 'is not positive', 'Give e.g. 1.3'
            )
        holder, key = entries[name]
        value = holder[key]
        holder[key] = (
            [[x, y * factor] for x, y in value] if isinstance(value, list) else value * factor
        )
    return result


def _entries(node: Mapping[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any], str, str]]:
    """Yield name, the mapping that holds it, its key there and its source of each parameter."""
    if 'value' in node and 'source' in node:
        yield from _values(node, 'value', path, str(node['source']))
        return
    for key, entry in node.items():
        if isinstance(entry, Mapping):
            yield from _entries(entry, f'{path}.{key}' if path else str(key))


def _values(
    holder: Any, key: str, path: str, source: str
) -> Iterator[tuple[str, dict[str, Any], str, str]]:
    value = holder[key]
    if isinstance(value, Mapping):
        for inner in value:
            yield from _values(value, inner, f'{path}.{inner}', source)
    elif _is_number(value) or _is_curve(value):
        yield path, holder, key, source


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_curve(value: object) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(point, list) and len(point) == 2 and all(map(_is_number, point))
            for point in value
        )
    )


def _plain(value: Any) -> float | tuple[tuple[float, float], ...]:
    if isinstance(value, list):
        return tuple((float(x), float(y)) for x, y in value)
    return float(value)
