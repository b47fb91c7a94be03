# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a node does with a message before it reads it: its size is bounded, its bytes doubted."""

from __future__ import annotations

from typing import Any

from rclpy.serialization import deserialize_message

LARGEST_MESSAGE = 65_536
"""Bytes of a message whose type is not named below: a hundred times what nodes here send."""

LARGEST = {
    # 190,000 operating points of 83 bytes: three times what 12 sub-networks have on two processors
    # at all 2,250 settings of a Xavier NX.
    'Application': 16_000_000,
    # A report of each of many applications.
    'ManagerStatus': 1_000_000,
    'SystemLoad': 262_144,
}
"""Bytes of messages that may be larger."""


class UnreadableError(ValueError):
    """A message is too large to be read, or its bytes are none of its type."""


def decoded(data: bytes, message_type: type) -> Any:
    """
    Return a message from its bytes.

    :raises UnreadableError: naming the type, the problem and the remedy
    """
    name, largest = message_type.__name__, LARGEST.get(message_type.__name__, LARGEST_MESSAGE)
    if len(data) > largest:
        raise UnreadableError(
            f'A {name} of {len(data)} bytes is left out: {largest} are read. Look for its sender '
            "with 'ros2 topic info --verbose'."
        )
    try:
        return deserialize_message(data, message_type)
    except Exception as error:  # rclpy has no type of its own for it
        raise UnreadableError(
            f'A {name} of {len(data)} bytes cannot be decoded ({error}). Run the same release of '
            'this package on all computers.'
        ) from error
