# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The processes as actions of `launch`, which is imported where it is used alone.

A launch file is `return described(ARGUMENTS, make)`; `make` gets the values of the arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dynamic_dnn_ros.files import PACKAGE, share_folder
from dynamic_dnn_ros.launching.arguments import Argument
from dynamic_dnn_ros.launching.cameras import Serving
from dynamic_dnn_ros.launching.processes import NodeDescription, describe_nodes, is_true

if TYPE_CHECKING:
    from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

RESPAWN_DELAY = 1.0

PROFILE_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
"""The name changed from Fast DDS 2 to 3."""

Values = Mapping[str, str]


def described(
    arguments: Iterable[Argument], make: Callable[[Values], Sequence[LaunchDescriptionEntity]]
) -> LaunchDescription:
    """
    Return a launch description that declares arguments and starts what they come to.

    The DDS profile for images is set unless the user has set one.
    """
    from launch import LaunchDescription
    from launch.actions import (
        DeclareLaunchArgument,
        OpaqueFunction,
        SetEnvironmentVariable,
    )
    from launch.substitutions import EnvironmentVariable, LaunchConfiguration

    declared = tuple(arguments)
    profile = str(share_folder() / 'config' / 'dds' / 'shared_memory.xml')

    def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
        values = {
            argument.name: LaunchConfiguration(argument.name).perform(context)
            for argument in declared
        }
        return list(make(values))

    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(
                    argument.name,
                    default_value=argument.default,
                    description=argument.description,
                )
                for argument in declared
            ),
            *(
                SetEnvironmentVariable(name, EnvironmentVariable(name, default_value=profile))
                for name in PROFILE_VARIABLES
            ),
            OpaqueFunction(function=start),
        ]
    )


def node_actions(values: Values, serving: Sequence[Serving]) -> list[LaunchDescriptionEntity]:
    """
    Return the nodes of a system as actions.

    :param values: of all `arguments.SYSTEM`, and of those of applications that are declared
    """
    return [_action(values, node) for node in describe_nodes(values, serving)]


def _action(values: Values, node: NodeDescription) -> LaunchDescriptionEntity:
    from launch_ros.actions import Node

    params_file = values['params_file']
    parameters: list[Any] = [params_file] if params_file else []
    parameters.append(
        {
            'use_sim_time': is_true('use_sim_time', values['use_sim_time']),
            **{name: _parameter(value) for name, value in node.parameters.items()},
        }
    )
    return Node(
        package=PACKAGE,
        executable=node.executable,
        name=node.executable,
        namespace=node.namespace,
        parameters=parameters,
        remappings=list(node.remappings.items()),
        output='screen',
        respawn=is_true('respawn', values['respawn']),
        respawn_delay=RESPAWN_DELAY,
        ros_arguments=['--log-level', values['log_level']],
    )


def _parameter(value: Any) -> Any:
    """Keep text text: launch would make a number of a bundle that is called 2024."""
    from launch_ros.parameter_descriptions import ParameterValue

    return ParameterValue(value, value_type=str) if isinstance(value, str) else value
