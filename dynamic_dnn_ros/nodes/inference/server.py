# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Several inference nodes in one process, whose streams take turns on each processor."""

from __future__ import annotations

import argparse
from pathlib import Path
import sys

from rclpy.parameter import Parameter
from rclpy.utilities import remove_ros_args

from dynamic_dnn_ros.nodes.common.main import chosen_executor, run_all
from dynamic_dnn_ros.nodes.common.memory import reuse_large_blocks
from dynamic_dnn_ros.nodes.common.written_parameters import WrittenError
from dynamic_dnn_ros.nodes.inference.node import InferenceNode
from dynamic_dnn_ros.nodes.inference.node_list import ListedNode, read_nodes
from dynamic_dnn_ros.nodes.inference.serving_process import ServingProcess


def create_nodes(listed: tuple[ListedNode, ...]) -> list[InferenceNode]:
    """Return the nodes, unconfigured, in the order of the list; a context is to be there."""
    process = ServingProcess(shared=True)
    return [
        InferenceNode(
            process,
            namespace=node.namespace,
            cli_args=[
                '--ros-args',
                *('-r', f'__node:={node.name}'),
                *(
                    argument
                    for name, other in node.remappings.items()
                    for argument in ('-r', f'{name}:={other}')
                ),
            ],
            parameter_overrides=[
                Parameter(name, value=list(value) if isinstance(value, tuple) else value)
                for name, value in node.parameters.items()
            ],
        )
        for node in listed
    ]


def main() -> int:
    """Run the nodes of a list as a process."""
    parser = argparse.ArgumentParser(prog='inference_server', description=__doc__)
    parser.add_argument('nodes', type=Path, metavar='NODES.yaml', help='list of the nodes')
    reuse_large_blocks()
    path: Path = parser.parse_args(remove_ros_args(sys.argv)[1:]).nodes
    try:
        listed = read_nodes(path.expanduser())
    except WrittenError as error:
        print(f'inference_server: {error}', file=sys.stderr)
        return 1
    return run_all(lambda: create_nodes(listed), make_executor=chosen_executor)
