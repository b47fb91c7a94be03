# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Serve two cameras, /front and /rear: two applications under one manager, on one board."""

from pathlib import Path
import runpy

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

SHARED_ARGUMENTS = (
    'image_transport',
    'manager_namespace',
    'engine',
    'platform',
    'mode',
    'params_file',
    'use_sim_time',
    'respawn',
    'log_level',
)
"""Arguments that are handed on as they are; dynamic_dnn.launch.py describes them."""


def generate_launch_description() -> LaunchDescription:
    """Return two inference nodes, one manager node and one platform node."""
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, description in (*ARGUMENTS, *_shared_arguments())
            ),
            _application('front', with_manager=True),
            _application('rear', with_manager=False),
        ]
    )


def _shared_arguments() -> list[tuple[str, str, str]]:
    """Return name, default and description of the shared arguments."""
    included = runpy.run_path(str(Path(__file__).with_name('dynamic_dnn.launch.py')))
    return [row for row in included['ARGUMENTS'] if row[0] in SHARED_ARGUMENTS]


def _application(name: str, with_manager: bool) -> GroupAction:
    shared = {argument: LaunchConfiguration(argument) for argument in SHARED_ARGUMENTS}
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
