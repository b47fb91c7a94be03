# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What `dynamic-dnn search` is told: the mapping `search` of the training configuration."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from enum import Enum
import math
from typing import Any

from dynamic_dnn_ros.search.errors import SearchError

JOINT = 'joint'
"""The field with what a joint search is told besides, see `search.joint.settings`."""


class CostMeasure(Enum):
    """What a sub-network costs; accuracy is always the other objective."""

    LATENCY = 'latency'
    ENERGY = 'energy'


@dataclasses.dataclass(frozen=True)
class SearchSettings:
    """
    One search.

    :param population: sub-networks of a generation; as many are drawn for the first.
    :param generations: including the first.
    :param sub_networks: how many of the front to keep; fewer where the front has fewer.
    :param minimum_accuracy: on held-out pictures, 0..1; less accurate ones are not kept.
    :param objective: what is measured besides accuracy.
    :param engine: by name, the one that will serve the sub-networks.
    :param processor: where it runs them; empty: the engine's first choice.
    :param threads: of one inference on the CPU.
    :param turns: measurements of each candidate, spread over the time its generation takes.
    :param final_turns: the same for the front, whose figures are reported.
    :param tolerance: share by which a more accurate sub-network may cost more and still displace
        one from the front, since measured costs are known no better than that.
    """

    population: int = 24
    generations: int = 8
    sub_networks: int = 12
    minimum_accuracy: float = 0.0
    objective: CostMeasure = CostMeasure.LATENCY
    engine: str = 'torch'
    processor: str = ''
    threads: int = 1
    turns: int = 20
    final_turns: int = 60
    tolerance: float = 0.03

    def __post_init__(self) -> None:
        for name, least in (
            ('population', 4),
            ('generations', 1),
            ('sub_networks', 2),
            ('threads', 1),
            ('turns', 1),
            ('final_turns', 1),
        ):
            if getattr(self, name) < least:
                raise SearchError(
                    f'search.{name} is {getattr(self, name)}: at least {least} is needed'
                )
        for name in ('tolerance', 'minimum_accuracy'):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise SearchError(
                    f'search.{name} is {getattr(self, name)}: 0..1 is needed, below 1'
                )

    @classmethod
    def from_mapping(cls, mapping: object) -> SearchSettings:
        """
        Return the settings that a mapping describes; what it leaves out has its default.

        :raises SearchError: for an unknown or ill-typed field.
        """
        if mapping is None:
            return cls()
        if not isinstance(mapping, Mapping):
            raise SearchError(f'search is {mapping!r}: a mapping of fields is needed')
        fields = {field.name: field for field in dataclasses.fields(cls)}
        mapping = {name: value for name, value in mapping.items() if name != JOINT}
        unknown = sorted(str(name) for name in mapping.keys() - fields.keys())
        if unknown:
            raise SearchError(f'unknown field search.{unknown[0]}; known are {", ".join(fields)}')
        return cls(**{name: _convert(fields[name], value) for name, value in mapping.items()})


def _convert(field: dataclasses.Field[Any], value: Any) -> Any:
    """Return a value in its field's type, which an annotation gives as text."""
    if field.type == 'CostMeasure':
        known = [measure.value for measure in CostMeasure]
        if value not in known:
            raise SearchError(f'search.{field.name} is {value!r}: one of {", ".join(known)}')
        return CostMeasure(value)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if field.type == 'int' and number and math.isfinite(value) and int(value) == value:
        return int(value)
    if field.type == 'float' and number:
        return float(value)
    if field.type == 'str' and isinstance(value, str):
        return value
    raise SearchError(f'search.{field.name} is {value!r}: a value of type {field.type} is needed')
