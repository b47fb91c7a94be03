# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Options of a task or a decoder, as a manifest holds them: the fields of a frozen dataclass."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
import dataclasses
import math
from typing import Any, TypeVar

from dynamic_dnn_ros.tasks.contract import (
    Outputs,
    ResultT,
    Task,
    TaskError,
    TensorSpec,
    TruthT,
)

OptionedT = TypeVar('OptionedT')
OptionedTaskT = TypeVar('OptionedTaskT', bound='OptionedTask[Any, Any]')


def option(
    default: Any,
    *,
    choices: Sequence[str] | None = None,
    low: float | None = None,
    high: float | None = None,
) -> Any:
    """
    Return a field of a dataclass that is an option; its type is that of its default.

    :param default: a text, a number, true or false, or a tuple of whole numbers above 0
    :param choices: the texts that are allowed
    :param low: the least number allowed
    :param high: the greatest number allowed
    """
    return dataclasses.field(
        default=default, metadata={'choices': choices, 'low': low, 'high': high}
    )


def read_options(optioned: type[OptionedT], what: str, options: Mapping[str, Any]) -> OptionedT:
    """
    Create a dataclass from options.

    :param what: whose options they are, for errors: 'task detection', 'decoder yolox'
    :raises TaskError: naming the option, its value and what is allowed
    """
    fields: dict[str, Any] = {field.name: field for field in dataclasses.fields(optioned)}  # type: ignore[arg-type]
    for name, value in options.items():
        if name not in fields:
            known = ', '.join(fields) or 'none'
            raise TaskError(f'{what} has no option {name!r}. Known are: {known}.')
        allowed = _allowed(fields[name], value)
        if allowed is not None:
            raise TaskError(f'{what}: option {name!r} is {value!r}. Allowed is {allowed}.')
    return optioned(
        **{
            name: tuple(value) if isinstance(value, list) else type(fields[name].default)(value)
            for name, value in options.items()
        }
    )


def write_options(optioned: Any) -> dict[str, Any]:
    """Return the fields of a dataclass as plain JSON data."""
    values = {field.name: getattr(optioned, field.name) for field in dataclasses.fields(optioned)}
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in values.items()
    }


def _allowed(field: dataclasses.Field[Any], value: object) -> str | None:
    """Return what is allowed where a value is not, in words."""
    default, limits = field.default, field.metadata
    if isinstance(default, bool):
        return None if isinstance(value, bool) else 'true or false'
    if isinstance(default, str):
        if limits['choices'] is not None:
            return None if value in limits['choices'] else f'one of {", ".join(limits["choices"])}'
        return None if isinstance(value, str) and value else 'a text'
    if isinstance(default, tuple):
        good = isinstance(value, (list, tuple)) and value and all(map(_is_positive, value))
        return None if good else 'a list of whole numbers above 0'
    kinds = int if isinstance(default, int) else (int, float)
    good = isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
    if good and limits['low'] <= value <= limits['high']:
        return None
    kind = 'whole number' if isinstance(default, int) else 'number'
    return f'a {kind} of {limits["low"]} to {limits["high"]}'


def _is_positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


class OptionedTask(Task[ResultT, TruthT]):
    """A task whose options are its fields: a frozen dataclass."""

    @classmethod
    def from_options(cls: type[OptionedTaskT], options: Mapping[str, Any]) -> OptionedTaskT:
        """Create the task from the options of a manifest; see the contract."""
        return read_options(cls, f'task {cls.name}', options)

    def options(self) -> dict[str, Any]:
        """Return the options as plain JSON data."""
        return write_options(self)

    @classmethod
    @abc.abstractmethod
    def recognise(
        cls,
        outputs: Sequence[TensorSpec],
        labels: Sequence[str],
        samples: Sequence[Outputs] = (),
    ) -> dict[str, Any] | None:
        """
        Return the options that outputs ask for, None where they are of another task.

        :param samples: what the network answered to pictures; may be empty
        """
