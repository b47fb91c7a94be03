# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The newest picture of each application, bounded in rate, size and number."""

from __future__ import annotations

from collections.abc import Callable, Iterable
import functools
import io
import threading
import time
from typing import Any

from PIL import Image
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage

from dynamic_dnn_ros.cli.view.drawn import (
    LONGEST_SIDE,
    MOST_BYTES,
    QUALITY,
    DrawnPictures,
    Maker,
    camera_of,
)
from dynamic_dnn_ros.nodes.common import qos
from dynamic_dnn_ros.nodes.inference.images import SerialisedImage
from dynamic_dnn_ros.pictures.scaling import PictureError

PERIOD = 0.25
"""Seconds between two pictures of an application, at least."""

GRACE = 2.0
"""Seconds in which a node that draws pictures is found; then they are drawn here."""

PLAIN_BYTES = 150_000
"""A JPEG that is no larger, and small enough in pixels, is sent as it came."""

MOST_PIXELS = 50_000_000
"""A picture that declares more is left alone."""


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


def annotated_picture(raw: bytes) -> bytes:
    """
    Return an annotated picture for the browser.

    :param raw: a serialised `CompressedImage`
    :raises PictureError: as `browser_picture`
    """
    return browser_picture(bytes(SerialisedImage(raw, CompressedImage).picture().data))


class _Slot:
    """The newest picture of one application, and who brings it."""

    def __init__(self, topic: str, since: float) -> None:
        self.topic = topic
        self.since = since
        self.subscription: Any = None
        self.drawn: DrawnPictures | None = None
        self.sequence = 0
        self.due = 0.0
        self.lock = threading.Lock()
        self._maker: Maker | None = None
        self._made = 0
        self._jpeg = b''

    def give(self, maker: Maker) -> None:
        """Take a newer picture."""
        self._maker = maker
        self.sequence += 1

    def newest(self) -> tuple[int, bytes]:
        """
        Return the newest picture, made when it is first asked for.

        :raises PictureError: when it cannot be shown
        """
        with self.lock:
            sequence, maker = self.sequence, self._maker
            if maker is not None and self._made != sequence:
                self._jpeg = maker()
                self._made = sequence
            return sequence, self._jpeg


class Pictures:
    """
    Hears annotated pictures of applications while it is open.

    Where no node draws them, as in a replay, results are drawn here. What comes is kept as it
    came, at most one of each application; it is decoded and encoded once, when the first viewer
    asks for it.
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
            slot = self._slots.pop(name)
            self._node.destroy_subscription(slot.subscription)
            if slot.drawn is not None:
                slot.drawn.close()
        for name in sorted(wanted - self._slots.keys()):
            slot = _Slot(f'{name}/annotated/compressed', self._clock())
            self._slots[name] = slot
            slot.subscription = self._node.create_subscription(
                CompressedImage, slot.topic, self._taker(slot), qos.RESULT, raw=True
            )
        for name, slot in self._slots.items():
            self._draw_where_nobody_does(name, slot)

    def sequence(self, application: str) -> int:
        """Return the number of the newest picture; 0: there is none."""
        slot = self._slots.get(application)
        return slot.sequence if slot is not None else 0

    def newest(self, application: str) -> tuple[int, bytes]:
        """
        Return the newest picture as JPEG, with its number.

        :raises PictureError: when there is none, or it cannot be shown
        """
        slot = self._slots.get(application)
        if slot is None or not slot.sequence:
            raise PictureError('there is no picture yet')
        return slot.newest()

    def _draw_where_nobody_does(self, name: str, slot: _Slot) -> None:
        if self._node.count_publishers(slot.topic):
            if slot.drawn is not None:
                slot.drawn.close()
                slot.drawn = None
        elif slot.drawn is None and self._clock() - slot.since > GRACE:
            slot.since = self._clock()
            topics = [
                row
                for row in self._node.get_topic_names_and_types()
                if self._node.count_publishers(row[0])
            ]
            camera = camera_of(name, topics)
            if camera is not None:
                slot.drawn = DrawnPictures(
                    self._node, name, camera, slot.give, self._clock, PERIOD
                )

    def _taker(self, slot: _Slot) -> Callable[[bytes], None]:
        def take(raw: bytes) -> None:
            now = self._clock()
            if now >= slot.due and len(raw) <= MOST_BYTES:
                slot.due = now + PERIOD
                slot.give(functools.partial(annotated_picture, raw))

        return take
