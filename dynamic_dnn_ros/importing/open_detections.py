# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Give detections that a graph selects by itself a fixed shape with the batch first.

Exports with their own NMS, those of torchvision for example, give (found, 4), (found,), (found,):
no batch, and as many as there are in the picture. Here they become (1, 300, 4), (1, 300),
(1, 300), the best first as before, the rest with score 0, so that outputs are arrays of one size
for engines and for comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, helper, numpy_helper

from dynamic_dnn_ros.importing.graph_walk import rename_value
from dynamic_dnn_ros.tasks.contract import TensorSpec

#: As many as torchvision's SSDlite gives at most, and others less.
MOST_DETECTIONS = 300

_PREFIX = 'dynamic_dnn_fixed_'


def has_open_detections(outputs: Sequence[TensorSpec]) -> bool:
    """Return whether outputs are boxes, labels and scores without a batch."""
    shapes = sorted(len(each.shape) for each in outputs)
    boxes = [each for each in outputs if len(each.shape) == 2]
    return shapes == [1, 1, 2] and boxes[0].shape[1] == 4


def fix_detections(model: ModelProto, outputs: Sequence[TensorSpec]) -> dict[str, str]:
    """
    Change a model in place, so that its detections have a fixed shape.

    :param outputs: as `has_open_detections` wants them
    :return: their new names, as options of the decoder
    """
    graph = model.graph
    kinds = {each.name: each.type.tensor_type.elem_type for each in graph.output}
    names = {
        'boxes': next(each.name for each in outputs if len(each.shape) == 2),
        'scores': next(
            each.name
            for each in outputs
            if len(each.shape) == 1 and each.dtype.startswith('float')
        ),
        'labels': next(
            each.name
            for each in outputs
            if len(each.shape) == 1 and not each.dtype.startswith('float')
        ),
    }
    taken = {name: f'{_PREFIX}old_{name}' for name in names}
    for name, free in taken.items():
        rename_value(model, name, free)

    def constant(label: str, values: NDArray[Any]) -> str:
        graph.initializer.append(numpy_helper.from_array(values, f'{_PREFIX}{label}'))
        return f'{_PREFIX}{label}'

    zero = constant('zero', np.array([0], np.int64))
    most = constant('most', np.array([MOST_DETECTIONS], np.int64))
    del graph.output[:]
    for new, name in names.items():
        shape = (MOST_DETECTIONS, 4) if new == 'boxes' else (MOST_DETECTIONS,)
        dtype = helper.tensor_dtype_to_np_dtype(kinds[name])
        rest = constant(f'{new}_rest', np.zeros(shape, dtype))
        whole = constant(f'{new}_shape', np.array((1, *shape), np.int64))
        filled, cut = f'{_PREFIX}{new}_filled', f'{_PREFIX}{new}_cut'
        graph.node.extend(
            (
                helper.make_node('Concat', [taken.get(name, name), rest], [filled], axis=0),
                helper.make_node('Slice', [filled, zero, most, zero], [cut]),
                helper.make_node('Reshape', [cut, whole], [new]),
            )
        )
        graph.output.append(helper.make_tensor_value_info(new, kinds[name], (1, *shape)))
    return {name: name for name in names}
