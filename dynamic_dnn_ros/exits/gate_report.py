# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Gates that were made, and what a model card says of them."""

from __future__ import annotations

from dataclasses import dataclass

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle

#: Title of the section of the model card, and of the columns of its table.
CARD_TITLE = 'Gates'
TITLES = ('sub-network', 'asked for', 'accuracy', 'lost', 'mean time', 'choices', 'taken')

_EARLY = 'early'
_DIGITS = 6
_RUNS_EACH_TURN = 4


@dataclass(frozen=True)
class MadeGate:
    """
    A sub-network behind a gate.

    :param asked: the weight of complexity, or what was promised
    :param lost: accuracy on the test pictures below that of the last choice as it is in the
        bundle, in parts of 1
    :param time: mean over the held-out pictures as a share of that of its largest path
    """

    entry: SubNetwork
    asked: str
    lost: float
    time: float


@dataclass(frozen=True)
class MadeGates:
    """
    The gates that were made.

    :param choices: the names of the choices
    :param alone: the accuracy of each choice alone, 0..1, and its path's share of the cost
    :param latency: of the largest path, s
    :param views: ways in which each picture was altered that gates were trained on
    :param without_others: whether the other sub-networks of the bundle are left out
    """

    bundle: Bundle
    made: tuple[MadeGate, ...]
    choices: tuple[str, ...]
    alone: tuple[tuple[float, float], ...]
    latency: float
    conditions: str
    trained_on: int
    views: int
    tested_on: int
    without_others: bool = False


def rows(result: MadeGates) -> list[tuple[str, ...]]:
    """Return a line of a table for each choice alone, and for each gate."""
    lines: list[tuple[str, ...]] = [
        (f'as {name}, alone', '-', f'{accuracy:.2%}', '-', f'{work:.2f}', '-', '-')
        for name, (accuracy, work) in zip(result.choices, result.alone)
    ]
    for each in result.made:
        stages = each.entry.stages[1:]
        lines.append(
            (
                each.entry.id,
                each.asked,
                f'{each.entry.accuracy:.2%}',
                f'{100 * each.lost:.2f} points',
                f'{each.time:.2f}',
                ', '.join(stage.name for stage in stages),
                ', '.join(f'{stage.taken:.0%}' for stage in stages),
            )
        )
    return lines


def how(result: MadeGates, command: str) -> str:
    """Return how gates were made, for the model card."""
    text = (
        f'Trained on {result.trained_on} of the training pictures, each altered in {result.views} '
        f'way(s), with the network frozen; accuracy on {result.tested_on} test pictures, lost '
        f'against {result.choices[-1]} whole; shares on the pictures that the training held '
        'out. Mean time: against the largest path, '
        f'{result.latency * 1e3:.3g} ms with {result.conditions}. All choices begin as the first '
        'one does; their batch-norm statistics were recalibrated.'
    )
    if any(each.asked.endswith('points') for each in result.made):
        text += (
            ' The gate learned how sure the choices are of themselves. What it asks for was '
            'chosen on the held-out pictures, so that its promise is kept.'
        )
    if result.without_others:
        text += f' Of what is told above, this bundle has {" and ".join(result.choices)} alone.'
    return f'{text}\n\n```\n{command}\n```' if command else text
