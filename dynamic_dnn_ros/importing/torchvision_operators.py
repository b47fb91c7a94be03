# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The compiled operators of torchvision, also where they cannot be loaded.

PyTorch and torchvision of different builds, for CPU and for CUDA for example, go together but for
the operators that torchvision compiles. To export a detector, its NMS and RoI align have to be
called; here they are in PyTorch, slow and equal. In the exported graph they are those of ONNX.
"""

from __future__ import annotations

import sys

import numpy as np
import torch

_library: torch.library.Library | None = None


def ensure_operators() -> None:
    """Define the operators that detectors call where torchvision could not load its own."""
    global _library
    from torchvision import extension

    if _library is not None or extension._has_ops():
        return
    from torchvision.ops._register_onnx_ops import _register_custom_op

    library = torch.library.Library('torchvision', 'FRAGMENT')
    for schema in (
        'nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
        'roi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height, '
        'int pooled_width, int sampling_ratio, bool aligned) -> Tensor',
    ):
        if not hasattr(torch.ops.torchvision, schema.partition('(')[0]):
            library.define(schema)
    library.impl('nms', suppressed, 'CPU')
    library.impl('roi_align', _aligned, 'CPU')
    _library = library
    for name, module in list(sys.modules.items()):
        if name.startswith('torchvision'):
            if hasattr(module, '_has_ops'):
                module._has_ops = _has_ops  # type: ignore[attr-defined]
            if hasattr(module, '_assert_has_ops'):
                module._assert_has_ops = _assert_has_ops  # type: ignore[attr-defined]
    _register_custom_op()


def suppressed(dets: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """
    Return the indices of boxes that no better one overlaps by more than a threshold.

    :param dets: left, upper, right, lower, shape (boxes, 4)
    :param scores: shape (boxes,)
    :param iou_threshold: 0..1
    :return: the best first, int64
    """
    # In numpy, ten times as fast as small steps of PyTorch.
    order = np.argsort(-scores.detach().numpy(), kind='stable')
    boxes = dets.detach().numpy()[order]
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    alive = np.ones(len(boxes), bool)
    for index in range(len(boxes)):
        if not alive[index]:
            continue
        rest = np.flatnonzero(alive[index + 1 :]) + index + 1
        low = np.maximum(boxes[index, :2], boxes[rest, :2])
        high = np.minimum(boxes[index, 2:], boxes[rest, 2:])
        common = np.maximum(high - low, 0).prod(axis=1)
        union = areas[index] + areas[rest] - common
        alive[rest[common > iou_threshold * union]] = False
    return torch.from_numpy(order[alive])


def _aligned(
    input: torch.Tensor,  # noqa: A002
    rois: torch.Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool,
) -> torch.Tensor:
    from torchvision.ops.roi_align import _roi_align

    return _roi_align(
        input, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio, aligned
    )


# torchvision compiles these two: plain functions with types.
def _has_ops() -> bool:
    return True


def _assert_has_ops() -> None:
    return None
