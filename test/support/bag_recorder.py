# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Records topics of a running graph into a bag, byte for byte as they came."""

from __future__ import annotations

from pathlib import Path
import threading
import time
from typing import Any

from rosbags.rosbag2 import StoragePlugin, Writer

from support.bag_player import message_class, type_store
from support.graph import ALL_LATCHED, RELIABLE, Graph

LATCHED_ENDINGS = ('/application', '/sub_network_switch', '/manager_inputs')
"""Of these a recorder asks for what writers keep for late joiners, as `ros2 bag record` does."""


class BagRecorder:
    """
    Writes a bag while its ``with`` block runs; the graph is spun by the test.

    :param path: of the bag's folder, which must not exist.
    :param topics: names with their types, e.g. ``{'/a': 'sensor_msgs/msg/Image'}``.
    """

    def __init__(
        self,
        graph: Graph,
        path: Path,
        topics: dict[str, str],
        storage: StoragePlugin = StoragePlugin.MCAP,
    ) -> None:
        self.graph = graph
        self.path = path
        self.topics = topics
        self.counts = dict.fromkeys(topics, 0)
        self._writer = Writer(path, version=9, storage_plugin=storage)
        self._lock = threading.Lock()
        self._subscriptions: list[Any] = []

    def __enter__(self) -> BagRecorder:
        """Open the bag and subscribe."""
        self._writer.open()
        store = type_store()
        for topic, message_type in self.topics.items():
            connection = self._writer.add_connection(topic, message_type, typestore=store)
            self._subscriptions.append(
                self.graph.node.create_subscription(
                    message_class(message_type),
                    topic,
                    lambda data, topic=topic, connection=connection: self._write(
                        topic, connection, data
                    ),
                    ALL_LATCHED if topic.endswith(LATCHED_ENDINGS) else RELIABLE,
                    raw=True,
                )
            )
        return self

    def _write(self, topic: str, connection: Any, data: bytes) -> None:
        with self._lock:
            self.counts[topic] += 1
            self._writer.write(connection, time.time_ns(), data)

    def missing(self) -> list[str]:
        """Return the topics of which nothing has come yet."""
        return [topic for topic, count in self.counts.items() if count == 0]

    def __exit__(self, *_: object) -> None:
        """Unsubscribe and close the bag."""
        for subscription in self._subscriptions:
            self.graph.node.destroy_subscription(subscription)
        self._writer.close()
