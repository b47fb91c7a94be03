# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The one thread in which streams take turns on a processor, one stage at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import math
import threading
import time

from dynamic_dnn_ros.scheduling.contract import Drop, Job, Scheduler, Wait
from dynamic_dnn_ros.serving.overruling import OverruledScheduler
from dynamic_dnn_ros.serving.passage import advance_together
from dynamic_dnn_ros.serving.stream import FrameStream, Head, settle


class ProcessorLoop:
    """
    Serves streams on one processor.

    A stream that is alone there has each frame run in one go, as long as the frame may not be
    dropped. Where there are several, the scheduler is asked before each stage: the frame in work
    of each, or its newest one. Frames that wait behind those are not offered, so what is parked
    is at most one frame a stream.
    """

    def __init__(
        self,
        processor: str,
        scheduler: Scheduler | None,
        move: Callable[[FrameStream, str], None],
    ) -> None:
        """
        Begin without streams; `start` starts the thread.

        :param scheduler: None: frames run to their ends in the order in which they arrived
        :param move: called with a stream whose sub-network computes on another processor now
        """
        self.processor = processor
        self._scheduler = OverruledScheduler(scheduler)
        self._move = move
        self._condition = threading.Condition()
        self._woken = False
        self._closed = False
        # Replaced as a whole, under the lock, so that the thread reads them without it.
        self._streams: tuple[FrameStream, ...] = ()
        self._running: tuple[FrameStream, ...] = ()
        self._running_since: float | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> ProcessorLoop:
        """Begin to serve."""
        name = f'serve {self.processor}'
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()
        return self

    # From other threads

    @property
    def running_since(self) -> float | None:
        """Return since when the stage that runs now does so, s of `time.monotonic`, or None."""
        return self._running_since

    def schedule(self, scheduler: Scheduler | None) -> None:
        """Have another scheduler decide from the next stage on."""
        self._scheduler = OverruledScheduler(scheduler)
        self.wake()

    def wake(self) -> None:
        """Look for frames."""
        with self._condition:
            self._woken = True
            self._condition.notify()

    def add(self, stream: FrameStream) -> None:
        """Serve a stream besides."""
        stream.enter(self)
        with self._condition:
            self._streams += (stream,)
            self._woken = True
            self._condition.notify()

    def close(self, timeout: float) -> None:
        """End once the last stream has gone; wait for that, `timeout` in seconds."""
        self._closed = True
        self.wake()
        if self._thread is not None:
            self._thread.join(timeout)

    def give_up(self, stream: FrameStream) -> tuple[FrameStream, ...] | None:
        """
        End, where a stage of a stream does not; return the streams to be served elsewhere.

        None where no stage of that stream runs.
        """
        with self._condition:
            if stream not in self._running:
                return None
            others = tuple(each for each in self._streams if each not in self._running)
            self._streams = self._running
            self._closed = True
            return others

    # The thread

    def _work(self) -> None:
        while True:
            until = self.turn(time.monotonic())
            if self._closed and not self._streams:
                return
            if until is not None:
                self._sleep(until)

    def _sleep(self, until: float) -> None:
        with self._condition:
            if not self._woken:
                now = time.monotonic()
                self._condition.wait(None if until == math.inf else max(0.0, until - now))
            self._woken = False

    def _see_off(self) -> None:
        """Let those go that are to be served no more."""
        for stream in self._streams:
            if stream.leaving and (stream.in_work is None or stream.abandoned):
                stream.abandon()
                self._remove(stream)
                stream.leave()

    def _remove(self, stream: FrameStream) -> None:
        with self._condition:
            self._streams = tuple(each for each in self._streams if each is not stream)

    def turn(self, now: float) -> float | None:
        """
        Do what is next; return None, or until when there is nothing to be done, s.

        :param now: s of `time.monotonic`
        """
        self._see_off()
        streams = self._streams
        # Where frames are given up, what the others take is to be learnt.
        if len(streams) == 1 and not streams[0].gives_up and streams[0].in_work is None:
            return self._serve_alone(streams[0])
        heads = [head for head in (self._head(stream, now) for stream in streams) if head]
        if not heads:
            return math.inf
        heads.sort(key=lambda head: head.job.arrival)
        starving = [head for head in heads if head.starves(now)]
        if starving:
            self._run(starving[:1])
            return None
        decision = self._scheduler.next(now, tuple(head.job for head in heads))
        if isinstance(decision, Wait):
            return decision.until
        chosen = [_of(heads, job) for job in decision.jobs]
        if isinstance(decision, Drop):
            for head in chosen:
                head.stream.drop(head)
        else:
            self._run(chosen)
        return None

    def _serve_alone(self, stream: FrameStream) -> float | None:
        """Serve the only stream without asking anybody."""
        if stream.mailbox.newest is None:
            return math.inf
        if self._moved(stream):
            return None
        frame = stream.mailbox.take()
        if frame is None:
            return math.inf
        self._enter((stream,))
        passage = stream.begin(frame)
        if passage is not None:
            try:
                passage.run()
            except Exception as error:  # an engine's own errors are of any type
                stream.fail(error)
            else:
                stream.finish()
        self._enter(())
        return None

    def _moved(self, stream: FrameStream) -> bool:
        """Hand a stream over where its sub-network computes on another processor now."""
        processor = stream.lender.serving.processor
        if processor == self.processor:
            return False
        self._remove(stream)
        self._move(stream, processor)
        return True

    def _head(self, stream: FrameStream, now: float) -> Head | None:
        """Return the frame of a stream that is next, with its job as it is now."""
        if stream.in_work is None:
            if stream.mailbox.newest is None or self._moved(stream):
                return None
        return stream.offer(now)

    def _run(self, chosen: Sequence[Head]) -> None:
        """Run the next stage of some frames, from preprocessing on where it is their first."""
        running = tuple(head.stream for head in chosen)
        for other in self._streams:
            if other not in running:
                other.park()
        self._enter(running)
        if len(chosen) == 1:
            self._run_alone(chosen[0])
        else:
            self._run_together(chosen)
        self._enter(())

    def _run_alone(self, head: Head) -> bool:
        """Run one frame; tell whether it went well."""
        started = time.monotonic()
        passage = head.stream.take_to_work(head)
        if passage is None:
            return False
        try:
            passage.advance()
        except Exception as error:  # an engine's own errors are of any type
            head.stream.fail(error)
            return False
        settle((head,), started)
        return True

    def _run_together(self, chosen: Sequence[Head]) -> None:
        """Run frames as a batch; one by one where that fails, or a switch came in between."""
        started = time.monotonic()
        begun = [head for head in chosen if head.stream.take_to_work(head) is not None]
        passages = [head.passage for head in begun]
        if len({id(passage.prepared) for passage in passages}) != 1:
            for head in begun:
                self._run_alone(head)
            return
        try:
            advance_together(passages)
        except Exception as error:  # an engine's own errors are of any type
            went_well = [self._run_alone(head) for head in begun]
            # Where one of them fails alone too, the batch is not to blame.
            if all(went_well):
                begun[0].stream.times.halve(passages[0].prepared, len(passages), error)
        else:
            settle(begun, started)

    def _enter(self, running: tuple[FrameStream, ...]) -> None:
        with self._condition:
            self._running = running
            self._running_since = time.monotonic() if running else None


def _of(heads: Sequence[Head], job: Job) -> Head:
    return next(head for head in heads if head.job is job)
