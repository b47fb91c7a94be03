# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which topics of a bag are played back, and which of them is the camera."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
SENSOR_PACKAGES = ('sensor_msgs', 'tf2_msgs')
NEVER_REPLAYED = (
    'dynamic_dnn_ros/msg/SubNetworkSwitch',
    'dynamic_dnn_ros/msg/DvfsSetting',
    'rosgraph_msgs/msg/Clock',  # the player itself publishes it
)


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


def choose_topics(recorded: Mapping[str, str], wanted: Sequence[str]) -> list[str]:
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
        return list(wanted)
    return [topic for topic, kind in recorded.items() if kind.split('/')[0] in SENSOR_PACKAGES]


def choose_image(recorded: Mapping[str, str], wanted: str) -> tuple[str, str]:
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
