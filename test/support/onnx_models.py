# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tiny ONNX models, made by tests to be imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

Arrays = Mapping[str, NDArray[Any]]


def model_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[tuple[str, int, Sequence[int | str]]],
    outputs: Sequence[tuple[str, int, Sequence[int | str] | None]],
    weights: Arrays | None = None,
    opset: int = 17,
    metadata: Mapping[str, str] | None = None,
) -> ModelProto:
    """Return a model of nodes, with inputs and outputs as name, type, shape."""
    graph = helper.make_graph(
        list(nodes),
        'test',
        [helper.make_tensor_value_info(*each) for each in inputs],
        [helper.make_tensor_value_info(*each) for each in outputs],
        [numpy_helper.from_array(values, name) for name, values in (weights or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', opset)], ir_version=8)
    for key, value in (metadata or {}).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    return model


def classifier(
    classes: int = 3,
    shape: Sequence[int | str] = (1, 3, 32, 32),
    dtype: type[np.generic] = np.float32,
    seed: int = 0,
    metadata: Mapping[str, str] | None = None,
) -> ModelProto:
    """Return a network of one convolution, a mean over all places and a linear layer."""
    random = np.random.default_rng(seed)
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    weights = {
        'filters': random.normal(size=(8, 3, 3, 3)).astype(dtype),
        'linear': random.normal(size=(8, classes)).astype(dtype),
    }
    nodes = [
        helper.make_node('Conv', ['image', 'filters'], ['maps'], pads=[1] * 4, strides=[2, 2]),
        helper.make_node('Relu', ['maps'], ['active']),
        helper.make_node('GlobalAveragePool', ['active'], ['mean']),
        helper.make_node('Flatten', ['mean'], ['flat']),
        helper.make_node('MatMul', ['flat', 'linear'], ['logits']),
    ]
    outputs = [('logits', kind, (shape[0], classes))]
    return model_of(nodes, [('image', kind, shape)], outputs, weights, metadata=metadata)


def pixels_out(
    shape: Sequence[int | str] = (1, 3, 4, 6), kind: int = TensorProto.FLOAT, **more: Any
) -> ModelProto:
    """Return a model that gives out what it gets: what a preparation makes of a picture."""
    nodes = [helper.make_node('Identity', ['image'], ['seen'])]
    return model_of(nodes, [('image', kind, shape)], [('seen', kind, shape)], **more)


def ultralytics_v8(
    classes: int = 80,
    size: int | None = 64,
    seed: int = 0,
    metadata: Mapping[str, str] | None = None,
) -> ModelProto:
    """
    Return a detector with the outputs of Ultralytics' YOLOv8: (1, 4 + classes, places).

    One place for each 8, 16 and 32 pixels; all that it says depends on the picture there.
    """
    random = np.random.default_rng(seed)
    sides: Sequence[int | str] = (1, 3, 'height', 'width') if size is None else (1, 3, size, size)
    nodes, weights, parts = [], {}, []
    for stride in (8, 16, 32):
        weights[f'box{stride}'] = (random.normal(size=(4, 3, stride, stride)) / stride).astype(
            np.float32
        )
        weights[f'class{stride}'] = (
            random.normal(size=(classes, 3, stride, stride)) / stride
        ).astype(np.float32)
        weights['flat'] = np.array([1, 0, -1], np.int64)
        weights['flat_boxes'] = np.array([1, 4, -1], np.int64)
        weights['flat_classes'] = np.array([1, classes, -1], np.int64)
        for part, ending in (('box', 'boxes'), ('class', 'classes')):
            name = f'{part}{stride}'
            nodes += [
                helper.make_node(
                    'Conv', ['images', name], [f'{name}_map'], strides=[stride, stride]
                ),
                helper.make_node('Reshape', [f'{name}_map', f'flat_{ending}'], [f'{name}_flat']),
                helper.make_node('Sigmoid', [f'{name}_flat'], [f'{name}_one']),
            ]
        weights['pixels'] = np.float32(64)
        nodes.append(helper.make_node('Mul', [f'box{stride}_one', 'pixels'], [f'{stride}_boxes']))
        nodes.append(
            helper.make_node(
                'Concat', [f'{stride}_boxes', f'class{stride}_one'], [f'{stride}_all'], axis=1
            )
        )
        parts.append(f'{stride}_all')
    del weights['flat']
    nodes.append(helper.make_node('Concat', parts, ['output0'], axis=2))
    outputs = [('output0', TensorProto.FLOAT, (1, 4 + classes, 'places'))]
    inputs = [('images', TensorProto.FLOAT, sides)]
    return model_of(nodes, inputs, outputs, weights, metadata=metadata)


def ultralytics_metadata(names: Sequence[str], size: int = 64) -> dict[str, str]:
    """Return what Ultralytics writes into the models that it exports."""
    return {
        'author': 'Ultralytics',
        'task': 'detect',
        'stride': '32',
        'imgsz': f'[{size}, {size}]',
        'names': repr(dict(enumerate(names))),
    }


def saved(model: ModelProto, path: Path) -> Path:
    """Write a model, and return its path."""
    path.write_bytes(model.SerializeToString())
    return path


def answer(model: ModelProto, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
    """Return what ONNX Runtime makes of inputs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=['CPUExecutionProvider']
    )
    names = [each.name for each in session.get_inputs()]
    return list(session.run(None, dict(zip(names, inputs))))
