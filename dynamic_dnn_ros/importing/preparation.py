# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Put the preparation of a picture in front of a graph.

After it the graph has one input, `pictures`: uint8, 1 x height x width x 3, red, green, blue, as
every separate model of a bundle has. Scaling, channel order and transposition are nodes, so an
engine does them in its own, fastest way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from dynamic_dnn_ros.importing.graph_walk import names_of, rename_value, true_inputs
from dynamic_dnn_ros.importing.picture_input import Layout, PictureInput, SizeInput
from dynamic_dnn_ros.pictures.input import ChannelOrder, Preprocessing

PICTURES = 'pictures'

_PREFIX = 'dynamic_dnn_'

#: How far a factor may be from 1 to be left out.
_EXACT = 1e-7


def put_in_front(model: ModelProto, found: PictureInput, preprocessing: Preprocessing) -> None:
    """
    Change a model in place, so that it takes a picture as cameras give it.

    A float16 model has to be changed to float32 before. A network that takes uint8 scales by
    itself: it gets channel order and layout only.
    """
    graph = model.graph
    name = f'{_PREFIX}{PICTURES}' if found.name == PICTURES else found.name
    if PICTURES in names_of(model):
        rename_value(model, PICTURES, f'{_PREFIX}{PICTURES}')
    others = [value for value in true_inputs(graph) if value.name in found.others]
    nodes = _nodes(graph, found, preprocessing, name)
    height: int | str = 'height' if found.height is None else found.height
    width: int | str = 'width' if found.width is None else found.width
    for value in others:
        nodes += _size_nodes(graph, value, found.others[value.name])
    kept = [value for value in graph.input if value.name not in {name, *found.others}]
    del graph.input[:]
    stored = {tensor.name for tensor in graph.initializer}
    graph.input.append(
        helper.make_tensor_value_info(PICTURES, TensorProto.UINT8, (1, height, width, 3))
    )
    graph.input.extend(value for value in kept if value.name not in stored)
    body = [*nodes, *graph.node]
    del graph.node[:]
    graph.node.extend(body)
    # What was noted of shapes no longer holds: the batch is one picture.
    del graph.value_info[:]


def _nodes(
    graph: GraphProto, found: PictureInput, preprocessing: Preprocessing, name: str
) -> list[NodeProto]:
    planes = found.layout is Layout.PLANES
    shape = (3, 1, 1) if planes else (3,)
    steps: list[tuple[str, list[NDArray[Any]], dict[str, Any]]] = []
    if planes:
        steps.append(('Transpose', [], {'perm': [0, 3, 1, 2]}))
    order = [0, 1, 2]
    if preprocessing.channels is ChannelOrder.BGR:
        order.reverse()
        # On bytes, a quarter of the floats that it would move later.
        steps.append(('Gather', [np.array(order, np.int64)], {'axis': 1 if planes else 3}))
    if found.dtype != np.uint8:
        # In double precision a model loses nothing: bytes are exact in both.
        double = found.dtype == np.float64
        number = np.float64 if double else np.float32
        kind = TensorProto.DOUBLE if double else TensorProto.FLOAT
        mean = 255 * np.array(preprocessing.mean, np.float64)[order]
        factor = 1 / (255 * np.array(preprocessing.standard_deviation, np.float64)[order])
        steps.append(('Cast', [], {'to': kind}))
        if np.any(mean):
            steps.append(('Sub', [mean.astype(number).reshape(shape)], {}))
        if np.any(np.abs(factor - 1) > _EXACT):
            steps.append(('Mul', [factor.astype(number).reshape(shape)], {}))
    if not steps:
        steps.append(('Identity', [], {}))
    nodes = []
    value = PICTURES
    for index, (operator, constants, attributes) in enumerate(steps):
        inputs = [value]
        for constant in constants:
            stored = f'{_PREFIX}{operator.lower()}'
            graph.initializer.append(numpy_helper.from_array(constant, stored))
            inputs.append(stored)
        value = name if index == len(steps) - 1 else f'{_PREFIX}step_{index}'
        node = helper.make_node(operator, inputs, [value], f'{_PREFIX}{operator}', **attributes)
        nodes.append(node)
    return nodes


def _size_nodes(graph: GraphProto, value: object, meaning: SizeInput) -> list[NodeProto]:
    """Return nodes that make an input which tells the network about the picture's size."""
    name = value.name  # type: ignore[attr-defined]
    kind = value.type.tensor_type  # type: ignore[attr-defined]
    rank = len(kind.shape.dim) if kind.HasField('shape') else 2
    part = f'{_PREFIX}{name}'

    def constant(label: str, values: object, dtype: type[np.generic] = np.int64) -> str:
        graph.initializer.append(
            numpy_helper.from_array(np.array(values, dtype), f'{part}_{label}')
        )
        return f'{part}_{label}'

    shape = [1] * (rank - 1) + [2]
    if meaning is SizeInput.ONE:
        number = helper.tensor_dtype_to_np_dtype(kind.elem_type)
        graph.initializer.append(numpy_helper.from_array(np.ones(shape, number), name))
        return []
    order = [2, 1] if meaning is SizeInput.WIDTH_HEIGHT else [1, 2]
    return [
        helper.make_node('Shape', [PICTURES], [f'{part}_all']),
        helper.make_node('Gather', [f'{part}_all', constant('order', order)], [f'{part}_two']),
        helper.make_node('Reshape', [f'{part}_two', constant('shape', shape)], [f'{part}_row']),
        helper.make_node('Cast', [f'{part}_row'], [name], to=kind.elem_type),
    ]
