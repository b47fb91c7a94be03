# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a graph costs: multiply-adds, parameters and layers, at one size of its input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
import math

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, shape_inference

from dynamic_dnn_ros.importing.graph_walk import graphs_of, shape_of, values_behind
from dynamic_dnn_ros.pictures.placement import Size

#: Operators that multiply with weights or values; all others count as nothing.
COUNTED = ('Conv', 'ConvTranspose', 'Gemm', 'MatMul', 'ConvInteger', 'QLinearConv')

Shape = tuple[int, ...]

_WEIGHTS = frozenset(
    {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16}
    | {TensorProto.INT8, TensorProto.UINT8}
)


@dataclass(frozen=True)
class Cost:
    """
    The cost of one picture.

    `multiply_adds` of convolutions and matrix products; `parameters` the numbers stored;
    `layers` the convolutions and linear layers. `unknown` names operators whose size is not
    known, which count as nothing.

    `of_proposals` are multiply-adds of what looks at each box that the network proposes, as the
    second stage of Faster R-CNN does: how many there are depends on the picture, so they are not
    among the others. These are of the picture whose shapes are known.
    """

    multiply_adds: int
    parameters: int
    layers: int
    unknown: tuple[str, ...] = ()
    of_proposals: int = 0


def cost_of(model: ModelProto, size: Size, shapes: Mapping[str, Shape] | None = None) -> Cost:
    """
    Count the cost of a graph whose input takes pictures of one size.

    :param shapes: of values that shape inference does not find
    """
    sized = at_size(model, size)
    try:
        sized = shape_inference.infer_shapes(sized, data_prop=True)
    except shape_inference.InferenceError:
        pass
    known = {**_declared_shapes(sized), **(shapes or {})}
    proposed = values_behind(sized.graph, 'NonMaxSuppression')
    multiply_adds, of_proposals, layers = 0, 0, 0
    unknown = []
    for graph in graphs_of(sized.graph):
        sources = {name: node for node in graph.node for name in node.output}
        stored = {tensor.name for tensor in graph.initializer}
        for node in graph.node:
            if node.op_type not in COUNTED:
                continue
            count = _multiply_adds(node, known)
            if count is None:
                unknown.append(node.name or node.output[0])
            elif node.output[0] in proposed:
                of_proposals += count
            else:
                multiply_adds += count
            layers += any(_is_stored(name, stored, sources) for name in node.input)
    return Cost(multiply_adds, _parameters(model), layers, tuple(unknown), of_proposals)


def at_size(model: ModelProto, size: Size) -> ModelProto:
    """Return a copy whose input `pictures` has a fixed size, all noted shapes taken out."""
    sized = ModelProto()
    sized.CopyFrom(model)
    for value in sized.graph.input:
        dimensions = value.type.tensor_type.shape.dim
        if len(dimensions) == 4:
            dimensions[1].dim_value, dimensions[2].dim_value = size.height, size.width
    del sized.graph.value_info[:]
    for output in sized.graph.output:
        output.type.tensor_type.ClearField('shape')
    return sized


def _declared_shapes(model: ModelProto) -> dict[str, Shape]:
    found: dict[str, Shape] = {}
    for graph in graphs_of(model.graph):
        for value in (*graph.input, *graph.output, *graph.value_info):
            shape = shape_of(value)
            if shape is not None and all(isinstance(each, int) for each in shape):
                found[value.name] = tuple(int(each) for each in shape if each is not None)
        found.update({tensor.name: tuple(tensor.dims) for tensor in graph.initializer})
        for node in graph.node:
            if node.op_type == 'Constant':
                for attribute in node.attribute:
                    if attribute.name == 'value':
                        found[node.output[0]] = tuple(attribute.t.dims)
    return found


def _multiply_adds(node: NodeProto, shapes: Mapping[str, Shape]) -> int | None:
    """Return the count of one operator, None where a shape is not known."""
    weight_at = 3 if node.op_type == 'QLinearConv' else 1
    data, weight = shapes.get(node.input[0]), shapes.get(node.input[weight_at])
    output = shapes.get(node.output[0])
    if node.op_type == 'ConvTranspose':
        # Each value that comes in meets each weight of its channel.
        return None if None in (data, weight) else _product(data) * _product(weight[1:])  # type: ignore[index]
    if weight is None or output is None:
        return None
    if node.op_type in ('Conv', 'ConvInteger', 'QLinearConv'):
        return _product(output) * _product(weight[1:])
    if node.op_type == 'Gemm':
        turned = any(each.name == 'transB' and each.i for each in node.attribute)
        return _product(output) * weight[1 if turned else 0]
    return _product(output) * weight[-2 if len(weight) > 1 else 0]


def _parameters(model: ModelProto) -> int:
    count = 0
    for graph in graphs_of(model.graph):
        for tensor in _stored_tensors(graph):
            # Indices and shapes are no weights, nor are single numbers of formulas.
            if tensor.data_type in _WEIGHTS and _product(tensor.dims) > 1:
                count += 0 if tensor.name.startswith('dynamic_dnn_') else _product(tensor.dims)
    return count


def _stored_tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        if node.op_type == 'Constant':
            yield from (each.t for each in node.attribute if each.name == 'value')


def _is_stored(name: str, stored: set[str], sources: Mapping[str, NodeProto]) -> bool:
    """Return whether a value is a weight, as it is or through operators that only convert it."""
    while name not in stored:
        node = sources.get(name)
        if node is None or node.op_type not in (
            'Cast',
            'Identity',
            'DequantizeLinear',
            'Transpose',
            'Constant',
        ):
            return False
        if node.op_type == 'Constant':
            return True
        name = node.input[0]
    return True


def _product(shape: Sequence[int] | None) -> int:
    return math.prod(shape or ())
