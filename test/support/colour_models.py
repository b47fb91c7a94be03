# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A detector and a segmenter that need no training: they find what is red and what is blue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
import onnx
from onnx import TensorProto, helper, numpy_helper

from dynamic_dnn_ros.bundles.manifest import Manifest, SeparateModels, SubNetwork, TaskChoice
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.bundles.writer import write_bundle
from dynamic_dnn_ros.pictures.input import Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Size

LABELS = ('red', 'blue')
SEGMENTER_SIZE = Size(64, 128)
CELL = 8
"""Pixels of the input: height and width of the boxes."""
_STRIDES = (CELL, 16, 32)


def detector_model(size: Size, gain: float = 1.0) -> bytes:
    """
    Return an ONNX model with outputs as Ultralytics v8 has them.

    The score of a cell is by how much its mean red (or blue) is above its mean green, 0..1.

    :param size: of the input, multiples of 32
    :param gain: scores are multiplied by it, so that models differ
    """
    rows, columns = size.height // CELL, size.width // CELL
    cells = rows * columns
    points = sum(size.height // s * (size.width // s) for s in _STRIDES)
    y, x = np.mgrid[:rows, :columns].reshape(2, -1)
    boxes = np.zeros((1, 4, points), np.float32)
    boxes[0, :, :cells] = [(x + 0.5) * CELL, (y + 0.5) * CELL, x * 0 + CELL, y * 0 + CELL]
    # Red above green, blue above green.
    weights = np.array([[1, -1, 0], [0, -1, 1]], np.float32)[:, :, None, None]
    constants = {
        'boxes': boxes,
        'weights': weights * np.float32(gain / 255),
        'shape': np.array([1, 2, cells], np.int64),
        'padding': np.array([0, 0, 0, 0, 0, points - cells], np.int64),
    }
    nodes = [
        helper.make_node('Cast', ['pictures'], ['floats'], to=TensorProto.FLOAT),
        helper.make_node('Transpose', ['floats'], ['channels'], perm=[0, 3, 1, 2]),
        helper.make_node('Conv', ['channels', 'weights'], ['differences']),
        helper.make_node(
            'AveragePool', ['differences'], ['means'], kernel_shape=[CELL] * 2, strides=[CELL] * 2
        ),
        helper.make_node('Relu', ['means'], ['positive']),
        helper.make_node('Reshape', ['positive', 'shape'], ['flat']),
        helper.make_node('Pad', ['flat', 'padding'], ['scores']),
        helper.make_node('Concat', ['boxes', 'scores'], ['output0'], axis=1),
    ]
    return _model(nodes, size, ('output0', (1, 6, points)), constants)


def segmenter_model(size: Size) -> bytes:
    """
    Return an ONNX model that tells red and blue pixels from the background.

    Its output has the values of `background`, `red` and `blue`, shape (1, 3, height, width).
    """
    weights = np.array([[0, 0, 0], [1, -1, 0], [0, -1, 1]], np.float32)[:, :, None, None] / 255
    constants = {'weights': weights, 'bias': np.array([0.3, 0, 0], np.float32)}
    nodes = [
        helper.make_node('Cast', ['pictures'], ['floats'], to=TensorProto.FLOAT),
        helper.make_node('Transpose', ['floats'], ['channels'], perm=[0, 3, 1, 2]),
        helper.make_node('Conv', ['channels', 'weights', 'bias'], ['output']),
    ]
    return _model(nodes, size, ('output', (1, 3, *size)), constants)


def _model(
    nodes: Sequence[onnx.NodeProto],
    size: Size,
    output: tuple[str, tuple[int, ...]],
    constants: Mapping[str, NDArray[Any]],
) -> bytes:
    graph = helper.make_graph(
        nodes,
        'colours',
        [helper.make_tensor_value_info('pictures', TensorProto.UINT8, [1, *size, 3])],
        [helper.make_tensor_value_info(output[0], TensorProto.FLOAT, output[1])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def make_detector(
    folder: Path,
    sizes: Sequence[Size] = (Size(64, 64), Size(64, 128)),
    resize: Resize = Resize.LETTERBOX,
) -> Bundle:
    """
    Write a bundle of separate models, one a size: ``s0``, ``s1`` ...

    The scores of each later one are a little higher, so that results tell who computed them.
    """
    gains = [1.0 - 0.1 * (len(sizes) - 1 - index) for index in range(len(sizes))]
    models = [detector_model(size, gain) for size, gain in zip(sizes, gains)]
    task = TaskChoice('detection', {'decoder': 'ultralytics_v8'})
    return _bundle(folder, 'red_and_blue', models, sizes, LABELS, task, resize)


def make_segmenter(
    folder: Path, size: Size = SEGMENTER_SIZE, resize: Resize = Resize.LETTERBOX
) -> Bundle:
    """Write a bundle of one separate model, ``s0``."""
    labels, task = ('background', *LABELS), TaskChoice('segmentation', {'output': 'output'})
    return _bundle(folder, 'coloured', [segmenter_model(size)], [size], labels, task, resize)


def _bundle(
    folder: Path,
    name: str,
    models: Sequence[bytes],
    sizes: Sequence[Size],
    labels: tuple[str, ...],
    task: TaskChoice,
    resize: Resize,
) -> Bundle:
    contents = {f'model_{index}': model for index, model in enumerate(models)}
    manifest = Manifest(
        name=name,
        source=SeparateModels({model: f'{model}.onnx' for model in contents}),
        labels=labels,
        preprocessing=Preprocessing(resize, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        sub_networks=tuple(
            SubNetwork(
                id=f's{index}',
                configuration={'model': f'model_{index}'},
                size=size,
                accuracy=0.3 + 0.1 * index,  # A number to choose by, no more.
                multiply_adds=9 * size.height * size.width,
                parameters=9,
                layers=1,
            )
            for index, size in enumerate(sizes)
        ),
        task=task,
        accuracy_data='none: the accuracies are made up',
    )
    return write_bundle(folder, manifest, contents)


def scene(size: Size, *cells: tuple[int, int, str], cell: int = CELL) -> NDArray[np.uint8]:
    """
    Return a grey picture with coloured squares.

    :param cells: row and column of each, counted in squares, and its label
    :param cell: pixels of the picture, side of a square
    """
    pixels = np.full((*size, 3), 90, np.uint8)
    for row, column, label in cells:
        where = np.s_[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell]
        pixels[where] = (255, 0, 0) if label == 'red' else (0, 0, 255)
    return pixels
