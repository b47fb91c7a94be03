# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Serve one camera topic with a dynamic network: inference, manager and platform node."""

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import (
    EnvironmentVariable,
    LaunchConfiguration,
    PathJoinSubstitution,
)
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

PACKAGE = 'dynamic_dnn_ros'
RESPAWN_DELAY = 1.0

ARGUMENTS = (
    ('bundle', '', 'Folder of the bundle; empty: the default of inference_node'),
    ('image', 'image', 'Image topic of the camera, without "/compressed"'),
    ('image_transport', 'raw', '"raw": sensor_msgs/Image; "compressed": JPEG or PNG'),
    ('namespace', '', 'Namespace of the inference node, e.g. "front"'),
    ('manager_namespace', '/dynamic_dnn', 'Namespace that all applications of a robot share'),
    ('engine', '', 'What runs the sub-networks; empty: the default of inference_node'),
    ('sub_network', '', 'Id of the first sub-network; empty: the default of inference_node'),
    ('platform', '', 'Board, e.g. "xavier_nx_simulated"; empty: the default of platform_node'),
    ('mode', '', '"control" or "advise"; empty: the default of manager_node'),
    ('manager', 'true', 'Start the manager node; false: another launch file does'),
    ('platform_node', 'true', 'Start the platform node; false: another launch file does'),
    ('params_file', '', 'YAML file with further parameters of the nodes; arguments go over it'),
    ('use_sim_time', 'false', 'Take the time from /clock'),
    ('respawn', 'true', 'Start a node again that has died'),
    ('log_level', 'info', 'Lowest severity that is logged'),
)


def generate_launch_description() -> LaunchDescription:
    """Return the three nodes of one camera."""
    profile = PathJoinSubstitution(
        [FindPackageShare(PACKAGE), 'config', 'dds', 'shared_memory.xml']
    )
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, description in ARGUMENTS
            ),
            # The name changed from Fast DDS 2 to 3. What the user has set stays.
            *(
                SetEnvironmentVariable(name, EnvironmentVariable(name, default_value=profile))
                for name in ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
            ),
            OpaqueFunction(function=_nodes),
        ]
    )


def _nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    def given(*names: str) -> dict[str, ParameterValue]:
        """Return the arguments that are not empty: the others are left to the node."""
        values = {name: LaunchConfiguration(name).perform(context) for name in names}
        return {
            name: ParameterValue(value, value_type=str) for name, value in values.items() if value
        }

    params_file = LaunchConfiguration('params_file').perform(context)
    files = [params_file] if params_file else []
    sim_time = {
        'use_sim_time': ParameterValue(LaunchConfiguration('use_sim_time'), value_type=bool)
    }
    image = LaunchConfiguration('image').perform(context)
    common = {
        'package': PACKAGE,
        'output': 'screen',
        'respawn': LaunchConfiguration('respawn'),
        'respawn_delay': RESPAWN_DELAY,
        'ros_arguments': ['--log-level', LaunchConfiguration('log_level')],
    }
    return [
        Node(
            executable='inference_node',
            name='inference_node',
            namespace=LaunchConfiguration('namespace'),
            parameters=[
                *files,
                sim_time,
                given(
                    'manager_namespace',
                    'bundle',
                    'engine',
                    'image_transport',
                    'sub_network',
                ),
            ],
            remappings=[('image', image), ('image/compressed', f'{image}/compressed')],
            **common,
        ),
        Node(
            executable='manager_node',
            name='manager_node',
            namespace=LaunchConfiguration('manager_namespace'),
            parameters=[*files, sim_time, given('manager_namespace', 'mode')],
            condition=IfCondition(LaunchConfiguration('manager')),
            **common,
        ),
        Node(
            executable='platform_node',
            name='platform_node',
            namespace=LaunchConfiguration('manager_namespace'),
            parameters=[*files, sim_time, given('manager_namespace', 'platform')],
            condition=IfCondition(LaunchConfiguration('platform_node')),
            **common,
        ),
    ]
