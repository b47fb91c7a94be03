# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One camera's frames on their way through an application."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import logging
import math
import threading
import time
from typing import Any, Protocol

from dynamic_dnn_ros.engines.contract import EngineError
from dynamic_dnn_ros.pictures.input import Preprocessing
from dynamic_dnn_ros.pictures.scaling import PictureError
from dynamic_dnn_ros.scheduling.contract import Job
from dynamic_dnn_ros.serving.exchange import Lender
from dynamic_dnn_ros.serving.frames import CameraFrame, ServedFrame, WorkerState
from dynamic_dnn_ros.serving.mailbox import Mailbox
from dynamic_dnn_ros.serving.passage import Passage
from dynamic_dnn_ros.serving.pipeline import Pipeline
from dynamic_dnn_ros.serving.stage_times import StageTimes
from dynamic_dnn_ros.tasks.contract import Limits, Task

_LOGGER = logging.getLogger(__name__)

#: A frame that may not be dropped runs, whatever a scheduler decides, once its stream has waited
#: for as many times as long as a result may take, and for at least so many seconds.
_PATIENCE, _SHORTEST_PATIENCE = 50.0, 2.0

#: s, and frames, for which a stream may be without a result before a late frame is served.
_LONGEST_WITHOUT, _FRAMES_WITHOUT = 1.0, 5.0

#: Share of the newest interval in the running mean of a camera's period.
_NEWEST = 0.1


@dataclass(frozen=True)
class Terms:
    """
    What a stream's target says of its frames.

    :param latency: s, from arrival to publication; None: it asks for none
    :param priority: 0..255, the higher is served first when not all can be on time
    :param droppable: whether a frame that can no longer be on time may be given up
    """

    latency: float | None = None
    priority: int = 0
    droppable: bool = False


class Host(Protocol):
    """What serves a stream, as the stream knows it."""

    def wake(self) -> None:
        """Look for frames."""

    @property
    def running_since(self) -> float | None:
        """Return since when the stage that runs now does so, s of `time.monotonic`, or None."""


@dataclass(eq=False)
class Head:
    """
    The frame of a stream that is next, and the job that a scheduler sees of it.

    A frame that replaces one that waited has its place: its job arrived when that one did.

    :param expected: s that its stages were expected to take so far
    :param overdue: whether it became late while it was parked
    """

    stream: FrameStream
    frame: CameraFrame
    job: Job
    expected: float = 0.0
    overdue: bool = False

    @property
    def passage(self) -> Passage:
        """Return the frame in work."""
        passage = self.stream.in_work
        assert passage is not None, 'it has begun'
        return passage

    def starves(self, now: float) -> bool:
        """Tell whether its stream has waited for so long that it runs next, at a time in s."""
        job = self.job
        allowed = job.deadline - self.frame.arrival
        patience = max(_SHORTEST_PATIENCE, _PATIENCE * allowed if allowed < math.inf else 0.0)
        return not job.droppable and now - job.last_run > patience


class FrameStream:
    """
    A camera's frames, the sub-network that serves them, and what became of them.

    It keeps the newest frame, and one in work besides. Frames are served in the order in which
    they arrived. A frame that fails costs that frame: it is counted, reported, and the stream goes
    on. So does a listener that fails, which is logged once for a series. `Server` serves it.
    """

    def __init__(
        self,
        name: str,
        lender: Lender,
        preprocessing: Preprocessing,
        task: Task[Any, Any],
        labels: Sequence[str],
        limits: Callable[[], Limits],
        stuck_after: float,
        reduced_decoding: bool,
        on_served: Callable[[ServedFrame], None],
        on_rejected: Callable[[CameraFrame, str], None],
        on_dropped: Callable[[CameraFrame], None] = lambda frame: None,
        times: StageTimes | None = None,
    ) -> None:
        """
        Create a stream that nobody serves yet.

        :param name: of its own among all that one server serves
        :param lender: has its sub-network for each frame
        :param preprocessing: of the bundle, as `task` and `labels` are
        :param limits: returns what a result may hold at most; asked with each frame
        :param stuck_after: s, after which a stage that does not end counts as stuck
        :param reduced_decoding: as for `pictures.scaling.fitted`
        :param on_served: called with each result, by the thread that serves
        :param on_rejected: called likewise with each frame that failed, and the reason
        :param on_dropped: called likewise with each frame that was given up as too late
        :param times: what stages take, one for all streams of a bundle; None: one of its own
        """
        self.name = name
        self.lender = lender
        self.times = StageTimes(name) if times is None else times
        #: May be exchanged at any time, from any thread.
        self.terms = Terms()
        self.mailbox: Mailbox[CameraFrame] = Mailbox()
        self.served = 0
        self.rejected = 0
        # Frames that the engine has failed on since it gave the last result.
        self.failures = 0
        self.dropped = 0
        #: Times that a frame in work was parked for one of another stream.
        self.parked = 0
        #: Frames that became late while they were parked.
        self.overdue = 0
        #: Exits passed because the confidence of an answer was not a number.
        self.undecided = 0
        #: s between two frames of the camera, running mean; 0: not known yet.
        self.period = 0.0
        self._last_arrival: float | None = None
        self._served_at = time.monotonic()
        # Arrival of the first frame that waits, which newer ones may have replaced.
        self._waits_since = 0.0
        self._pipeline = Pipeline(preprocessing, task, labels, limits, reduced_decoding)
        self._stuck_after = stuck_after
        self._on_served = on_served
        self._on_rejected = on_rejected
        self._on_dropped = on_dropped
        self._unheard = False
        self._state = (WorkerState.STOPPED, time.monotonic())
        self._head: Head | None = None
        # Who serves it keeps these.
        self.host: Host | None = None
        self.in_work: Passage | None = None
        self.leaving = False
        self.abandoned = False
        self.gone = threading.Event()

    # Who brings frames, and who looks

    def put(self, frame: CameraFrame) -> bool:
        """
        Leave a frame; may be called from any thread, of one stream from one at a time.

        :return: whether the processor is idle, so that work on the frame begins now
        """
        self._learn_period(frame.arrival)
        if self.mailbox.newest is None:
            self._waits_since = frame.arrival
        self.mailbox.put(frame)
        host = self.host
        if host is None:
            return False
        idle = host.running_since is None
        host.wake()
        return idle

    def state(self) -> tuple[WorkerState, float]:
        """
        Return what is done for the stream, and for how many seconds.

        It is stuck where its frame waits for a stage that does not end, also another stream's.
        """
        now = time.monotonic()
        state, since = self._state
        waits = state is WorkerState.BUSY or self.mailbox.newest is not None
        running = None if self.host is None else self.host.running_since
        if state is not WorkerState.STOPPED and waits and running is not None:
            if now - running > self._stuck_after:
                return WorkerState.STUCK, now - running
        return state, now - since

    # Who serves it

    @property
    def gives_up(self) -> bool:
        """Tell whether its target has late frames given up."""
        return self.terms.droppable and self.terms.latency is not None

    def may_drop(self, now: float) -> bool:
        """
        Tell whether its late frames may be given up, at a time in s.

        Not where none was served for a while: from one that is served late everybody learns what
        its stages really take, and whether another sub-network would be on time.
        """
        if not self.gives_up:
            return False
        longest = max(_LONGEST_WITHOUT, _FRAMES_WITHOUT * self.period)
        return now - self._served_at < longest

    def enter(self, host: Host) -> None:
        """Be served from now on."""
        self.host = host
        if self._state[0] is WorkerState.STOPPED:
            self._be(WorkerState.IDLE)

    def leave(self) -> None:
        """Be served no more."""
        self.host = None
        self._be(WorkerState.STOPPED)
        self.gone.set()

    def offer(self, now: float) -> Head | None:
        """Return the frame that is next, with its job as it is now, s; None: there is none."""
        passage = self.in_work
        frame = self.mailbox.newest if passage is None else passage.frame
        if frame is None:
            return None
        prepared = self.lender.serving if passage is None else passage.prepared
        work = self.times.work(prepared)
        head = self._head
        if head is None:
            head = self._head = Head(self, frame, Job(self.name, work, self._waits_since))
        head.frame = frame
        job, terms = head.job, self.terms
        job.work = work
        job.deadline = self._deadline(frame, terms)
        job.priority = terms.priority
        job.droppable = self.may_drop(now)
        if passage is not None and passage.is_parked and now > job.deadline and not head.overdue:
            head.overdue = True
            self.overdue += 1
        return head

    def begin(self, frame: CameraFrame) -> Passage | None:
        """Take a frame to work; None where it fails at once, which is told."""
        self._be(WorkerState.BUSY)
        try:
            self.in_work = Passage(self._pipeline, self.lender, frame)
        except Exception as error:  # pictures and engines fail in many ways
            self._reject(frame, error)
        return self.in_work

    def take_to_work(self, head: Head) -> Passage | None:
        """
        Return the frame in work, which is begun where none is.

        That is the one that was offered, or the one that has replaced it; None where there is
        none any more, or it fails at once, which is told.
        """
        if self.in_work is not None:
            return self.in_work
        frame = self.mailbox.take()
        if frame is None:
            return None
        job = head.job
        head.frame = frame
        job.deadline = self._deadline(frame, self.terms)
        passage = self.begin(frame)
        if passage is not None:
            job.work = self.times.work(passage.prepared)
        return passage

    def park(self) -> None:
        """Note that another stream's frame runs now."""
        if self.in_work is not None and not self.in_work.is_parked:
            self.in_work.park()
            self.parked += 1

    def finish(self) -> None:
        """Tell the result of the frame in work, whose path is at its end."""
        if self.abandoned:
            self.abandon()
            return
        passage, self.in_work = self.in_work, None
        assert passage is not None
        try:
            served, undecided = passage.finish()
        except Exception as error:
            self._reject(passage.frame, error)
            return
        self.undecided += undecided
        self.failures = 0
        self.served += 1
        self._served_at = time.monotonic()
        self._tell(self._on_served, served)
        self._rest()

    def fail(self, error: Exception) -> None:
        """Give up the frame in work, which an error ended."""
        if self.abandoned:
            self.abandon()
            return
        passage, self.in_work = self.in_work, None
        assert passage is not None
        passage.release()
        self._reject(passage.frame, error)

    def drop(self, head: Head) -> None:
        """Give a frame up as too late; not the one that has replaced it meanwhile."""
        passage = self.in_work
        if passage is not None:
            self.in_work = None
            passage.release()
        elif self.mailbox.take(head.frame) is None:
            return
        self.dropped += 1
        self._tell(self._on_dropped, head.frame)
        self._rest()

    def abandon(self) -> None:
        """Give up the frame in work, of which nobody wants to hear any more."""
        passage, self.in_work = self.in_work, None
        if passage is not None:
            passage.release()
            self.dropped += 1

    # The state

    def _learn_period(self, arrival: float) -> None:
        """Take one interval into the mean; a pause of the camera counts as two periods."""
        last, self._last_arrival = self._last_arrival, arrival
        if last is None:
            return
        interval, known = max(0.0, arrival - last), self.period
        if known:
            interval = known + _NEWEST * (min(interval, 2 * known) - known)
        self.period = interval

    def _be(self, state: WorkerState) -> None:
        self._state = (state, time.monotonic())

    def _rest(self) -> None:
        self._head = None
        self._be(WorkerState.IDLE)

    def _deadline(self, frame: CameraFrame, terms: Terms) -> float:
        """Return when a result has to be there; without a latency after the camera's period."""
        allowed = self.period if terms.latency is None else terms.latency
        return frame.arrival + (allowed or math.inf)

    def _reject(self, frame: CameraFrame, error: Exception) -> None:
        self.rejected += 1
        self.failures += isinstance(error, EngineError)
        known = isinstance(error, (PictureError, EngineError))
        reason = str(error) if known else f'{type(error).__name__}: {error}'
        self._tell(self._on_rejected, frame, reason)
        self._rest()

    def _tell(self, listener: Callable[..., None], *said: object) -> None:
        try:
            listener(*said)
        except Exception:
            if not self._unheard:
                _LOGGER.exception('A frame is lost: who was told of it failed')
            self._unheard = True
        else:
            self._unheard = False


def settle(heads: Sequence[Head], started: float) -> None:
    """
    Account for a stage that frames in work have run together, and tell results that are there.

    :param started: s, when the processor turned to it
    """
    passages = [head.passage for head in heads]
    for head, passage in zip(heads, passages):
        if passage.done:
            head.stream.finish()
    now = time.monotonic()
    frames, took = len(heads), now - started
    first, work = heads[0], heads[0].job.work
    stage = first.job.stage
    for head, passage in zip(heads, passages):
        job = head.job
        head.expected += work.times[stage][min(frames, work.largest_batch) - 1]
        job.stage = passage.stage
        job.spent += took
        job.last_run = now
        job.pace = job.spent / head.expected if head.expected > 0 else 1.0
    first.stream.times.took(passages[0].prepared, stage, frames, took)
