# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a joint search is told: `joint` in the mapping `search` of the training file."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import math
from typing import Any

from dynamic_dnn_ros.search.errors import SearchError
from dynamic_dnn_ros.search.joint.inner import InnerSettings
from dynamic_dnn_ros.search.joint.outer import OuterSettings

#: Where the works of stages come from.
MEASURED, BOARD = 'measured', 'board'


@dataclasses.dataclass(frozen=True)
class JointSettings:
    """
    One joint search.

    :param platform: simulated one whose board model gives time and energy over the clocks.
    :param population: backbones of a generation.
    :param generations: of backbones, the first included.
    :param survivors: share of a generation whose backbones are given exits.
    :param inner_population: exits and clocks of a generation.
    :param inner_generations: of exits and clocks, for each backbone.
    :param places: where a backbone can have exits at most, evenly spread over its multiply-adds.
    :param most_exits: of a backbone.
    :param at_most_below: losses of accuracy against the backbone that may be promised, 0..1.
    :param latency: that 95 % of the pictures may take at the clocks found, s; 0: no limit.
    :param rate: pictures a second that a camera gives; 0: one after the other. With a rate the
        energy of the idle board between two pictures counts.
    :param works: share of the largest path after each exit: `measured` here, with the engine of
        the search, or of the `board`'s model.
    :param head_epochs: that heads are trained for.
    :param head_pictures: training pictures that they are trained on, 0: all.
    :param sub_networks: how many of the front are kept.
    """

    platform: str = 'xavier_nx_simulated'
    population: int = 12
    generations: int = 5
    survivors: float = 0.34
    inner_population: int = 24
    inner_generations: int = 12
    places: int = 6
    most_exits: int = 3
    at_most_below: tuple[float, ...] = (0.002, 0.005, 0.01, 0.02)
    latency: float = 0.0
    rate: float = 0.0
    works: str = MEASURED
    head_epochs: int = 6
    head_pictures: int = 10000
    sub_networks: int = 6

    def __post_init__(self) -> None:
        for name, least in (
            ('population', 4),
            ('generations', 1),
            ('inner_population', 4),
            ('inner_generations', 1),
            ('places', 1),
            ('most_exits', 1),
            ('head_epochs', 1),
            ('head_pictures', 0),
            ('sub_networks', 2),
        ):
            if getattr(self, name) < least:
                raise SearchError(
                    f'search.joint.{name} is {getattr(self, name)}: at least {least} is needed'
                )
        if not 0.0 < self.survivors <= 1.0:
            raise SearchError(
                f'search.joint.survivors is {self.survivors}: a share above 0, at most 1'
            )
        for name in ('latency', 'rate'):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise SearchError(
                    f'search.joint.{name} is {getattr(self, name)}: 0 or more is needed'
                )
        if not self.at_most_below:
            raise SearchError('search.joint.at_most_below is empty: name one loss, as 0.005')
        for value in self.at_most_below:
            if not 0.0 <= value < 1.0:
                raise SearchError(
                    f'search.joint.at_most_below has {value:g}: a loss of accuracy is a number in '
                    '0..1, half a point is 0.005'
                )
        if self.works not in (MEASURED, BOARD):
            raise SearchError(f'search.joint.works is {self.works!r}: one of {MEASURED}, {BOARD}')

    @property
    def inner(self) -> InnerSettings:
        """Return how exits and clocks are searched."""
        return InnerSettings(
            self.inner_population,
            self.inner_generations,
            self.most_exits,
            self.latency or math.inf,
        )

    @property
    def outer(self) -> OuterSettings:
        """Return how backbones are searched."""
        return OuterSettings(self.population, self.generations, self.survivors)

    @classmethod
    def from_mapping(cls, mapping: object) -> JointSettings:
        """
        Return the settings that a mapping describes; what it leaves out has its default.

        :raises SearchError: for an unknown or ill-typed field.
        """
        if mapping is None:
            return cls()
        if not isinstance(mapping, Mapping):
            raise SearchError(f'search.joint is {mapping!r}: a mapping of fields is needed')
        fields = {field.name: field for field in dataclasses.fields(cls)}
        unknown = sorted(str(name) for name in mapping.keys() - fields.keys())
        if unknown:
            raise SearchError(
                f'unknown field search.joint.{unknown[0]}; known are {", ".join(fields)}'
            )
        return cls(**{name: _converted(fields[name], value) for name, value in mapping.items()})


def _converted(field: dataclasses.Field[Any], value: Any) -> Any:
    """Return a value in its field's type, which an annotation gives as text."""
    if field.type == 'int' and _is_number(value) and int(value) == value:
        return int(value)
    if field.type == 'float' and _is_number(value):
        return float(value)
    if field.type == 'str' and isinstance(value, str):
        return value
    many = isinstance(value, (list, tuple)) and all(_is_number(each) for each in value)
    if field.type.startswith('tuple') and many:
        return tuple(float(each) for each in value)
    raise SearchError(
        f'search.joint.{field.name} is {value!r}: a value of type {field.type} is needed'
    )


def _is_number(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value)
