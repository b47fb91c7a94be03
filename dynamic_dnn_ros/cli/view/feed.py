# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One message for all viewers, twice a second, and nothing while there is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
import json
import logging
import math
from typing import Any, Protocol

_LOGGER = logging.getLogger(__name__)

PERIOD = 0.5
"""Seconds between two messages."""

LINGER = 4.0
"""Seconds for which it listens on after the last viewer left: a page that loads anew is one."""

WAITING = 4
"""Messages that wait for a slow viewer at most; then it gets a whole one instead."""

MOST_VIEWERS = 16

FULL = f'{MOST_VIEWERS} pages are open already. Close one of them, then load this one anew.'


class Source(Protocol):
    """What is shown, see `Session`."""

    def open(self) -> None:
        """Begin to listen."""

    def close(self) -> None:
        """End listening."""

    def clock(self) -> float:
        """Return the present time, s."""

    def data(self, since: float, until: float) -> dict[str, Any]:
        """Return what is shown of a time in [since, until)."""


class Viewer:
    """Messages for one open page."""

    def __init__(self) -> None:
        """Begin with a whole message to come."""
        self.is_fresh = True
        self._waiting: asyncio.Queue[str] = asyncio.Queue(WAITING)

    @property
    def waiting(self) -> int:
        """Return how many messages wait."""
        return self._waiting.qsize()

    def put(self, text: str) -> None:
        """Add a message; a viewer who does not keep up loses all, and begins anew."""
        try:
            self._waiting.put_nowait(text)
        except asyncio.QueueFull:
            while not self._waiting.empty():
                self._waiting.get_nowait()
            self.is_fresh = True

    async def messages(self) -> AsyncIterator[str]:
        """Iterate over the messages as they come, for ever."""
        while True:
            yield await self._waiting.get()


class Feed:
    """Asks a source while there are viewers, in a thread, and hands each what it lacks."""

    def __init__(self, source: Source, linger: float = LINGER) -> None:
        """
        Begin without viewers.

        :param linger: s for which it listens on after the last viewer left
        """
        self._source = source
        self._linger = linger
        self._viewers: set[Viewer] = set()
        self._came = asyncio.Event()

    @property
    def viewers(self) -> int:
        """Return how many look."""
        return len(self._viewers)

    @property
    def is_full(self) -> bool:
        """Tell whether there are as many viewers as there may be."""
        return len(self._viewers) >= MOST_VIEWERS

    @contextmanager
    def viewer(self) -> Iterator[Viewer]:
        """Be a viewer for as long as the context lasts."""
        viewer = Viewer()
        self._viewers.add(viewer)
        self._came.set()
        try:
            yield viewer
        finally:
            self._viewers.discard(viewer)

    async def run(self) -> None:
        """Serve viewers until cancelled."""
        try:
            while True:
                await self._came.wait()
                await self._serve()
                self._came.clear()
                if not self._viewers:
                    await asyncio.to_thread(self._source.close)
        finally:
            self._source.close()

    async def _serve(self) -> None:
        """Listen until nobody has looked for a while."""
        loop = asyncio.get_running_loop()
        last = -math.inf
        empty_since: float | None = None
        while True:
            began = loop.time()
            try:
                if self._viewers:
                    await asyncio.to_thread(self._source.open)
                    last = await self._tick(last)
            except Exception as error:
                _LOGGER.exception('The page cannot be brought up to date')
                self._tell({'notice': f'This page cannot be brought up to date: {error}'})
            if self._viewers:
                empty_since = None
            elif empty_since is None:
                empty_since = began
            elif began - empty_since >= self._linger:
                return
            await asyncio.sleep(max(0.05, PERIOD - (loop.time() - began)))

    async def _tick(self, last: float) -> float:
        until = self._source.clock()
        fresh = [viewer for viewer in self._viewers if viewer.is_fresh]
        others = [viewer for viewer in self._viewers if not viewer.is_fresh]
        for viewers, since in ((fresh, -math.inf), (others, last)):
            if viewers:
                text = await asyncio.to_thread(self._text, since, until)
                for viewer in viewers:
                    viewer.is_fresh = False
                    viewer.put(text)
        return until

    def _text(self, since: float, until: float) -> str:
        return _dumped(self._source.data(since, until))

    def _tell(self, data: dict[str, Any]) -> None:
        for viewer in self._viewers:
            viewer.put(_dumped(data))


def _dumped(data: dict[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(',', ':'), allow_nan=False)
