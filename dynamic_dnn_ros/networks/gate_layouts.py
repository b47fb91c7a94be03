# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is fixed for a gate, and the configuration of the sub-network behind one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dynamic_dnn_ros.networks.checks import as_sequence, require_fields, require_positive
from dynamic_dnn_ros.networks.contract import ConfigurationError
from dynamic_dnn_ros.pictures.placement import Size

#: The field of a layout that holds gates, and that of a configuration that names one.
GATES, GATE = 'gates', 'gate'


@dataclass(frozen=True)
class GateLayout:
    """
    What is fixed for a gate.

    :param after: number of the place, from 0, in the order of the places of the first choice;
        choices go on from there at the latest
    :param squeeze: channels between the features' means and maxima and the scores; 0: no scores,
        the answers of all choices but the last are exits
    :param choices: configurations of the family, the cheapest first; all begin alike, at least up
        to place 0
    """

    after: int
    squeeze: int
    choices: tuple[Mapping[str, Any], ...]

    @classmethod
    def from_mapping(cls, field: str, mapping: object) -> GateLayout:
        """
        Return the layout that a mapping describes.

        :raises ConfigurationError: naming the field that is illegal
        """
        if not isinstance(mapping, Mapping):
            raise ConfigurationError(field, mapping, 'a mapping of after, squeeze and choices')
        require_fields(field, cls, mapping)
        after, squeeze = mapping['after'], mapping['squeeze']
        if isinstance(after, bool) or not isinstance(after, int) or after < 0:
            raise ConfigurationError(f'{field}.after', after, 'the number of a place, from 0')
        if squeeze != 0 or type(squeeze) is not int:
            require_positive(f'{field}.squeeze', squeeze)
        choices = as_sequence(f'{field}.choices', mapping['choices'])
        if len(choices) < 2:
            raise ConfigurationError(f'{field}.choices', choices, 'two configurations or more')
        return cls(after, squeeze, choices)

    def to_mapping(self) -> dict[str, Any]:
        """Return it as plain values."""
        choices = [dict(choice) for choice in self.choices]
        return {'after': self.after, 'squeeze': self.squeeze, 'choices': choices}


@dataclass(frozen=True)
class GateConfiguration:
    """The sub-network behind a gate: its number, and what it chooses of, the cheapest first."""

    gate: int
    choices: tuple[Any, ...]

    @property
    def size(self) -> Size:
        """Return the size of the input."""
        size: Size = self.choices[-1].size
        return size

    def to_mapping(self) -> dict[str, Any]:
        """Return the configuration as plain values; what it chooses of is in the layout."""
        return {GATE: self.gate}


def largest_choice(configuration: Any) -> Any:
    """Return a configuration of the family: behind a gate the one of the largest path."""
    if isinstance(configuration, GateConfiguration):
        return configuration.choices[-1]
    return configuration
