# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Walk through an ONNX model with all that is nested in it.

Control flow (`If`, `Loop`, `Scan`) holds graphs in the attributes of nodes, functions hold nodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from onnx import GraphProto, ModelProto, NodeProto, TensorProto


def graphs_of(graph: GraphProto) -> Iterator[GraphProto]:
    """Return a graph and every graph in it, the outer ones first."""
    yield graph
    for node in graph.node:
        for inner in _subgraphs(node):
            yield from graphs_of(inner)


def nodes_of(model: ModelProto) -> Iterator[NodeProto]:
    """Return every node of a model, also those of control flow and of functions."""
    for graph in graphs_of(model.graph):
        yield from graph.node
    for function in model.functions:
        yield from function.node


def tensors_of(model: ModelProto) -> Iterator[TensorProto]:
    """Return every stored tensor: initializers, and those in attributes of nodes."""
    for graph in graphs_of(model.graph):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    for node in nodes_of(model):
        for attribute in node.attribute:
            if attribute.HasField('t'):
                yield attribute.t
            yield from attribute.tensors


def true_inputs(graph: GraphProto) -> list[Any]:
    """Return the inputs that have to be fed: older files list weights among them."""
    stored = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in stored]


def shape_of(value: Any) -> tuple[int | str | None, ...] | None:
    """Return a declared shape, with names for what is free and None for what is not said."""
    kind = value.type.tensor_type
    if not kind.HasField('shape'):
        return None
    return tuple(
        each.dim_value
        if each.HasField('dim_value') and each.dim_value > 0
        else (each.dim_param or None)
        for each in kind.shape.dim
    )


def names_of(model: ModelProto) -> set[str]:
    """Return all names of values and nodes that are taken."""
    names: set[str] = set()
    for graph in graphs_of(model.graph):
        names |= {each.name for each in (*graph.input, *graph.initializer, *graph.output)}
    for node in nodes_of(model):
        names |= {node.name, *node.input, *node.output}
    return names


def rename_value(model: ModelProto, old: str, new: str) -> None:
    """Give a value of the outermost graph another name wherever it is used, outputs excepted."""
    for graph in graphs_of(model.graph):
        for value in (*graph.input, *graph.initializer, *graph.value_info):
            if value.name == old:
                value.name = new
        for node in graph.node:
            for values in (node.input, node.output):
                for index, name in enumerate(values):
                    if name == old:
                        values[index] = new


def values_behind(graph: GraphProto, operator: str, behind: set[str] | None = None) -> set[str]:
    """
    Return the names of all values that are computed from what an operator answers.

    :param behind: those that are known to be so already
    """
    found = set() if behind is None else behind
    for node in graph.node:
        inner = list(_subgraphs(node))
        within = [each for part in inner for nested in graphs_of(part) for each in nested.node]
        used = {*node.input, *(name for each in within for name in each.input)}
        if used & found:
            found.update(name for each in (node, *within) for name in each.output)
        elif any(each.op_type == operator for each in (node, *within)):
            for part in inner:
                values_behind(part, operator, found)
            found.update(node.output)
    return found


def _subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField('g'):
            yield attribute.g
        yield from attribute.graphs
