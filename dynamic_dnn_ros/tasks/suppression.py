# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Of boxes of one class that overlap, the best one: non-maximum suppression, by OpenCV."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.tasks.contract import TaskError


def suppress(
    boxes: NDArray[np.float32], classes: NDArray[np.int64], overlap: float
) -> NDArray[np.intp]:
    """
    Return the indices of the boxes to keep, in their order.

    :param boxes: left, upper, right, lower, the best first, shape (boxes, 4), finite
    :param classes: boxes of different ones never suppress each other
    :param overlap: intersection over union above which the lesser box goes, 0..1
    :raises TaskError: when OpenCV is not installed
    """
    if len(boxes) < 2:
        return np.arange(len(boxes))
    sides = boxes.astype(np.float64)
    sides[:, 2:] -= sides[:, :2]
    # Classes lie side by side, apart by more than all boxes are wide: one pass for all of them.
    width = float(boxes[:, 2].max()) - float(boxes[:, 0].min()) + 1
    sides[:, 0] += classes * width
    # The order alone matters, and OpenCV leaves out scores of 0: so their ranks stand for them.
    ranks = np.arange(len(boxes), 0, -1, dtype=np.float32)
    kept = _opencv().dnn.NMSBoxes(sides.tolist(), ranks, 0.0, overlap)
    return np.asarray(kept, np.intp).reshape(-1)


def _opencv() -> Any:
    try:
        return importlib.import_module('cv2')
    except ImportError as error:
        raise TaskError(
            f'Detectors need OpenCV, which cannot be loaded here: {error}. Install '
            'python3-opencv (apt) or opencv-python-headless (pip).'
        ) from error
