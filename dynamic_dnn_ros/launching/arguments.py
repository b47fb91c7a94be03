# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The arguments of the launch files, each described once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Argument(NamedTuple):
    """An argument of a launch file; without a default it has to be given."""

    name: str
    default: str | None
    description: str


SYSTEM = (
    Argument('manager_namespace', '/dynamic_dnn', 'Namespace that all applications share'),
    Argument('platform', '', 'Board, e.g. "xavier_nx_simulated"; empty: as platform_node has it'),
    Argument('mode', '', '"control" or "advise"; empty: the default of manager_node'),
    Argument('manager', 'true', 'Start the manager node; false: another launch file does'),
    Argument('platform_node', 'true', 'Start the platform node; false: another launch file does'),
    Argument('params_file', '', 'YAML file of parameters, as config/robot.yaml; arguments win'),
    Argument('use_sim_time', 'false', 'Take the time from /clock'),
    Argument('respawn', 'true', 'Start a node again that has died'),
    Argument('log_level', 'info', 'Lowest severity that is logged'),
)
"""What concerns all nodes, or those of which there is one."""

EVERY_APPLICATION = (
    Argument('bundle', '', 'Folder or name of the bundle; empty: the default of inference_node'),
    Argument('engine', '', 'What runs the sub-networks; empty: the default of inference_node'),
    Argument('image_transport', 'raw', '"raw": sensor_msgs/Image; "compressed": JPEG or PNG'),
)
"""What an application has where nothing else is said of it."""

ONE_APPLICATION = (
    Argument('image', 'image', 'Image topic of the camera, without "/compressed"'),
    Argument('namespace', '', 'Namespace of the inference node, e.g. "front"'),
    Argument('sub_network', '', 'Id of the first sub-network; empty: the most accurate one'),
)
"""What a launch file of one application asks besides."""


def without(arguments: Iterable[Argument], *names: str) -> tuple[Argument, ...]:
    """Return the arguments but for those that are named."""
    return tuple(argument for argument in arguments if argument.name not in names)
