# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The newest picture of each application, bounded in rate, size and number."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
import io
import threading
import time
from typing import Any

from PIL import Image
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage

from dynamic_dnn_ros.nodes.common import qos

PERIOD = 0.25
"""Seconds between two pictures of an application, at least."""

LONGEST_SIDE = 640
"""Pixels of a picture as it is sent to viewers, at most."""

PLAIN_BYTES = 150_000
"""A JPEG that is no larger, and small enough in pixels, is sent as it came."""

MOST_BYTES = 16 << 20
"""A larger message is left alone."""

MOST_PIXELS = 50_000_000
"""A picture that declares more is left alone."""

QUALITY = 75


class PictureError(ValueError):
    """A picture cannot be shown. The text says why."""


def browser_picture(data: bytes) -> bytes:
    """
    Return a JPEG for the browser.

    :param data: a JPEG
    :raises PictureError: when it is none, is broken, or too large
    """
    try:
        with Image.open(io.BytesIO(data), formats=('JPEG',)) as picture:
            width, height = picture.size
            if width * height > MOST_PIXELS:
                raise PictureError(f'{width} x {height} pixels are too many to be shown')
            if max(picture.size) <= LONGEST_SIDE and len(data) <= PLAIN_BYTES:
                picture.load()
                return data
            picture.draft('RGB', (LONGEST_SIDE, LONGEST_SIDE))
            small = picture.convert('RGB')
            small.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    except PictureError:
        raise
    except Exception as error:  # whatever a decoder finds wrong
        raise PictureError(f'it cannot be read: {error}') from error
    file = io.BytesIO()
    small.save(file, 'JPEG', quality=QUALITY)
    return file.getvalue()


@dataclass
class _Slot:
    subscription: Any
    sequence: int = 0
    due: float = 0.0
    raw: bytes = b''
    shown: int = 0
    jpeg: bytes = b''
    lock: threading.Lock = field(default_factory=threading.Lock)


class Pictures:
    """
    Hears annotated pictures of applications while it is open.

    What comes is kept as it came, at most one of each application; it is decoded and encoded once,
    when the first viewer asks for it.
    """

    def __init__(self, node: Node, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Begin with no application.

        :param node: that hears; spun by somebody else
        """
        self._node = node
        self._clock = clock
        self._slots: dict[str, _Slot] = {}

    def follow(self, applications: Iterable[str]) -> None:
        """Hear these applications, and no others."""
        wanted = set(applications)
        for name in self._slots.keys() - wanted:
            self._node.destroy_subscription(self._slots.pop(name).subscription)
        for name in sorted(wanted - self._slots.keys()):
            slot = _Slot(None)
            self._slots[name] = slot
            slot.subscription = self._node.create_subscription(
                CompressedImage,
                f'{name}/annotated/compressed',
                self._taker(slot),
                qos.RESULT,
                raw=True,
            )

    def sequence(self, application: str) -> int:
        """Return the number of the newest picture; 0: there is none."""
        slot = self._slots.get(application)
        return slot.sequence if slot is not None else 0

    def newest(self, application: str) -> tuple[int, bytes]:
        """
        Return the newest picture with its number.

        :raises PictureError: when there is none, or it cannot be shown
        """
        slot = self._slots.get(application)
        if slot is None or not slot.sequence:
            raise PictureError('there is no picture yet')
        with slot.lock:
            sequence, raw = slot.sequence, slot.raw
            if slot.shown != sequence:
                message = deserialize_message(raw, CompressedImage)
                slot.jpeg = browser_picture(bytes(message.data))
                slot.shown = sequence
            return sequence, slot.jpeg

    def _taker(self, slot: _Slot) -> Callable[[bytes], None]:
        def take(raw: bytes) -> None:
            now = self._clock()
            if now >= slot.due and len(raw) <= MOST_BYTES:
                slot.due = now + PERIOD
                slot.raw = raw
                slot.sequence += 1

        return take
