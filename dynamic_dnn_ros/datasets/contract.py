# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a labelled picture is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

TruthT = TypeVar('TruthT')


class DataError(ValueError):
    """Labelled data that cannot be used. The text names the file, the problem and the remedy."""


class MissingPartError(DataError):
    """A part of a data set that it has not, though it has others."""


@dataclass(frozen=True, eq=False)
class LabelledBoxes:
    """
    The truth of a detection picture.

    `boxes` as in `Detections`; `classes` int64 (boxes,); `crowd` bool (boxes,): regions with many
    objects, in which detections count neither as right nor as wrong (COCO's `iscrowd`).
    """

    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    crowd: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class LabelledPicture(Generic[TruthT]):
    """
    A picture with its truth: a class index, `LabelledBoxes`, or label image (height, width).

    `pixels` RGB, uint8 (height, width, 3), upright.
    """

    name: str
    pixels: NDArray[np.uint8]
    truth: TruthT
