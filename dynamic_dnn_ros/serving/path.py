# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which stages of a sub-network a picture takes: it leaves where its answer is good enough."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

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
    """Exits that it passed because the confidence of its answer was not a number."""


def follow(prepared: PreparedSubNetwork, picture: Picture, task: Task[Any, Any]) -> Path:
    """
    Run one picture along its path.

    It leaves after the first stage whose answer has a confidence of at least the threshold there,
    at the latest after the last stage. A sub-network of one piece runs in one call.

    :param task: of the bundle, which knows how sure an answer is
    :raises EngineError: when the engine fails
    """
    if len(prepared.stages) == 1:
        return Path(prepared.run(picture), '', 1.0, 0)
    entry = prepared.sub_network
    execution = prepared.begin(picture)
    undecided = 0
    for stage in entry.stages[:-1]:
        outputs = execution.advance()
        if outputs is None or stage.threshold is None:
            continue
        confidence = task.confidence(outputs, 0, entry.size, DECIDING_LIMITS)
        if confidence >= stage.threshold:
            return Path(outputs, stage.name, stage.work, undecided)
        # One that is not a number is below every threshold.
        undecided += math.isnan(confidence)
    outputs = execution.advance()
    assert outputs is not None, 'there is an answer after the last stage'
    return Path(outputs, entry.stages[-1].name, entry.stages[-1].work, undecided)
