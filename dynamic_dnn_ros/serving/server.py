# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Serves the streams of a process: those that compute on one processor take turns there."""

from __future__ import annotations

from collections.abc import Callable
import threading
import time

from dynamic_dnn_ros.scheduling.contract import Scheduler
from dynamic_dnn_ros.serving.processor_loop import ProcessorLoop
from dynamic_dnn_ros.serving.stream import FrameStream

#: Makes the scheduler of one processor.
MakeScheduler = Callable[[], Scheduler]


class Server:
    """
    Serves streams, which may be added and removed at any time, from any thread.

    There is a loop for each processor; a stream follows its sub-network from one to the other.
    """

    def __init__(self, scheduler: MakeScheduler | None = None) -> None:
        """
        Begin with no stream.

        :param scheduler: called for each processor; None: frames run to their ends in the order
            in which they arrived
        """
        self._lock = threading.Lock()
        self._scheduler = scheduler
        self._streams: dict[str, FrameStream] = {}
        self._loops: dict[str, ProcessorLoop] = {}

    @property
    def streams(self) -> tuple[FrameStream, ...]:
        """Return those that are served, in the order in which they were added."""
        with self._lock:
            return tuple(self._streams.values())

    def schedule(self, scheduler: MakeScheduler | None) -> None:
        """Have other schedulers decide from the next stage on; as for the constructor."""
        with self._lock:
            self._scheduler = scheduler
            for loop in self._loops.values():
                loop.schedule(None if scheduler is None else scheduler())

    def add(self, stream: FrameStream) -> None:
        """
        Serve a stream, whose lender has a sub-network.

        :raises ValueError: when another stream of that name is served
        """
        with self._lock:
            if stream.name in self._streams:
                raise ValueError(
                    f'a stream named {stream.name!r} is served already; give each its own name'
                )
            self._streams[stream.name] = stream
            self._loop(stream.lender.serving.processor).add(stream)

    def remove(self, stream: FrameStream, timeout: float) -> bool:
        """
        Finish the frame in work of a stream, and serve it no more.

        A frame that takes too long is abandoned: it counts as dropped, and its lease is given
        back as soon as its stage ends.

        :param timeout: s, to wait for that frame
        :return: whether it was finished
        """
        with self._lock:
            if self._streams.get(stream.name) is not stream:
                return True
            del self._streams[stream.name]
        stream.mailbox.close()
        stream.leaving = True
        self._wake(stream)
        if stream.gone.wait(timeout):
            return True
        stream.abandoned = True
        self._wake(stream)
        self._give_up(stream)
        return False

    def close(self, timeout: float) -> bool:
        """
        Serve no stream any more.

        :param timeout: s, to wait for the frames in work
        :return: whether all were finished
        """
        end = time.monotonic() + timeout
        finished = [
            self.remove(stream, max(0.0, end - time.monotonic())) for stream in self.streams
        ]
        with self._lock:
            loops, self._loops = self._loops, {}
        for loop in loops.values():
            loop.close(max(0.0, end - time.monotonic()))
        return all(finished)

    def _loop(self, processor: str) -> ProcessorLoop:
        if processor not in self._loops:
            scheduler = None if self._scheduler is None else self._scheduler()
            self._loops[processor] = ProcessorLoop(processor, scheduler, self._move).start()
        return self._loops[processor]

    def _move(self, stream: FrameStream, processor: str) -> None:
        with self._lock:
            self._loop(processor).add(stream)

    def _wake(self, stream: FrameStream) -> None:
        host = stream.host
        if host is not None:
            host.wake()

    def _give_up(self, stream: FrameStream) -> None:
        """Where a stage of a stream does not end, have another thread serve the others."""
        with self._lock:
            for processor, loop in list(self._loops.items()):
                others = loop.give_up(stream)
                if others is not None:
                    del self._loops[processor]
                    for other in others:
                        self._loop(processor).add(other)
