# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Serve the camera of a bag: replay its sensor topics to the three nodes, on the bag's time.

Only sensor topics are replayed, unless argument `topics` names others. Recorded switches and
settings are never replayed, whatever it names: they would contradict the running manager.
"""

from collections.abc import Mapping
from pathlib import Path

from launch import LaunchDescription, LaunchDescriptionEntity
from launch.actions import ExecuteProcess, Shutdown, TimerAction

from dynamic_dnn_ros.launching.actions import described, node_actions
from dynamic_dnn_ros.launching.arguments import (
    EVERY_APPLICATION,
    ONE_APPLICATION,
    SYSTEM,
    Argument,
    without,
)
from dynamic_dnn_ros.launching.bags import choose_image, choose_topics, recorded_topics
from dynamic_dnn_ros.launching.cameras import Camera
from dynamic_dnn_ros.launching.processes import is_true, number

OWN = (
    Argument('bag', None, 'Folder of the bag, with its metadata.yaml'),
    Argument('image', '', 'Image topic of the bag, without "/compressed"; empty: its first one'),
    Argument('topics', '', 'Topics to replay, separated by spaces; empty: the sensor topics'),
    Argument('rate', '1.0', 'Speed of the replay'),
    Argument('loop', 'false', 'Begin again at the end; false: the end of the bag ends the launch'),
    Argument('start_delay', '5.0', 'Seconds that the nodes are given to start before the replay'),
)
DECIDED = {'use_sim_time': 'true', 'manager': 'true', 'platform_node': 'true'}
"""What the bag decides on: its time is the only one that makes sense."""


def generate_launch_description() -> LaunchDescription:
    """Return the three nodes and the player."""
    arguments = without(
        (*EVERY_APPLICATION, *ONE_APPLICATION, *SYSTEM), 'image', 'image_transport', *DECIDED
    )
    return described((*OWN, *arguments), replay)


def replay(values: Mapping[str, str]) -> list[LaunchDescriptionEntity]:
    """Return the actions that the arguments come to."""
    bag = Path(values['bag']).expanduser()
    recorded = recorded_topics(bag)
    image, transport = choose_image(recorded, values['image'])
    topics = choose_topics(recorded, values['topics'].split())
    nodes = node_actions(
        {**values, **DECIDED, 'image_transport': transport}, [Camera(values['namespace'], image)]
    )
    player = ExecuteProcess(
        cmd=[
            *('ros2', 'bag', 'play', str(bag)),
            *('--clock', '100', '--rate', str(number('rate', values['rate']))),
            *(('--loop',) if is_true('loop', values['loop']) else ()),
            *('--topics', *topics),
        ],
        output='screen',
        on_exit=Shutdown(reason='the bag is at its end'),
    )
    delay = number('start_delay', values['start_delay'], zero=True)
    return [*nodes, TimerAction(period=delay, actions=[player])]
