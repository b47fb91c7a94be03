# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A node that gave way to another one waits until that is silent."""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import Any, NamedTuple, Protocol

from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from rclpy.timer import Timer

SILENCE = 5.0
"""Seconds without a word of the other one after which it has ended: it speaks once a second."""

LOOK = 1.0
"""Seconds between two looks."""


class Sign(NamedTuple):
    """By which messages the other one is known: `is_its` tells whether one is."""

    message_type: type
    topic: str
    profile: QoSProfile
    is_its: Callable[[Any], bool]


class Listener(Protocol):
    """What a node has for this."""

    def create_checked_subscription(
        self, message_type: type, topic: str, callback: Callable[[Any], None], profile: QoSProfile
    ) -> Subscription:
        """Subscribe to a topic."""

    def create_steady_timer(self, period: float, callback: Callable[[], None]) -> Timer:
        """Create a timer on the monotonic clock."""

    def destroy_subscription(self, subscription: Subscription) -> bool:
        """Listen no more."""

    def destroy_timer(self, timer: Timer) -> bool:
        """Look no more."""


class Waiting:
    """Calls something once, when the other one is silent; until then it may be cancelled."""

    def __init__(self, node: Listener, sign: Sign, ended: Callable[[], None]) -> None:
        """Begin to wait; the other one was heard right now."""
        self._node = node
        self._sign = sign
        self._ended = ended
        self._heard = self._looked = time.monotonic()
        self._subscription = node.create_checked_subscription(
            sign.message_type, sign.topic, self._on_message, sign.profile
        )
        self._timer = node.create_steady_timer(LOOK, self._look)

    def cancel(self) -> None:
        """Wait no more."""
        self._timer.cancel()
        self._node.destroy_timer(self._timer)
        self._node.destroy_subscription(self._subscription)

    def _on_message(self, message: Any) -> None:
        if self._sign.is_its(message):
            self._heard = time.monotonic()

    def _look(self) -> None:
        now = time.monotonic()
        paused, self._looked = now - self._looked > SILENCE / 2, now
        if paused:
            # This process was stopped: who was not heard meanwhile was not silent.
            self._heard = now
        if now - self._heard > SILENCE:
            self.cancel()
            self._ended()
