# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is told of cascades that were made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.exits.calibration import MARGIN
from dynamic_dnn_ros.exits.selection import Cascade


@dataclass(frozen=True)
class Made:
    """
    A cascade, or a sub-network with exits, that was made.

    :param entry: what the manifest says of it
    :param at_most_below: the loss that was promised, in parts of 1
    :param below: the loss on the test pictures
    :param time: mean of a picture, in parts of the last stage alone, or of the whole sub-network
    """

    entry: SubNetwork
    cascade: Cascade
    at_most_below: float
    below: float
    time: float


@dataclass(frozen=True)
class MadeCascades:
    """
    What was written.

    :param latency: of the last stage alone, s
    :param conditions: under which latencies were measured
    """

    bundle: Bundle
    made: tuple[Made, ...]
    latency: float
    conditions: str
    calibrated_on: int
    tested_on: int


TITLES = ('id', 'stages', 'leave', 'accuracy', 'below', 'promised', 'time')
"""Of the columns of a table of cascades."""


def rows(made: Sequence[Made]) -> list[list[str]]:
    """Return what to say of each one that was made, a cell for each of the titles."""
    return [
        [
            each.entry.id,
            ' > '.join(each.cascade.stages),
            ' > '.join(f'{share:.0%}' for share in each.cascade.taken),
            f'{each.entry.accuracy:.2%}',
            f'{each.below * 100:.2f} points',
            f'{each.at_most_below * 100:.2f} points',
            f'{each.time:.2f}',
        ]
        for each in made
    ]


def how(found: MadeCascades, command: str) -> str:
    """Return how cascades were made, for a model card."""
    last = found.made[0].cascade.stages[-1]
    return (
        'A cascade runs its stages one after the other, until the confidence of an answer is at '
        'least the threshold after that stage. *Leave*: share of the calibration pictures that '
        f'leave after each stage. *Below*: points below {last} alone, on the {found.tested_on} '
        'test pictures, and what was promised of it. Thresholds are the lowest that keep the '
        f'promise on {found.calibrated_on} calibration pictures with a margin of {MARGIN:g} '
        f'standard errors. *Time*: mean of a picture in parts of {last} alone '
        f'({found.latency * 1e3:.3g} ms); latencies were measured with {found.conditions}, all in '
        f'turns.{f" Command: `{command}`." if command else ""}'
    )
