# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A training file for a network that was made slimmable."""

from __future__ import annotations

from collections.abc import Sequence
import math
from pathlib import Path
from typing import Any

from dynamic_dnn_ros.networks.slimmable.network import Slimmable
from dynamic_dnn_ros.pictures.input import Preprocessing
from dynamic_dnn_ros.training.proposal import Beginning, Computer, Field, propose
from dynamic_dnn_ros.training.survey import Survey

#: Of a last layer on features that were trained to be large.
_LAST_LAYERS_RATE = 0.1
_MULTIPLE = 32
_LEAST_SIDE = 64
_ADAMW_RATE = 0.0005
_ADAMW_DECAY = 0.05
_AVERAGING = 0.99


def proposed_side(designed: int, survey: Survey) -> int:
    """Return a side of the input, pixels: that of the pictures where they are smaller."""
    side = max(_LEAST_SIDE, math.ceil(survey.side / _MULTIPLE) * _MULTIPLE)
    return min(designed, side)


def slimming_fields(
    name: str,
    survey: Survey,
    computer: Computer,
    network: Slimmable,
    preprocessing: Preprocessing,
    files: tuple[Path, Path],
    trained: bool,
    epochs: int | None = None,
) -> tuple[Field, ...]:
    """
    Return the fields of a training file, in the order in which they are to be read.

    :param files: that hold the network's layout, and its weights.
    :param trained: whether the weights are trained ones.
    :param epochs: of the last phase; None: as many as the pictures need.
    """
    layout, weights = files
    largest = network.largest()
    beginning = Beginning(
        str(weights),
        network.family,
        network.layout_mapping(),
        preprocessing,
        max(largest.size),
        network.last_layers,
    )
    rows = {each.name: each for each in propose(name, survey, computer, beginning)}
    fresh = {each.name: each for each in propose(name, survey, computer)}
    phases = [dict(phase) for phase in rows['phases'].value]
    why = rows['phases'].reason
    if not trained:
        phases, why = [dict(each) for each in fresh['phases'].value], fresh['phases'].reason
        phases[-1]['rule'] = 'bootstrapping'
    else:
        phases[0]['learning_rate'] = round(phases[0]['learning_rate'] * _LAST_LAYERS_RATE, 5)
    phases[-1]['sort_channels'] = True
    if epochs is not None:
        phases[-1]['epochs'] = epochs
        phases[-1]['warm_up'] = min(phases[-1]['warm_up'], epochs / 2)
    normalises_layers = not any(True for _ in network.active_batch_norms())
    if normalises_layers:
        _use_adamw(phases)
    replaced = {
        'family': Field('family', network.family, 'a network whose widths and depths nest'),
        'layout': Field('layout', str(layout), f'what it computes, of {network.layout.origin}'),
        'fine_tune': Field(
            'initial_weights',
            str(weights),
            'its weights; those of the classes begin anew where the data has other ones',
        ),
        'phases': Field('phases', phases, why),
    }
    fields = [replaced.get(each.name, each) for each in rows.values()]
    if not trained:
        fields.append(
            Field(
                'averaging',
                _AVERAGING,
                'what each step keeps of the averaged weights: all learn from what these say, '
                'which is more accurate than the sandwich rule where no weights were given',
            )
        )
    if normalises_layers:
        fields += [
            Field('optimizer', 'adamw', 'as transformers need it'),
            Field('weight_decay', _ADAMW_DECAY, 'the same'),
        ]
    return tuple(_before_limits(fields))


def _use_adamw(phases: Sequence[dict[str, Any]]) -> None:
    for phase in phases:
        phase['learning_rate'] = _ADAMW_RATE


def _before_limits(fields: Sequence[Field]) -> list[Field]:
    """Put what the model card says last."""
    return sorted(fields, key=lambda each: each.name == 'limits')
