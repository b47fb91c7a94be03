# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Parameters described once: one table a node declares, validates and documents them.

A value that does not fit is never fatal. At start the node keeps the default, remembers the
problem and refuses to configure until the parameter is set right; later, the change is refused
with the same words. So is one that would not take effect: what a parameter says is what holds.
"""

from __future__ import annotations

import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
import math
import sys
from typing import Any, Protocol

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import ParameterNotDeclaredException
from rclpy.node import Node
from rclpy.parameter import Parameter

from dynamic_dnn_ros.suggestions import suggestion

ParameterValue = bool | int | float | str | tuple[float, ...] | tuple[str, ...]

_TYPES: dict[type, tuple[Parameter.Type, str]] = {
    bool: (Parameter.Type.BOOL, 'boolean'),
    int: (Parameter.Type.INTEGER, 'integer'),
    float: (Parameter.Type.DOUBLE, 'double'),
    str: (Parameter.Type.STRING, 'string'),
    tuple: (Parameter.Type.DOUBLE_ARRAY, 'list of doubles'),
}
_STRINGS = Parameter.Type.STRING_ARRAY, 'list of strings'


#: Names that rclpy declares by itself, or later.
_OF_RCLPY = ('use_sim_time', 'start_type_description_service', 'qos_overrides.')


@dataclass(frozen=True)
class ParameterSpecification:
    """
    One parameter of a node.

    The type is that of `default`; a tuple of at least one double is a list of doubles, any other
    tuple a list of strings. `minimum` and `maximum` are inclusive. `live` parameters take effect
    at once, those `at_start` when the process starts, the others when the node is configured
    (`Parameters.take_over`). Of a node with parts, such as cameras, a part may have one `by_part`
    for itself: `part.name`. `check` returns what is wrong with a value, or None.
    """

    name: str
    default: ParameterValue
    description: str
    unit: str = ''
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False
    at_start: bool = False
    by_part: bool = False
    check: Callable[[Any], str | None] | None = None

    @property
    def parameter_type(self) -> Parameter.Type:
        """Return the ROS type."""
        return self._kind[0]

    @property
    def type_name(self) -> str:
        """Return the type as documentation names it."""
        return self._kind[1]

    @property
    def holds_strings(self) -> bool:
        """Tell whether it is a list of strings."""
        return isinstance(self.default, tuple) and not any(
            isinstance(entry, float) for entry in self.default
        )

    @property
    def _kind(self) -> tuple[Parameter.Type, str]:
        return _STRINGS if self.holds_strings else _TYPES[type(self.default)]

    @property
    def allowed(self) -> str:
        """Return the allowed values as documentation and errors name them."""
        if self.choices:
            return ', '.join(choice if choice else "''" for choice in self.choices)
        unit = f' {self.unit}' if self.unit else ''
        shown = str if isinstance(self.default, int) else '{:g}'.format
        if self.minimum is not None and self.maximum is not None:
            return f'{shown(self.minimum)} to {shown(self.maximum)}{unit}'
        if self.minimum is not None:
            return f'at least {shown(self.minimum)}{unit}'
        if self.maximum is not None:
            return f'at most {shown(self.maximum)}{unit}'
        return 'any'

    def coerce(self, value: object, text: str | None = None) -> object:
        """
        Accept an integer where a double is declared, and whatever is no list as text.

        ROS takes `bundle:=2024` for a number and `engine:=on` for a truth value, as YAML does.

        :param text: the value as it was typed, where that is known
        """
        if isinstance(self.default, float) and type(value) is int:
            return float(value)
        if isinstance(self.default, str) and isinstance(value, (bool, int, float)):
            if text is not None:
                return text
            return str(value).lower() if isinstance(value, bool) else str(value)
        if isinstance(self.default, tuple) and isinstance(value, (list, tuple, array.array)):
            # An empty list has lost its type on the way.
            if self.holds_strings:
                return tuple(value) if all(isinstance(entry, str) for entry in value) else value
            if value and all(type(entry) in (int, float) for entry in value):
                return tuple(map(float, value))
        return value

    def problem(self, value: object) -> str | None:
        """Return what is wrong with a value and how to mend it, or None."""
        given = f'parameter {self.name!r} is {value!r}'
        kind = f'{"an" if self.type_name[0] in "aeiou" else "a"} {self.type_name}'
        remedy = f'Set it to {kind}'
        if self.allowed != 'any':
            remedy += f' ({self.allowed})'
        if type(value) is not type(self.default):
            return f'{given}, not {kind}. {remedy}.'
        numbers = value if isinstance(value, tuple) else (value,)
        if self.holds_strings and not all(isinstance(entry, str) for entry in numbers):
            return f'{given}, not {kind}. {remedy}.'
        if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
            return f'{given}, not a finite number. {remedy}.'
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            below = self.minimum is not None and value < self.minimum
            above = self.maximum is not None and value > self.maximum
            if below or above:
                return f'{given}, outside {self.allowed}. {remedy}.'
        if self.choices and value not in self.choices:
            return f'{given}, not one of: {self.allowed}. Set it to one of these.'
        if self.check is not None:
            wrong = self.check(value)
            if wrong is not None:
                return f'{given}: {wrong}'
        return None

    def descriptor(self) -> ParameterDescriptor:
        """Return what `ros2 param describe` shows."""
        unit = f' [{self.unit}]' if self.unit else ''
        effect = '' if self.live else ' Takes effect when the node is configured.'
        effect = ' Takes effect when the process starts.' if self.at_start else effect
        descriptor = ParameterDescriptor(
            name=self.name,
            type=self.parameter_type.value,
            description=f'{self.description}{unit}{effect}',
            # An empty list comes as one of any type.
            dynamic_typing=self.holds_strings,
        )
        if self.choices:
            descriptor.additional_constraints = f'one of: {self.allowed}'
        if isinstance(self.default, float) and (self.minimum, self.maximum) != (None, None):
            descriptor.floating_point_range = [
                FloatingPointRange(
                    from_value=-math.inf if self.minimum is None else float(self.minimum),
                    to_value=math.inf if self.maximum is None else float(self.maximum),
                )
            ]
        if type(self.default) is int and (self.minimum, self.maximum) != (None, None):
            descriptor.integer_range = [
                IntegerRange(
                    from_value=-(2**63) if self.minimum is None else int(self.minimum),
                    to_value=2**63 - 1 if self.maximum is None else int(self.maximum),
                )
            ]
        return descriptor


class ParameterValues(Protocol):
    """Parameters of a node, or of one of its parts, as they are in force."""

    def __getitem__(self, name: str) -> Any:
        """Return the value in force: the present one, if it is live."""


class PartParameters:
    """The parameters of a part of a node: its own where they are set, else those of the node."""

    def __init__(self, parameters: Parameters, part: str) -> None:
        """Look at these."""
        self._parameters = parameters
        self._part = part

    def __getitem__(self, name: str) -> Any:
        """Return the value in force."""
        own = self._parameters.own(self._part, name)
        return self._parameters[name] if own is None else own


class Parameters:
    """The declared parameters of one node."""

    def __init__(
        self,
        node: Node,
        table: Sequence[ParameterSpecification],
        in_use: Callable[[], bool] = lambda: False,
        contradiction: Callable[[Mapping[str, Any]], str | None] = lambda given: None,
        on_change: Callable[[], None] = lambda: None,
        parts: str = '',
    ) -> None:
        """
        Declare every parameter of the table; what does not fit becomes a problem.

        :param in_use: tells whether the node is configured: only what is live may change then
        :param contradiction: returns what is wrong with values that are to be set, by name, given
            all else that holds; None: nothing
        :param on_change: called when values are about to change
        :param parts: name of the parameter that lists the node's parts; empty: it has none
        """
        self._node = node
        self._in_use = in_use
        self._contradiction = contradiction
        self._on_change = on_change
        self._table = {specification.name: specification for specification in table}
        self._problems: dict[str, str] = {}
        for specification in table:
            self._declare(specification)
        self._parts = parts
        self._by_part = [specification for specification in table if specification.by_part]
        self._of_parts: dict[str, tuple[str, ...]] = {}
        self._values: dict[str, Any] = {}
        self.take_over()
        # ROS 2 Humble has no such callback: there, text that looks like a number stays refused.
        add_first = getattr(node, 'add_pre_set_parameters_callback', None)
        if add_first is not None:
            add_first(self._coerced)
        node.add_on_set_parameters_callback(self._validate)

    def __getitem__(self, name: str) -> Any:
        """Return the value in force: the present one, if it is live."""
        return self._present(name) if self._table[name].live else self._values[name]

    def take_over(self) -> None:
        """Put the present values of all parameters into force."""
        self.follow_parts()
        self._values = {name: self._present(name) for name in self._table}

    def own(self, part: str, name: str) -> Any:
        """Return the value in force that a part has for itself, or None."""
        full = f'{part}.{name}'
        if full not in self._table:
            return None
        try:
            return self[full]
        except (KeyError, ParameterNotDeclaredException):
            return None  # The part has just gone, and another thread asks for the last time.

    def follow_parts(self) -> None:
        """Declare what parts may have for themselves; undeclare that of parts that are gone."""
        wanted = self._present(self._parts) if self._parts else ()
        for part in wanted:
            if part in self._of_parts:
                continue
            own = [replace(each, name=f'{part}.{each.name}') for each in self._by_part]
            for specification in own:
                # Known to the table afterwards: one that joins is not held to what is in use.
                self._declare(specification, optional=True)
            self._table.update((each.name, each) for each in own)
            self._values.update((each.name, self._present(each.name)) for each in own)
            self._of_parts[part] = tuple(each.name for each in own)
        for part in [each for each in self._of_parts if each not in wanted]:
            for name in self._of_parts.pop(part):
                del self._table[name]
                self._problems.pop(name, None)
                self._node.undeclare_parameter(name)

    def _present(self, name: str) -> Any:
        value = self._node.get_parameter(name).value
        return tuple(value) if isinstance(value, (list, array.array)) else value

    @property
    def unknown(self) -> dict[str, str]:
        """Return what was given at start and is no parameter, with what may be meant."""
        # rclpy has no public way to what was given; all its releases since Galactic have this.
        given = getattr(self._node, '_parameter_overrides', {})
        return {
            name: suggestion(name, self._table)
            for name in given
            if name not in self._table and not name.startswith(_OF_RCLPY)
        }

    @property
    def problems(self) -> tuple[str, ...]:
        """Return what is wrong with values that were given at start and not mended since."""
        return tuple(self._problems.values())

    def _declare(self, specification: ParameterSpecification, optional: bool = False) -> None:
        """Declare one; without a value where none was given and it is optional."""
        # rclpy raises for an override of the wrong type or range, which would end the node.
        # So the override is read first, without a type, and declared only if it fits.
        name = specification.name
        untyped = ParameterDescriptor(dynamic_typing=True)
        given = self._node.declare_parameter(name, None, untyped).value
        self._node.undeclare_parameter(name)
        value: object = None if optional else specification.default
        if given is not None:
            given = specification.coerce(given, typed_value(sys.argv, self._node.get_name(), name))
            problem = specification.problem(given)
            if problem is None:
                value = given
            else:
                self._problems[name] = problem
        if isinstance(value, tuple):
            value = list(value) if specification.holds_strings else array.array('d', value)
        descriptor = specification.descriptor()
        descriptor.dynamic_typing = descriptor.dynamic_typing or optional
        self._node.declare_parameter(name, value, descriptor, ignore_override=True)
        if specification.holds_strings:
            # Of an empty list rclpy makes one of bytes.
            self._node.set_parameters([Parameter(name, specification.parameter_type, value)])

    def _coerced(self, parameters: Sequence[Parameter]) -> list[Parameter]:
        """Return parameters with values of the types that are declared, where they can be."""
        taken = []
        for parameter in parameters:
            specification = self._table.get(parameter.name)
            if specification is not None:
                value = specification.coerce(parameter.value)
                if specification.holds_strings and isinstance(value, tuple):
                    kind = specification.parameter_type
                    parameter = Parameter(parameter.name, kind, list(value))
                elif value is not parameter.value:
                    parameter = Parameter(parameter.name, value=value)
            taken.append(parameter)
        return taken

    def _validate(self, parameters: Iterable[Parameter]) -> SetParametersResult:
        given = {
            parameter.name: tuple(parameter.value)
            if isinstance(parameter.value, (list, array.array))
            else parameter.value
            for parameter in parameters
            if parameter.name in self._table
        }
        problem = self._problem(given)
        if problem is not None:
            return SetParametersResult(successful=False, reason=problem)
        for name in given:
            self._problems.pop(name, None)
        if given:
            self._on_change()
        return SetParametersResult(successful=True)

    def _problem(self, given: Mapping[str, Any]) -> str | None:
        """Return why values cannot be set, or None."""
        for name, value in given.items():
            problem = self._table[name].problem(value)
            if problem is not None:
                return problem
        contradiction = self._contradiction(given)
        if contradiction is not None:
            return contradiction
        for name, value in given.items():
            if name not in self._problems and value != self._present(name):
                problem = self._fixed(self._table[name])
                if problem is not None:
                    return problem
        return None

    def _fixed(self, specification: ParameterSpecification) -> str | None:
        """Return why a parameter cannot be changed now, or None."""
        name = specification.name
        if specification.at_start:
            return (
                f'parameter {name!r} takes effect when the process starts. Set it in the '
                'parameter file or on the command line, and start the node again.'
            )
        if specification.live or not self._in_use():
            return None
        node = self._node.get_fully_qualified_name()
        return (
            f'parameter {name!r} takes effect at the next configure, and {node} is configured. '
            f"Take it back first ('ros2 lifecycle set {node} deactivate', then cleanup), set the "
            'parameter, then configure and activate it.'
        )


def typed_value(arguments: Sequence[str], node: str, name: str) -> str | None:
    """
    Return the value of a parameter as it was typed on the command line, the last one given.

    :param arguments: of the process
    :param node: name of the node
    """
    found = None
    for flag, rule in pairwise(arguments):
        parameter, assigned, value = rule.partition(':=')
        if flag in ('-p', '--param') and assigned and parameter in (name, f'{node}:{name}'):
            found = value
    return found


def markdown_table(table: Sequence[ParameterSpecification]) -> str:
    """Return the table as documentation shows it."""
    lines = [
        '| parameter | type | default | allowed | live | meaning |',
        '| --- | --- | --- | --- | --- | --- |',
    ]
    for row in table:
        shown = str(row.default).lower() if isinstance(row.default, bool) else str(row.default)
        shown = str(list(row.default)) if isinstance(row.default, tuple) else shown
        shown = f'`{shown}`' if shown else '(empty)'
        live = 'yes' if row.live else 'at start' if row.at_start else 'no'
        live += ', by camera' if row.by_part else ''
        lines.append(
            f'| `{row.name}` | {row.type_name} | {shown} | {row.allowed} | {live} '
            f'| {row.description} |'
        )
    return '\n'.join(lines) + '\n'
