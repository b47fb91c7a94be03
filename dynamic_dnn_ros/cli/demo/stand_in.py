# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A bundle of stand-ins: networks that compute nothing, in place of YOLOv8 n, s and m.

They show what the manager does with detectors that a user has not got at hand. On a simulated
board each takes the time that somebody measured for the network it stands for.
"""

from __future__ import annotations

from pathlib import Path

from dynamic_dnn_ros.bundles.manifest import (
    AccuracySource,
    Manifest,
    SeparateModels,
    SubNetwork,
    TaskChoice,
)
from dynamic_dnn_ros.bundles.writer import write_bundle
from dynamic_dnn_ros.pictures.input import Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.platforms.board_model import SIMULATED_SUFFIX, load_board
from dynamic_dnn_ros.platforms.contract import PlatformError
from dynamic_dnn_ros.profiling.measurements import board_profile, matched, read_table

#: Multiply-adds of one picture of 640 x 640 (half of the operations that the authors publish),
#: parameters, convolutions, and COCO AP 50:95 at that size: the authors' documentation.
NETWORKS = {
    'yolov8n': (4.35e9, 3_150_000, 64, 0.373),
    'yolov8s': (14.3e9, 11_200_000, 64, 0.449),
    'yolov8m': (39.45e9, 25_900_000, 84, 0.502),
}

#: Sides of the input, and the share of the accuracy at 640 that is *assumed* at each.
SHARES = {
    160: 0.55,
    320: 0.82,
    480: 0.95,
    640: 1.0,
    800: 1.0,
    960: 0.98,
    1120: 0.95,
    1280: 0.92,
}

#: What the table calls a simulated board, and what ran the networks there.
BOARDS = {
    'xavier_nx_simulated': ('XavierNX-8GB', 'tensorrt'),
    'orin_nano_simulated': ('OrinNano-8GB', 'tensorrt'),
}

DESCRIPTION = (
    'Stand-ins for YOLOv8 n, s and m that compute nothing and find nothing. Accuracies are given: '
    "the authors' at 640, assumed shares of them at other sizes."
)


def stand_in_bundle(folder: Path, table: Path, platform: str) -> Path:
    """
    Write the bundle, with a profile for a simulated board.

    :param table: latencies that others measured; see `profiling.measurements`
    :param platform: one of `BOARDS`
    :return: its folder
    :raises PlatformError: for a platform that the table is not of
    :raises MeasurementError: when the table lacks a network
    """
    if platform not in BOARDS:
        raise PlatformError(
            f'platform {platform!r}',
            'has no measured latencies of these networks'
            + ('' if platform.endswith(SIMULATED_SUFFIX) else ' that a stand-in could keep to'),
            f'Choose of: {", ".join(BOARDS)}',
        )
    sub_networks = tuple(
        SubNetwork(
            id=f'{name}_{side}',
            configuration={'model': name},
            size=Size(side, side),
            accuracy=round(accuracy * share, 3),
            multiply_adds=round(work * (side / 640) ** 2),
            parameters=parameters,
            layers=layers,
            accuracy_source=AccuracySource.GIVEN,
        )
        for name, (work, parameters, layers, accuracy) in NETWORKS.items()
        for side, share in SHARES.items()
    )
    manifest = Manifest(
        name='yolov8_stand_in',
        task=TaskChoice('detection', {'decoder': 'ultralytics_end_to_end', 'output': 'output0'}),
        labels=('object',),
        preprocessing=Preprocessing(Resize.LETTERBOX, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        source=SeparateModels(dict.fromkeys(NETWORKS, '')),
        sub_networks=sub_networks,
        description=DESCRIPTION,
        accuracy_data='given, not measured',
    )
    read = read_table(table)
    rows = matched(read, sub_networks, *BOARDS[platform])
    profile = board_profile(load_board(platform), platform, sub_networks, read, rows)
    content = nothing()
    # The models are told apart by their names alone; files of a bundle are told apart by theirs.
    written = write_bundle(folder, manifest, dict.fromkeys(NETWORKS, content), [profile])
    return written.folder


def nothing() -> bytes:
    """Return an ONNX model that takes a picture of any size and finds no object in it."""
    # An extra, and needed here only.
    import onnx
    from onnx import TensorProto, helper

    pictures = helper.make_tensor_value_info('pictures', TensorProto.UINT8, [1, 'h', 'w', 3])
    found = helper.make_tensor_value_info('output0', TensorProto.FLOAT, [1, 1, 6])
    empty = helper.make_tensor('empty', TensorProto.FLOAT, [1, 1, 6], [0.0] * 6)
    # The first element of the shape, times nothing: the input has to be used.
    nodes = [
        helper.make_node('Shape', ['pictures'], ['shape']),
        helper.make_node('Cast', ['shape'], ['sides'], to=TensorProto.FLOAT),
        helper.make_node('ReduceSum', ['sides'], ['sum'], keepdims=0),
        helper.make_node('Constant', [], ['zeros'], value=empty),
        helper.make_node('Mul', ['sum', 'zeros'], ['output0']),
    ]
    graph = helper.make_graph(nodes, 'stand_in', [pictures], [found])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content
