# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Suppression for torchvision where its compiled operators are missing.

PyTorch for the CPU alone comes with a torchvision whose compiled part does not load
(tools/torchvision_operators.py). OpenCV's suppression, which takes about as long, stands in.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
from unittest import mock

import cv2
import numpy as np
import torch
import torchvision


def is_compiled() -> bool:
    """Return whether torchvision has its compiled operators."""
    return bool(torchvision.extension._has_ops())


@contextlib.contextmanager
def suppression() -> Iterator[None]:
    """Let torchvision suppress, by OpenCV where it cannot by itself."""
    if is_compiled():
        yield
        return
    with (
        mock.patch.object(torchvision.ops, 'nms', _nms),
        mock.patch.object(torchvision.ops.boxes, 'nms', _nms),
    ):
        yield


def _nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    order = scores.argsort(descending=True, stable=True)
    sides = boxes[order].double().numpy()
    sides[:, 2:] -= sides[:, :2]
    ranks = np.arange(len(sides), 0, -1, dtype=np.float32)
    kept = cv2.dnn.NMSBoxes(sides.tolist(), ranks, 0.0, iou_threshold) if len(sides) else ()
    return order[torch.from_numpy(np.asarray(kept, np.int64).reshape(-1))]
