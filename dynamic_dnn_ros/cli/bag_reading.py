# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Read messages of this package from bags, mcap or sqlite3. Needs no ROS."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from dynamic_dnn_ros.files import PACKAGE, share_folder


class BagError(ValueError):
    """A bag that cannot be read: what is wrong, and the remedy."""


@lru_cache(maxsize=1)
def message_store() -> Any:
    """Return the types of all messages that this package knows."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types: dict[str, Any] = {}
    for file in sorted((share_folder() / 'msg').glob('*.msg')):
        types.update(get_types_from_msg(file.read_text(), f'{PACKAGE}/msg/{file.stem}'))
    store.register(types)
    return store


def raw_messages(
    path: Path, names: Collection[str], store: Any
) -> Iterator[tuple[str, str, int, bytes]]:
    """
    Iterate over messages by the time of their recording: topic, type's name, time in ns, data.

    Topics are known by their types, so namespaces do not matter.

    :param names: of message types of this package that are wanted
    :raises BagError: when it is no bag, is not complete, or is damaged
    """
    if not path.exists():
        raise BagError('is not there. Give the folder that `ros2 bag record` wrote')
    if path.is_dir() and not (path / 'metadata.yaml').is_file():
        if any(path.glob('*.mcap')) or any(path.glob('*.db3')):
            raise BagError(
                'is not complete: it has no metadata.yaml, as its recording was cut off. '
                f'`ros2 bag reindex {path}` mends it'
            )
        raise BagError('is no bag. Give the folder that `ros2 bag record` wrote')
    types = {f'{PACKAGE}/msg/{name}': name for name in names}
    try:
        with AnyReader([path], default_typestore=store) as reader:
            connections = [c for c in reader.connections if c.msgtype in types]
            if not connections:
                return  # An empty list would mean all to rosbags.
            for connection, time, data in reader.messages(connections=connections):
                yield connection.topic, types[connection.msgtype], time, bytes(data)
    except Exception as error:  # A damaged bag raises errors of any type.
        raise BagError(
            f'cannot be read ({type(error).__name__}: {error}). Give the folder that `ros2 bag '
            'record` wrote; `ros2 bag reindex` mends one that was cut off'
        ) from error
