# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether choices can be behind one gate, and where they depart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dynamic_dnn_ros.networks.contract import ConfigurationError, DynamicNetwork, Step
from dynamic_dnn_ros.networks.gate_layouts import GATES, GateConfiguration, GateLayout


def checked(
    backbone: DynamicNetwork[Any], number: int, layout: GateLayout
) -> tuple[GateConfiguration, tuple[int, ...]]:
    """
    Return the configuration behind a gate, and the place from which each choice goes on.

    :param number: of the gate
    :raises ConfigurationError: naming the field that is illegal, or choices that begin otherwise
    """
    field = f'{GATES}[{number}]'
    choices: list[Any] = []
    for index, mapping in enumerate(layout.choices):
        try:
            choices.append(backbone.configuration(mapping))
        except ConfigurationError as error:
            where = f'{field}.choices[{index}].{error.field}'
            raise ConfigurationError(where, error.value, error.allowed) from error
    first = backbone.extract_steps(choices[0], share_weights=True)
    shapes = list(backbone.places(choices[0]).values())
    if not shapes:
        allowed = f'none: family {backbone.family!r} cannot be cut'
        raise ConfigurationError(field, layout.to_mapping(), allowed)
    if layout.after >= len(shapes) or len(shapes[layout.after]) < 2:
        features = sum(len(shape) > 1 for shape in shapes)
        allowed = f'the number of a place of features, below {features}'
        raise ConfigurationError(f'{field}.after', layout.after, allowed)
    departures = []
    for index, choice in enumerate(choices):
        alike = -1
        if choice.size == choices[0].size:
            steps = backbone.extract_steps(choice, share_weights=True)
            alike = _alike(first, steps, shapes, list(backbone.places(choice).values()))
        if alike < 0:
            raise ConfigurationError(
                f'{field}.choices[{index}]',
                dict(layout.choices[index]),
                'one that begins as the first choice does, at least up to place 0',
            )
        departures.append(min(alike, layout.after))
    return GateConfiguration(number, tuple(choices)), tuple(departures)


def _alike(one: Sequence[Step], other: Sequence[Step], *handed: Sequence[tuple[int, ...]]) -> int:
    """
    Return the number of the last place up to which steps have the same layers; -1: none.

    :param handed: the shapes of what is handed on at the places of each
    """
    passed = -1
    for first, second in zip(one, other):
        shapes = [
            {name: each.shape for name, each in step.module.named_parameters()}
            for step in (first, second)
        ]
        if first.name != second.name or shapes[0] != shapes[1]:
            break
        if first.place and handed[0][passed + 1] != handed[1][passed + 1]:
            break  # the same layers, on fewer patches
        passed += bool(first.place)
    return passed
