# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Give detections that a graph selects by itself a fixed shape with the batch first.

Exports with their own NMS give as many detections as there are in the picture, often without a
batch: those of torchvision (found, 4), (found,), (found,), MMDetection (1, found, 5), (1, found),
YOLO v7 (found, 7). Here they become (1, 300, 4), (1, 300) and so on, the best first as before, the
rest with score 0, so that outputs are arrays of one size for engines and for comparison.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, helper, numpy_helper

from dynamic_dnn_ros.importing.graph_walk import rename_value, shape_of
from dynamic_dnn_ros.tasks.contract import TensorSpec

#: As many as torchvision's SSDlite gives at most, and others less.
MOST_DETECTIONS = 300

_PREFIX = 'dynamic_dnn_fixed_'

#: Options that name outputs with a row for each detection, of the decoders of such exports; and
#: whether each row holds several values.
_ROWS: Mapping[str, Mapping[str, bool]] = {
    'labelled_boxes': {'boxes': True, 'labels': False, 'scores': False},
    'mmdetection': {'dets': True, 'labels': False},
    'yolov7_end_to_end': {'output': True},
}


def fix_detections(
    model: ModelProto, outputs: Sequence[TensorSpec], options: Mapping[str, Any]
) -> bool:
    """
    Give detections a fixed shape in place; return whether they had none.

    :param outputs: what they were for some pictures
    :param options: of the task, which name decoder and outputs
    """
    rows = _ROWS.get(str(options.get('decoder')), {})
    several = {str(options[option]): value for option, value in rows.items()}
    found = [each for each in outputs if each.name in several]
    # Where its rows are: (found, 4) or (1, found, 4), (found,) or (1, found).
    axes = {each.name: len(each.shape) - 1 - several[each.name] for each in found}
    declared = {each.name: shape_of(each) or () for each in model.graph.output}
    if all(
        axes[each.name] > 0
        and each.shape[axes[each.name]] is not None
        and isinstance((*declared[each.name], None, None)[axes[each.name]], int)
        for each in found
    ):
        return False
    for each in found:
        axis = axes[each.name]
        _fix(model, each.name, axis, tuple(length or 0 for length in each.shape[axis + 1 :]))
    return True


def _fix(model: ModelProto, name: str, axis: int, values: tuple[int, ...]) -> None:
    """Fill an output up along an axis, and cut it; the batch, where there is none, comes first."""
    graph = model.graph
    output = next(each for each in graph.output if each.name == name)
    kind = output.type.tensor_type.elem_type
    shape = (1, MOST_DETECTIONS, *values)
    part = f'{_PREFIX}{name}'
    rename_value(model, name, f'{part}_open')

    def constant(label: str, values: NDArray[Any]) -> str:
        graph.initializer.append(numpy_helper.from_array(values, f'{part}_{label}'))
        return f'{part}_{label}'

    rest = np.zeros(shape[1 - axis :], helper.tensor_dtype_to_np_dtype(kind))
    bounds = [
        constant(label, np.array([number], np.int64))
        for label, number in (('first', 0), ('most', MOST_DETECTIONS), ('axis', axis))
    ]
    graph.node.extend(
        (
            helper.make_node(
                'Concat', [f'{part}_open', constant('rest', rest)], [f'{part}_filled'], axis=axis
            ),
            helper.make_node('Slice', [f'{part}_filled', *bounds], [f'{part}_cut']),
            helper.make_node(
                'Reshape', [f'{part}_cut', constant('shape', np.array(shape, np.int64))], [name]
            ),
        )
    )
    output.CopyFrom(helper.make_tensor_value_info(name, kind, shape))
