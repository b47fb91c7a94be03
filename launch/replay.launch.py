# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Serve the camera of a bag: replay its sensor topics to the three nodes, on the bag's time.

Only sensor topics are replayed, unless argument `topics` names others. Recorded switches and
settings are never replayed, whatever it names: they would contradict the running manager.
"""

from pathlib import Path
import runpy

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    Shutdown,
    TimerAction,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare
import yaml

PACKAGE = 'dynamic_dnn_ros'
IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
SENSOR_PACKAGES = ('sensor_msgs', 'tf2_msgs')
NEVER_REPLAYED = (
    'dynamic_dnn_ros/msg/SubNetworkSwitch',
    'dynamic_dnn_ros/msg/DvfsSetting',
    'rosgraph_msgs/msg/Clock',  # the player itself publishes it
)

ARGUMENTS = (
    ('bag', None, 'Folder of the bag, with its metadata.yaml'),
    ('image', '', 'Image topic of the bag, without "/compressed"; empty: its first one'),
    ('topics', '', 'Topics to replay, separated by spaces; empty: the sensor topics'),
    ('rate', '1.0', 'Speed of the replay'),
    ('loop', 'false', 'Begin again at the end; false: the end of the bag ends the launch'),
    ('start_delay', '5.0', 'Seconds that the nodes are given to start before the replay'),
)

SHARED_ARGUMENTS = (
    'bundle',
    'namespace',
    'manager_namespace',
    'engine',
    'sub_network',
    'platform',
    'mode',
    'params_file',
    'respawn',
    'log_level',
)
"""Arguments that are handed on as they are; dynamic_dnn.launch.py describes them."""


def generate_launch_description() -> LaunchDescription:
    """Return the three nodes and the player."""
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, description in (*ARGUMENTS, *_shared_arguments())
            ),
            OpaqueFunction(function=_replay),
        ]
    )


def _shared_arguments() -> list[tuple[str, str, str]]:
    """Return name, default and description of the shared arguments."""
    included = runpy.run_path(str(Path(__file__).with_name('dynamic_dnn.launch.py')))
    return [row for row in included['ARGUMENTS'] if row[0] in SHARED_ARGUMENTS]


def recorded_topics(bag: Path) -> dict[str, str]:
    """
    Return the type of each recorded topic.

    :raises RuntimeError: when the bag has no readable metadata
    """
    try:
        information = yaml.safe_load((bag / 'metadata.yaml').read_text())
        rows = information['rosbag2_bagfile_information']['topics_with_message_count']
        return {row['topic_metadata']['name']: row['topic_metadata']['type'] for row in rows}
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise RuntimeError(
            f'bag {bag} has no readable metadata.yaml ({error}). Name the folder of the bag; '
            '`ros2 bag reindex` writes a lost metadata.yaml anew.'
        ) from error


def choose_topics(recorded: dict[str, str], wanted: list[str]) -> list[str]:
    """
    Return the topics to replay.

    :param recorded: type of each recorded topic
    :param wanted: named by the user; empty: the sensor topics
    :raises RuntimeError: when a topic is not recorded, or is never replayed
    """
    for topic in wanted:
        if topic not in recorded:
            raise RuntimeError(
                f'the bag has no topic {topic}. Choose from: {", ".join(sorted(recorded))}.'
            )
        if recorded[topic] in NEVER_REPLAYED:
            raise RuntimeError(
                f'{topic} is of type {recorded[topic]}, which is never replayed: it would '
                'contradict the running nodes. Leave it out of the argument topics.'
            )
    if wanted:
        return wanted
    return [topic for topic, kind in recorded.items() if kind.split('/')[0] in SENSOR_PACKAGES]


def choose_image(recorded: dict[str, str], wanted: str) -> tuple[str, str]:
    """
    Return the image topic, without "/compressed", and its transport.

    :param recorded: type of each recorded topic
    :param wanted: named by the user; empty: the first one
    :raises RuntimeError: when there is none
    """
    for topic, kind in recorded.items():
        base = topic[: -len('/compressed')] if topic.endswith('/compressed') else topic
        if kind == IMAGE and wanted in ('', topic):
            return topic, 'raw'
        if kind == COMPRESSED_IMAGE and topic != base and wanted in ('', base, topic):
            return base, 'compressed'
    raise RuntimeError(
        f'the bag has no image topic{" " + wanted if wanted else ""}: neither {IMAGE} nor '
        f'{COMPRESSED_IMAGE} ending in "/compressed". Recorded: {", ".join(sorted(recorded))}.'
    )


def _replay(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    def argument(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    bag = Path(argument('bag')).expanduser()
    recorded = recorded_topics(bag)
    image, transport = choose_image(recorded, argument('image'))
    topics = choose_topics(recorded, argument('topics').split())
    loop = argument('loop').lower() in ('true', '1')
    source = PythonLaunchDescriptionSource(
        PathJoinSubstitution([FindPackageShare(PACKAGE), 'launch', 'dynamic_dnn.launch.py'])
    )
    nodes = IncludeLaunchDescription(
        source,
        launch_arguments={
            **{name: LaunchConfiguration(name) for name in SHARED_ARGUMENTS},
            'image': image,
            'image_transport': transport,
            'use_sim_time': 'true',
        }.items(),
    )
    player = ExecuteProcess(
        cmd=[
            *('ros2', 'bag', 'play', str(bag)),
            *('--clock', '100', '--rate', argument('rate')),
            *(('--loop',) if loop else ()),
            *('--topics', *topics),
        ],
        output='screen',
        on_exit=Shutdown(reason='the bag is at its end'),
    )
    return [nodes, TimerAction(period=float(argument('start_delay')), actions=[player])]
