# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Which stages of a sub-network a picture takes: it leaves where its answer is good enough.

Which stage runs after a gate, the engine decides by the gate's scores (`engines/staged.py`).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from dynamic_dnn_ros.bundles.stages import Stage, work_of
from dynamic_dnn_ros.engines.contract import Outputs, PreparedSubNetwork
from dynamic_dnn_ros.pictures.input import Picture
from dynamic_dnn_ros.tasks.contract import DECIDING_LIMITS, Task


class Path(NamedTuple):
    """The way of one picture through a sub-network, and what it came to."""

    outputs: Outputs
    """Of the stage after which it left."""
    stage: str
    """The name of that stage; empty: the sub-network is one piece."""
    work: float
    """Share of the largest path's cost that it took, 0..1."""
    undecided: int
    """Decisions without a number: it took the next stage at an exit, the largest at a gate."""


class Walk:
    """
    A picture on its way through a sub-network, one stage after the other.

    It leaves after the first stage whose answer has a confidence of at least the threshold there,
    at the latest after a last stage.
    """

    def __init__(
        self, prepared: PreparedSubNetwork, picture: Picture, task: Task[Any, Any]
    ) -> None:
        """
        Begin before the first stage.

        :param picture: stays what it is to the end of the way
        :param task: of the bundle, which knows how sure an answer is
        :raises EngineError: when the sub-network is closed, or the picture of another shape
        """
        self.execution = prepared.begin(picture)
        self._size = prepared.sub_network.size
        one_piece = len(prepared.stages) == 1
        self._stages = () if one_piece else prepared.sub_network.stages
        self._task = task
        self._taken = [0]
        self._undecided = 0

    def advance(self) -> Path | None:
        """
        Run the next stage; return the whole path where the picture leaves after it.

        :raises EngineError: when the engine fails
        """
        return self.take(self.execution.advance())

    def take(self, outputs: Outputs | None) -> Path | None:
        """
        Take what the next stage has come to; return the whole path where the picture leaves.

        :param outputs: of this picture alone; None where the stage has no exit
        """
        stages = self._stages
        if not stages:
            assert outputs is not None, 'one piece has an answer'
            return Path(outputs, '', 1.0, 0)
        stage = stages[self._taken[-1]]
        if self.execution.done:
            assert outputs is not None, 'there is an answer after the last stage'
            return self._path(outputs, stage)
        if outputs is None or stage.threshold is None:
            self._taken.append(self.execution.stage)
            return None
        confidence = self._task.confidence(outputs, 0, self._size, DECIDING_LIMITS)
        if confidence >= stage.threshold:
            return self._path(outputs, stage)
        # One that is not a number is below every threshold.
        self._undecided += math.isnan(confidence)
        self._taken.append(self.execution.stage)
        return None

    def _path(self, outputs: Outputs, stage: Stage) -> Path:
        undecided = self._undecided + self.execution.undecided
        return Path(outputs, stage.name, work_of(self._stages, self._taken), undecided)


def follow(prepared: PreparedSubNetwork, picture: Picture, task: Task[Any, Any]) -> Path:
    """
    Run one picture along its whole path, see `Walk`.

    A sub-network of one piece runs in one call.

    :param task: of the bundle, which knows how sure an answer is
    :raises EngineError: when the engine fails
    """
    if len(prepared.stages) == 1:
        return Path(prepared.run(picture), '', 1.0, 0)
    walk = Walk(prepared, picture, task)
    path = walk.advance()
    while path is None:
        path = walk.advance()
    return path
