# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parts of an inference node by themselves: a bare node, and results without a camera."""

from __future__ import annotations

from typing import Any

import numpy as np
from rclpy.parameter import Parameter
from std_msgs.msg import Header

from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.contract import Engine
from dynamic_dnn_ros.nodes.common.lifecycle import ManagedNode
from dynamic_dnn_ros.nodes.inference.parameters import PARAMETERS
from dynamic_dnn_ros.nodes.inference.served_bundle import ServedBundle
from dynamic_dnn_ros.pictures.placement import Placement, Size
from dynamic_dnn_ros.pictures.scaling import RawPicture
from dynamic_dnn_ros.serving.frames import CameraFrame, ServedFrame
from dynamic_dnn_ros.tasks.classification import softmax
from dynamic_dnn_ros.tasks.contract import ClassScores
from support.graph import Graph


class ServingNode(ManagedNode):
    """A node with the parameters of an inference node, and nothing else of it."""

    PARAMETERS = PARAMETERS


def serving_node(graph: Graph, **parameters: Any) -> ServingNode:
    """Return such a node, unconfigured; the graph spins it."""
    node = ServingNode(
        'inference_node',
        context=graph.context,
        parameter_overrides=[Parameter(name, value=value) for name, value in parameters.items()],
    )
    graph.add_node(node)
    return node


def serve(bundle: Bundle, engine: Engine, first: str = 's0') -> ServedBundle:
    """Return a bundle that is served by an engine; its `exchange` is to be closed."""
    served = ServedBundle(bundle, engine, None, True, lambda *_: None, lambda *_: None)
    served.processor = engine.processors[0]
    served.begin(first)
    return served


def served_frame(arrival: float, **changes: Any) -> ServedFrame:
    """Return the result of a grey picture of a camera named ``front``."""
    picture = RawPicture('mono8', 2, 2, 2, bytes(4))
    values: dict[str, Any] = {
        'frame': CameraFrame(picture, arrival, (Header(frame_id='front'), 0.002)),
        'sub_network': 's1',
        'processor': 'cpu',
        'result': ClassScores(softmax(np.arange(10, dtype=np.float32))),
        'placement': Placement(Size(2, 2), Size(2, 2), (1.0, 1.0), (0.0, 0.0)),
        'waiting': 0.001,
        'preprocessing': 0.003,
        'inference': 0.005,
        'decoding': 0.0001,
        'remarks': None,
    }
    return ServedFrame(**{**values, **changes})
