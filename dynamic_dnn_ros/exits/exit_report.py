# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is told of early exits that were made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.exits.calibration import MARGIN
from dynamic_dnn_ros.exits.report import TITLES as TITLES_OF_CASCADES
from dynamic_dnn_ros.exits.report import Made


@dataclass(frozen=True)
class MadeExits:
    """
    What was written.

    :param backbone: the sub-network that got exits
    :param latency: of it alone, s
    :param conditions: under which latencies were measured
    :param training: how heads were trained, a sentence; empty: they were there already
    :param alone: accuracy on the test pictures if all left after a stage, by its name
    :param without_others: whether the other sub-networks of the bundle are left out
    """

    bundle: Bundle
    backbone: SubNetwork
    made: tuple[Made, ...]
    latency: float
    conditions: str
    calibrated_on: int
    tested_on: int
    training: str
    alone: Mapping[str, float]
    without_others: bool = False


TITLES = ('id', 'leave after', *TITLES_OF_CASCADES[2:])
"""Of the columns of a table of early exits; the rows are `report.rows`."""


def how(found: MadeExits, command: str) -> str:
    """Return how exits were made, for a model card."""
    name = found.backbone.id
    alone = ', '.join(f'{stage} {value:.2%}' for stage, value in found.alone.items())
    others = f'Of what is told above, this bundle has {name} alone. '
    preface = others if found.without_others else ''
    return (
        f'{preface}{name} runs until the confidence of the answer at an exit is at least the '
        'threshold there. *Leave*: share of the calibration pictures that leave after each '
        'stage. *Below*: '
        f'points below {name} whole, on the {found.tested_on} test pictures, and what was '
        'promised of it. Thresholds are the lowest that keep the promise on '
        f'{found.calibrated_on} calibration pictures with a margin of {MARGIN:g} standard '
        f'errors. *Time*: mean of a test picture in parts of {name} whole '
        f'({found.latency * 1e3:.3g} ms); latencies were measured with {found.conditions}, all '
        f'in turns.{f" {found.training}" if found.training else ""} Accuracy if all pictures left '
        f'after a stage: {alone}.{f" Command: `{command}`." if command else ""}'
    )
