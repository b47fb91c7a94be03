# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Publishes the messages of a bag through rclpy, at their times or faster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
import time
from typing import Any

from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from support.graph import Graph
from support.shared_data import REPOSITORY

PACKAGE = 'dynamic_dnn_ros'


def type_store() -> Typestore:
    """Return the types of ROS 2 Jazzy, and this package's from its sources."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types: dict[str, Any] = {}
    for path in sorted((REPOSITORY / 'msg').glob('*.msg')):
        types.update(get_types_from_msg(path.read_text(), f'{PACKAGE}/msg/{path.stem}'))
    for path in sorted((REPOSITORY / 'srv').glob('*.srv')):
        for part, text in zip(('Request', 'Response'), path.read_text().split('\n---\n')):
            # A type that is named without a package is looked for beside the one that names it.
            parsed = get_types_from_msg(text, f'{PACKAGE}/msg/{path.stem}_{part}')
            types[f'{PACKAGE}/srv/{path.stem}_{part}'] = next(iter(parsed.values()))
    store.register(types)
    return store


def message_class(name: str) -> Any:
    """Return the class that rosidl generated for a type, e.g. ``sensor_msgs/msg/Image``."""
    # rosidl_runtime_py, which has this, is not among the wheels.
    package, kind, message = name.split('/')
    module = __import__(f'{package}.{kind}', fromlist=[message])
    return getattr(module, message)


@dataclass(frozen=True)
class RecordedMessage:
    """One message of a bag: its topic, type, time in nanoseconds, and CDR with its header."""

    topic: str
    message_type: str
    nanoseconds: int
    data: bytes


def read_bag(path: Path, topics: Sequence[str] | None = None) -> Iterator[RecordedMessage]:
    """Iterate over a bag (mcap or sqlite3) in the order of time; `topics` None: all."""
    with AnyReader([path], default_typestore=type_store()) as reader:
        connections = [c for c in reader.connections if topics is None or c.topic in topics]
        if not connections:
            return  # An empty list would mean all to rosbags.
        for connection, nanoseconds, data in reader.messages(connections=connections):
            yield RecordedMessage(connection.topic, connection.msgtype, nanoseconds, bytes(data))


def read_messages(path: Path, topics: Sequence[str] | None = None) -> Iterator[tuple[str, Any]]:
    """Iterate over a bag's topics and messages, deserialised by rosbags."""
    store = type_store()
    for record in read_bag(path, topics):
        yield record.topic, store.deserialize_cdr(record.data, record.message_type)


class BagPlayer:
    """
    Publishes messages of a bag into a graph.

    :param topics: which; None: all.
    :param remaps: other names for them in the graph.
    :param quality: quality of service by the name in the bag; otherwise reliable and volatile.
    """

    def __init__(
        self,
        graph: Graph,
        path: Path,
        topics: Sequence[str] | None = None,
        remaps: Mapping[str, str] | None = None,
        quality: Mapping[str, Any] | None = None,
    ) -> None:
        self.graph = graph
        self.records = list(read_bag(path, topics))
        self.publishers: dict[str, Any] = {}
        for record in self.records:
            if record.topic not in self.publishers:
                self.publishers[record.topic] = graph.publisher(
                    message_class(record.message_type),
                    (remaps or {}).get(record.topic, record.topic),
                    (quality or {}).get(record.topic),
                )

    def __len__(self) -> int:
        """Return the number of messages."""
        return len(self.records)

    def wait_for_subscriptions(self, node: str | None = None, timeout: float = 20.0) -> None:
        """
        Wait until every topic is heard.

        :param node: a lifecycle node that is to miss no message, best effort as it may be.
        :raises TimeoutError: when one is not in time.
        """
        for publisher in self.publishers.values():
            self.graph.wait_for_subscriptions(publisher, timeout=timeout)
        if node is not None:
            self.graph.wait_until_known(node, timeout)

    def play(
        self, rate: float = 1.0, count: int | None = None, after: int = 0
    ) -> Iterator[RecordedMessage]:
        """
        Publish messages at their times, and iterate over them as they go out.

        The graph is spun in between.

        :param rate: times faster than recorded; infinity: as fast as the caller iterates.
        :param after: how many to leave out at the start.
        """
        records = self.records[after : None if count is None else after + count]
        if not records:
            return
        first, start = records[0].nanoseconds, time.monotonic()
        for record in records:
            due = start + (record.nanoseconds - first) * 1e-9 / rate
            while (remaining := due - time.monotonic()) > 0:
                self.graph.spin_for(min(remaining, 0.01))
            self.publishers[record.topic].publish(record.data)
            yield record

    def play_after_results(
        self, answered: Callable[[], int], timeout: float = 20.0, count: int | None = None
    ) -> int:
        """
        Publish each message once the one before has been answered; return how many.

        :param answered: how many answers have come.
        :raises TimeoutError: when an answer does not come in time.
        """
        sent = 0
        base = answered()
        for record in self.play(rate=float('inf'), count=count):
            sent += 1
            self.graph.spin_until(
                lambda expected=base + sent: answered() >= expected,
                timeout,
                f'the answer to message {sent} of {record.topic}',
            )
        return sent
