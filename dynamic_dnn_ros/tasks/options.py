# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Options of a task, as a manifest holds them, read with errors that say what is allowed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import math
from typing import Any

from dynamic_dnn_ros.tasks.contract import TaskError


class OptionReader:
    """
    Reads options one by one, and refuses those that nobody read.

    :param what: whose options they are, for errors: 'task detection', 'decoder yolox'
    """

    def __init__(self, what: str, options: Mapping[str, Any]) -> None:
        self._what = what
        self._options = dict(options)
        self._known: list[str] = []

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text that is not empty."""
        value = self._take(name, default)
        if not isinstance(value, str) or not value:
            raise self._error(name, value, 'a text')
        return value

    def choice(self, name: str, choices: Sequence[str], default: str | None = None) -> str:
        """Return one of some words."""
        value = self._take(name, default)
        if value not in choices:
            raise self._error(name, value, f'one of {", ".join(choices)}')
        return str(value)

    def flag(self, name: str, default: bool | None = None) -> bool:
        """Return true or false."""
        value = self._take(name, default)
        if not isinstance(value, bool):
            raise self._error(name, value, 'true or false')
        return value

    def integer(self, name: str, default: int | None = None, *, low: int, high: int) -> int:
        """Return a whole number from low to high."""
        value = self._take(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self._error(name, value, f'a whole number of {low} to {high}')
        return value

    def number(self, name: str, default: float | None = None, *, low: float, high: float) -> float:
        """Return a number from low to high."""
        value = self._take(name, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._error(name, value, f'a number of {low} to {high}')
        if not math.isfinite(value) or not low <= value <= high:
            raise self._error(name, value, f'a number of {low} to {high}')
        return float(value)

    def positive_integers(
        self, name: str, default: Sequence[int] | None = None
    ) -> tuple[int, ...]:
        """Return a list of whole numbers above 0, at least one."""
        value = self._take(name, None if default is None else list(default))
        allowed = 'a list of whole numbers above 0'
        if not isinstance(value, (list, tuple)) or not value:
            raise self._error(name, value, allowed)
        if any(isinstance(item, bool) or not isinstance(item, int) or item < 1 for item in value):
            raise self._error(name, value, allowed)
        return tuple(value)

    def finish(self) -> None:
        """
        Check that every option given was read.

        :raises TaskError: naming the one that is not known, and those that are
        """
        for name in self._options:
            if name not in self._known:
                known = ', '.join(self._known) if self._known else 'none'
                raise TaskError(f'{self._what} has no option {name!r}. Known are: {known}.')

    def _take(self, name: str, default: Any) -> Any:
        self._known.append(name)
        if name in self._options:
            return self._options[name]
        if default is None:
            raise TaskError(f'{self._what} lacks its option {name!r}. Name it in the manifest.')
        return default

    def _error(self, name: str, value: object, allowed: str) -> TaskError:
        return TaskError(f'{self._what}: option {name!r} is {value!r}. Allowed is {allowed}.')
