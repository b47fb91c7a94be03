# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Serve two cameras, /front and /rear: two applications under one manager, on one board."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

PACKAGE = 'dynamic_dnn_ros'

ARGUMENTS = (
    ('front_image', 'image', 'Image topic of the front camera, relative to /front'),
    ('rear_image', 'image', 'Image topic of the rear camera, relative to /rear'),
    ('front_bundle', '', 'Bundle of the front camera; empty: the default of inference_node'),
    ('rear_bundle', '', 'Bundle of the rear camera; empty: the default of inference_node'),
)

# Handed on as they are; dynamic_dnn.launch.py describes them.
SHARED_ARGUMENTS = (
    ('image_transport', 'raw', '"raw": sensor_msgs/Image; "compressed": JPEG or PNG'),
    ('manager_namespace', '/dynamic_dnn', 'Namespace that all applications of a robot share'),
    ('engine', '', 'What runs the sub-networks; empty: the default of inference_node'),
    ('platform', '', 'Board, e.g. "xavier_nx_simulated"; empty: the default of platform_node'),
    ('mode', '', '"control" or "advise"; empty: the default of manager_node'),
    ('params_file', '', 'YAML file with further parameters of the nodes; arguments go over it'),
    ('use_sim_time', 'false', 'Take the time from /clock'),
    ('respawn', 'true', 'Start a node again that has died'),
    ('log_level', 'info', 'Lowest severity that is logged'),
)


def generate_launch_description() -> LaunchDescription:
    """Return two inference nodes, one manager node and one platform node."""
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, description in (*ARGUMENTS, *SHARED_ARGUMENTS)
            ),
            _application('front', with_manager=True),
            _application('rear', with_manager=False),
        ]
    )


def _application(name: str, with_manager: bool) -> GroupAction:
    shared = {argument: LaunchConfiguration(argument) for argument, _, _ in SHARED_ARGUMENTS}
    own = {
        'namespace': name,
        'image': LaunchConfiguration(f'{name}_image'),
        'bundle': LaunchConfiguration(f'{name}_bundle'),
        'manager': str(with_manager),
        'platform_node': str(with_manager),
    }
    source = PythonLaunchDescriptionSource(
        PathJoinSubstitution([FindPackageShare(PACKAGE), 'launch', 'dynamic_dnn.launch.py'])
    )
    include = IncludeLaunchDescription(source, launch_arguments={**shared, **own}.items())
    # Scoped, so that the arguments of one camera do not become those of the other.
    return GroupAction([include])
