# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Record messages of a running graph as a bag (mcap) that ``ros2 bag`` reads."""

from __future__ import annotations

from pathlib import Path
import time

from ament_index_python.packages import get_package_share_directory
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

PACKAGE = 'dynamic_dnn_ros'


def message_type_name(message_type: type) -> str:
    """Return the name of a message type, e.g. `sensor_msgs/msg/Image`."""
    package, folder, *_ = message_type.__module__.split('.')
    return f'{package}/{folder}/{message_type.__name__}'


class BagWriter:
    """A bag in the making; a context manager."""

    def __init__(self, path: Path) -> None:
        """
        Create the bag.

        :raises ValueError: when the path exists already
        """
        if path.exists():
            raise ValueError(f'{path} exists already. Name a new folder for the recording.')
        self._types = get_typestore(Stores.ROS2_JAZZY)
        for file in sorted((Path(get_package_share_directory(PACKAGE)) / 'msg').glob('*.msg')):
            name = f'{PACKAGE}/msg/{file.stem}'
            self._types.register(get_types_from_msg(file.read_text(), name))
        # The older of the two formats: Humble reads it as well.
        self._writer = Writer(path, version=8, storage_plugin=StoragePlugin.MCAP)
        self._writer.open()

    def subscribe(self, node: Node, message_type: type, topic: str, profile: QoSProfile) -> None:
        """
        Record a topic from now on, byte for byte as the messages come.

        :param node: spun by the caller
        """
        connection = self._writer.add_connection(
            topic, message_type_name(message_type), typestore=self._types
        )
        # Raw, since rclpy would serialise a message with padding behind its end, at which rosbags
        # takes offence.
        node.create_subscription(
            message_type,
            topic,
            lambda data: self._writer.write(connection, time.time_ns(), data),
            profile,
            raw=True,
        )

    def close(self) -> None:
        """Complete the bag."""
        self._writer.close()

    def __enter__(self) -> BagWriter:
        """Return the recording."""
        return self

    def __exit__(self, *_: object) -> None:
        """Complete the bag, also after an error."""
        self.close()
