# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What is fixed for a slimmable network, all of it data: operators, tensors, axes, blocks.

As a mapping:

- `inputs` and `steps`: a step has a name, an operator and arguments. An argument is a number,
  a word, None, a list of those, `{'value': NAME}` for what an earlier step gave, or
  `{'size': [FACTOR, ...]}` for a size that depends on the sub-network.
- `tensors`: the parameters by name, each with its dimensions, and these as lists of factors. A
  factor is a number, `batch`, `classes`, or `aN`: the active width of axis N.
- `layers`: the plain layers by name: their operator and what else they need.
- `axes`: what can get narrower; axes of one `knob` do together.
- `stages`: runs of blocks that can be left out, the last one first; a block names the additions
  that it ends in, and for each the value that stands for it.
- `patches`, only of transformers: behind which value they may be fewer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import math
import re
from typing import Any

from dynamic_dnn_ros.networks.checks import (
    ConfigurationError,
    as_sequence,
    require_fields,
    require_positive,
)
from dynamic_dnn_ros.networks.slimmable.operators import LAYERS, OPERATORS, PARAMETER
from dynamic_dnn_ros.networks.slimmable.patches import Patches
from dynamic_dnn_ros.networks.slimmable.steps import Step

Factors = tuple[int | str, ...]
"""Of a dimension: numbers, 'batch', 'classes', and axes as 'a0'."""

BATCH = 'batch'
CLASSES = 'classes'
INPUT = 'pictures'
"""The name of the value that a network is given."""

_NAME = re.compile(r'[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*')
_MOST_NUMBER = 2**31
_NARROWEST_ROUNDED = 32
_DIVISOR = 8


@dataclasses.dataclass(frozen=True)
class Axis:
    """
    Something that can get narrower: channels, heads, groups of channels.

    :param name: of the layer that makes it.
    :param size: how many there are.
    :param knob: which entry of a configuration's widths sets it.
    """

    name: str
    size: int
    knob: int

    def active(self, percent: int) -> int:
        """Return how many are active: channels in multiples of 8 where there are many."""
        divisor = _DIVISOR if self.size >= _NARROWEST_ROUNDED else 1
        return min(self.size, max(1, math.ceil(self.size * percent / 100 / divisor)) * divisor)


@dataclasses.dataclass(frozen=True)
class Stage:
    """
    Blocks that may be left out, from the last one on.

    :param blocks: each the additions that it ends in, with the value that stands for each.
    """

    name: str
    blocks: tuple[Mapping[str, str], ...]

    def active(self, percent: int) -> int:
        """Return how many blocks run. What comes before them counts as one more, and stays."""
        return math.ceil((len(self.blocks) + 1) * percent / 100) - 1


@dataclasses.dataclass(frozen=True)
class SlimmableLayout:
    """
    What is fixed for a network; see the text of the module.

    :param origin: where the network came from, for people: `torchvision:resnet18`.
    :param widths: active shares of axes, percent.
    :param depths: active shares of stages, percent; one where there are no stages.
    :param resolutions: sides of the input, pixels.
    :param last_layers: names of the layers with a row for each class.
    :param products: of each product of two values the factors of its multiply-adds, without batch.
    :param patches: of a transformer: where, and how many; None: all of them to the end.
    :raises ConfigurationError: naming the field that is illegal.
    """

    origin: str
    classes: int
    resolutions: tuple[int, ...]
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    axes: tuple[Axis, ...]
    knobs: tuple[str, ...]
    stages: tuple[Stage, ...]
    tensors: Mapping[str, tuple[Factors, ...]]
    layers: Mapping[str, Mapping[str, Any]]
    steps: tuple[Step, ...]
    last_layers: tuple[str, ...]
    products: Mapping[str, Factors]
    patches: Patches | None = None

    def __post_init__(self) -> None:
        require_positive('classes', self.classes)
        for name, most in (('resolutions', 10_000), ('widths', 100), ('depths', 100)):
            _check_rising(name, getattr(self, name), most)
        for name in ('widths', 'depths'):
            if getattr(self, name)[-1] != 100:
                raise ConfigurationError(name, getattr(self, name), 'a list that ends with 100')
        if not self.knobs:
            raise ConfigurationError('knobs', self.knobs, 'at least one')
        for index, axis in enumerate(self.axes):
            require_positive(f'axes[{index}].size', axis.size)
            if not 0 <= axis.knob < len(self.knobs):
                raise ConfigurationError(
                    f'axes[{index}].knob', axis.knob, f'0 to {len(self.knobs) - 1}'
                )
        for name, dimensions in self.tensors.items():
            _check_name('tensors', name)
            for factors in dimensions:
                self._check_factors(f'tensors.{name}', factors)
                if BATCH in factors:
                    raise ConfigurationError(f'tensors.{name}', factors, 'no batch')
        for name, layer in self.layers.items():
            _check_name('layers', name)
            if layer.get('operator') not in LAYERS:
                raise ConfigurationError(f'layers.{name}', layer, f'one of {LAYERS}')
        for name, factors in self.products.items():
            self._check_factors(f'products.{name}', factors)
        self._check_steps()
        if self.patches and len(self.resolutions) > 1:
            raise ConfigurationError('patches', list(self.resolutions), 'one resolution')

    def _check_steps(self) -> None:
        known = {INPUT}
        if not self.steps:
            raise ConfigurationError('steps', self.steps, 'at least one')
        for index, step in enumerate(self.steps):
            where = f'steps[{index}]'
            if not isinstance(step.name, str) or step.name in known:
                raise ConfigurationError(where, step.name, 'a name of its own')
            if step.operator == PARAMETER:
                usable = step.layer in self.tensors
            elif step.operator in LAYERS:
                usable = self.layers.get(step.layer, {}).get('operator') == step.operator
            else:
                usable = step.operator in OPERATORS and not step.layer
            if not usable:
                raise ConfigurationError(
                    where, step.operator, f'one of {", ".join((*LAYERS, PARAMETER, *OPERATORS))}'
                )
            self._check_argument(where, step.arguments, known)
            known.add(step.name)
        for index, stage in enumerate(self.stages):
            for block in stage.blocks:
                for name, stand_in in block.items():
                    if name not in known or stand_in not in known:
                        raise ConfigurationError(f'stages[{index}]', name, 'names of steps')

    def _check_argument(self, where: str, argument: Any, known: set[str]) -> None:
        if isinstance(argument, (list, tuple)):
            for each in argument:
                self._check_argument(where, each, known)
        elif isinstance(argument, Mapping):
            if argument.keys() == {'value'} and argument['value'] in known:
                return
            if argument.keys() != {'size'}:
                raise ConfigurationError(where, argument, 'a value of an earlier step, or a size')
            self._check_factors(where, as_sequence(where, argument['size']))
        elif not (argument is None or isinstance(argument, (bool, int, float, str))):
            raise ConfigurationError(where, argument, 'a plain value')

    def _check_factors(self, where: str, factors: Sequence[Any]) -> None:
        axes = {f'a{index}' for index in range(len(self.axes))}
        for factor in factors:
            if isinstance(factor, str):
                if factor not in axes and factor not in (BATCH, CLASSES):
                    raise ConfigurationError(where, factor, 'batch, classes or an axis')
            elif (
                isinstance(factor, bool)
                or not isinstance(factor, int)
                or not (1 <= factor < _MOST_NUMBER)
            ):
                raise ConfigurationError(where, factor, 'a positive whole number')

    def size(self, factors: Sequence[int | str], active: Sequence[int]) -> int:
        """Return the size of a dimension without batch, given the active widths of all axes."""
        product = 1
        for factor in factors:
            if factor == CLASSES:
                product *= self.classes
            elif isinstance(factor, str):
                product *= active[int(factor[1:])]
            else:
                product *= factor
        return product

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> SlimmableLayout:
        """
        Return the layout that a mapping describes.

        :raises ConfigurationError: for a missing, unknown or illegal field.
        """
        values = {'patches': None, **mapping}
        require_fields('layout', cls, values)
        values['patches'] = Patches.from_mapping(values['patches'])
        for name in ('resolutions', 'widths', 'depths', 'knobs', 'last_layers'):
            values[name] = as_sequence(name, mapping[name])
        values['axes'] = _all_of('axes', Axis, mapping['axes'])
        values['stages'] = tuple(
            dataclasses.replace(stage, blocks=as_sequence('stages', stage.blocks))
            for stage in _all_of('stages', Stage, mapping['stages'])
        )
        steps = []
        for index, row in enumerate(as_sequence('steps', mapping['steps'])):
            row = as_sequence(f'steps[{index}]', row)
            if len(row) not in (3, 4):
                raise ConfigurationError(f'steps[{index}]', row, 'name, operator, arguments')
            steps.append(Step(row[0], row[1], as_sequence(f'steps[{index}]', row[2]), *row[3:]))
        values['steps'] = tuple(steps)
        for name in ('tensors', 'layers', 'products'):
            if not isinstance(mapping[name], Mapping):
                raise ConfigurationError(name, mapping[name], 'a mapping')
        values['tensors'] = {
            name: tuple(
                as_sequence(f'tensors.{name}', each)
                for each in as_sequence(f'tensors.{name}', dimensions)
            )
            for name, dimensions in mapping['tensors'].items()
        }
        values['products'] = {
            name: as_sequence(f'products.{name}', factors)
            for name, factors in mapping['products'].items()
        }
        return cls(**values)

    def to_mapping(self) -> dict[str, Any]:
        """Return the layout as plain lists and numbers."""
        return {
            'origin': self.origin,
            'classes': self.classes,
            'resolutions': list(self.resolutions),
            'widths': list(self.widths),
            'depths': list(self.depths),
            'axes': [dataclasses.asdict(axis) for axis in self.axes],
            'knobs': list(self.knobs),
            'stages': [
                {'name': stage.name, 'blocks': [dict(block) for block in stage.blocks]}
                for stage in self.stages
            ],
            'tensors': {
                name: [list(factors) for factors in dimensions]
                for name, dimensions in self.tensors.items()
            },
            'layers': {name: dict(layer) for name, layer in self.layers.items()},
            'steps': [
                [
                    step.name,
                    step.operator,
                    _plain(step.arguments),
                    *([step.layer] * bool(step.layer)),
                ]
                for step in self.steps
            ],
            'last_layers': list(self.last_layers),
            'products': {name: list(factors) for name, factors in self.products.items()},
            **({'patches': self.patches.to_mapping()} if self.patches else {}),
        }


def _plain(argument: Any) -> Any:
    if isinstance(argument, (list, tuple)):
        return [_plain(each) for each in argument]
    if isinstance(argument, Mapping):
        return {name: _plain(value) for name, value in argument.items()}
    return argument


def _all_of(field: str, value_class: type[Any], rows: Any) -> tuple[Any, ...]:
    made = []
    for index, row in enumerate(as_sequence(field, rows)):
        if not isinstance(row, Mapping):
            raise ConfigurationError(f'{field}[{index}]', row, 'a mapping')
        require_fields(f'{field}[{index}]', value_class, row)
        made.append(value_class(**row))
    return tuple(made)


def _check_rising(name: str, values: Sequence[Any], most: int) -> None:
    for value in values:
        require_positive(name, value)
    if not values or list(values) != sorted(set(values)) or values[-1] > most:
        raise ConfigurationError(name, list(values), f'rising numbers up to {most}')


def _check_name(where: str, name: object) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(where, name, 'names of letters, digits, dots, "_" and "-"')
