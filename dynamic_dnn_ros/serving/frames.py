# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A picture on its way through an application, and what is said of it when it is served."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from dynamic_dnn_ros.pictures.placement import Placement
from dynamic_dnn_ros.pictures.scaling import CameraPicture
from dynamic_dnn_ros.tasks.contract import ClassScores, Detections, LabelMap


class WorkerState(IntEnum):
    """What is done for a stream; the values are those of `InferenceStatus.msg`."""

    IDLE = 0
    BUSY = 1
    STUCK = 2
    STOPPED = 3


@dataclass(frozen=True)
class CameraFrame:
    """
    A picture on its way through an application.

    `arrival` in seconds of `time.monotonic`; `origin` is whatever its source wants back with
    the result.
    """

    picture: CameraPicture
    arrival: float
    origin: Any


@dataclass(frozen=True)
class ServedFrame:
    """
    The result of a frame, and the seconds it spent in each stage.

    `processor` is the one that a profile speaks of: on a simulated platform the board's.
    `remarks` are those of the sub-network, of its run; `decoding` is what the task took. `work` is
    the share of the largest path's cost that the frame took, 0..1, and `exit_stage` the stage of
    the sub-network after which it left, empty where that is one piece. It was `parked` between
    stages while frames of other streams ran, and ran together with others in a `batch`, itself
    included, in its last stage.
    """

    frame: CameraFrame
    sub_network: str
    processor: str
    result: ClassScores | Detections | LabelMap
    placement: Placement
    waiting: float
    preprocessing: float
    inference: float
    decoding: float
    remarks: object
    work: float = 1.0
    exit_stage: str = ''
    parked: float = 0.0
    batch: int = 1
