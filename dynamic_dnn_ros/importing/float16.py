# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Make a model that computes in float16 compute in float32, its weights stored as they are."""

from __future__ import annotations

from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper

from dynamic_dnn_ros.importing.graph_walk import graphs_of, names_of, nodes_of

#: Smaller tensors are stored as float32: a Cast costs more than they.
_SMALL = 256


def uses_float16(model: ModelProto) -> bool:
    """Return whether a model has inputs, outputs or computed values in float16."""
    values = [
        value
        for graph in graphs_of(model.graph)
        for value in (*graph.input, *graph.output, *graph.value_info)
    ]
    if any(value.type.tensor_type.elem_type == TensorProto.FLOAT16 for value in values):
        return True
    # Weights that are stored as float16 and cast to float32 at once need nothing.
    return any(_attribute(node, 'to') == TensorProto.FLOAT16 for node in nodes_of(model))


def compute_in_float32(model: ModelProto) -> None:
    """
    Change a model in place: what is float16 becomes float32, large weights stay stored as float16.

    Processors without float16 arithmetic, as most CPUs, run such models slowly or not at all,
    and every value of float16 is one of float32.
    """
    taken = names_of(model)
    for graph in graphs_of(model.graph):
        for value in (*graph.input, *graph.output, *graph.value_info):
            if value.type.tensor_type.elem_type == TensorProto.FLOAT16:
                value.type.tensor_type.elem_type = TensorProto.FLOAT
        _cast_initializers(graph, taken)
    for node in nodes_of(model):
        for attribute in node.attribute:
            if attribute.name in ('to', 'dtype') and attribute.i == TensorProto.FLOAT16:
                attribute.i = TensorProto.FLOAT
            for tensor in (
                *([attribute.t] if attribute.HasField('t') else ()),
                *attribute.tensors,
            ):
                if tensor.data_type == TensorProto.FLOAT16:
                    _to_float32(tensor)


def _cast_initializers(graph: GraphProto, taken: set[str]) -> None:
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT16:
            continue
        values = numpy_helper.to_array(tensor)
        if values.size < _SMALL:
            _to_float32(tensor)
            continue
        stored = _free_name(f'{tensor.name}_float16', taken)
        casts.append(helper.make_node('Cast', [stored], [tensor.name], to=TensorProto.FLOAT))
        tensor.name = stored
    if casts:
        nodes = [*casts, *graph.node]
        del graph.node[:]
        graph.node.extend(nodes)


def _to_float32(tensor: TensorProto) -> None:
    values = numpy_helper.to_array(tensor).astype('float32')
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _attribute(node: object, name: str) -> int | None:
    for attribute in node.attribute:  # type: ignore[attr-defined]
        if attribute.name == name:
            return int(attribute.i)
    return None


def _free_name(wish: str, taken: set[str]) -> str:
    name, number = wish, 1
    while name in taken:
        number += 1
        name = f'{wish}_{number}'
    taken.add(name)
    return name
