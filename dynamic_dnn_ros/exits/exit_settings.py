# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which early exits are made, and how their heads are trained."""

from __future__ import annotations

from dataclasses import dataclass

from dynamic_dnn_ros.engines.registry import AUTO
from dynamic_dnn_ros.exits.errors import ExitError
from dynamic_dnn_ros.exits.settings import check_counts, check_losses


@dataclass(frozen=True)
class ExitSettings:
    """
    Which early exits are made.

    :param sub_network: id of the one that gets exits; empty: the most accurate one
    :param after: places that exits come after; empty: places are found that part its cost evenly
    :param exits: how many places are found
    :param answers_of: ids of smaller sub-networks, the smallest first, whose answers are the exits
        in place of those of heads
    :param shared: places up to which the sub-network and these then begin as the first of these
    :param widths: of the layers of each head before its classifier
    :param epochs: passes over the training pictures; 0: heads that are there already are taken
    :param views: ways in which each training picture is altered, at most
    :param learning_rate: of the heads, its peak
    :param at_most_below: losses of accuracy that are promised, 0..1, against the whole
        sub-network; a sub-network is made for each
    :param alone: write the sub-network and those with exits, without the others of the bundle
    :param engine: that will serve the bundle
    :param threads: of one inference on the CPU
    :param turns: measurements of the latency of each stage
    """

    sub_network: str = ''
    after: tuple[str, ...] = ()
    exits: int = 3
    answers_of: tuple[str, ...] = ()
    shared: int = 1
    widths: tuple[int, ...] = (96, 128)
    epochs: int = 8
    views: int = 2
    learning_rate: float = 2e-3
    at_most_below: tuple[float, ...] = (0.005,)
    alone: bool = False
    engine: str = AUTO
    threads: int = 1
    turns: int = 60

    def __post_init__(self) -> None:
        check_losses(self.at_most_below)
        if not self.learning_rate > 0:
            raise ExitError(f'learning_rate is {self.learning_rate:g}: a number above 0 is needed')
        check_counts(
            ('exits', self.exits, 1),
            ('shared', self.shared, 1),
            ('epochs', self.epochs, 0),
            ('views', self.views, 1),
            ('threads', self.threads, 1),
            ('turns', self.turns, 1),
            *(('widths', width, 1) for width in self.widths),
        )
