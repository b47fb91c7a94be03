# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Make a frame last as long as it would on a simulated board.

All of it lies around the engine: whoever serves frames takes a `PacedLender` for an exchange, and
sub-networks that run as long as the board's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
import math
import threading
import time

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.stages import work_of
from dynamic_dnn_ros.engines.contract import Execution, Outputs, Picture, PreparedSubNetwork
from dynamic_dnn_ros.serving.exchange import Lender


@dataclass(frozen=True)
class BoardWork:
    """
    What one frame costs on the board, by its model.

    `latency` in seconds, preprocessing and inference together; `busy` the seconds for which it
    keeps each frequency domain busy.
    """

    latency: float
    busy: Mapping[str, float]


#: Share of its duration by which a frame may be late and still count as the board's.
TOLERANCE = 0.05

#: Times by which an application runs slower at most: 32 that share a processor evenly.
LARGEST_SLOW_DOWN = 32.0

#: s that a frame is held back at most; what is longer comes of figures that make no sense.
LONGEST_FRAME = 10.0

#: The work of a sub-network, on a processor, at frequencies in Hz.
BoardModel = Callable[[SubNetwork, str, Mapping[str, float]], BoardWork]


@dataclass(frozen=True)
class BoardState:
    """
    What the simulated platform says of the board now.

    `frequencies` granted, Hz a domain; `slow_down` by which this application runs slower than
    the board model alone says (contention, throttling, the model's own bias).
    """

    frequencies: Mapping[str, float] = field(default_factory=dict)
    slow_down: float = 1.0


@dataclass(frozen=True)
class PacedFrame:
    """
    A frame that was held back until the board would have been done with it.

    `overrun` tells that this machine took longer than the board would have, by more than
    `TOLERANCE`, or that the board's state was not known yet or makes no sense: then the frame is
    no figure of the board. `busy` as in `BoardWork`;
    what contention adds to the latency keeps nothing busy. `end` in s of `time.monotonic`.
    """

    overrun: bool
    busy: Mapping[str, float]
    end: float = -math.inf


class Pacer:
    """Holds a result back until the simulated board would have had it."""

    def __init__(
        self,
        board: BoardModel,
        jitter: Callable[[], float],
        work: Callable[[SubNetwork, int], float] = lambda entry, stage: entry.stages[stage].work,
    ) -> None:
        """
        Pace one application.

        :param jitter: draws the factor by which one frame departs from the model, about 1
        :param work: returns the share of the largest path's cost after a stage, by its number
        """
        self.work = work
        self._board = board
        self._jitter = jitter
        self._lock = threading.Lock()
        self._state: BoardState | None = None

    def update(self, state: BoardState) -> None:
        """
        Take over what the platform says of the board; may be called from any thread.

        A slow-down is bounded, so that one message that makes no sense costs a moment.
        """
        slow_down = state.slow_down if state.slow_down > 0 else 1.0
        state = replace(state, slow_down=min(slow_down, LARGEST_SLOW_DOWN))
        with self._lock:
            self._state = state

    def jitter(self) -> float:
        """Draw the factor by which a frame departs from the model."""
        return self._jitter()

    def pace(
        self,
        started: float,
        sub_network: SubNetwork,
        processor: str,
        work: float = 1.0,
        jitter: float | None = None,
    ) -> PacedFrame:
        """
        Wait until the frame that was begun at `started` would be so far on the board.

        :param started: s, of `time.monotonic`
        :param work: share of the largest path's cost that was done, 0..1; of several pictures
            the sum
        :param jitter: that was drawn for this frame; None: it is drawn now
        """
        with self._lock:
            state = self._state
        if state is None:
            return PacedFrame(True, {}, time.monotonic())
        frequencies = state.frequencies
        if not all(0 < hertz < math.inf for hertz in frequencies.values()):
            return PacedFrame(True, {}, time.monotonic())
        whole = self._board(sub_network, processor, frequencies)
        part = work * (self._jitter() if jitter is None else jitter)
        busy = {domain: seconds * part for domain, seconds in whole.busy.items()}
        duration = whole.latency * part * state.slow_down
        remaining = started + duration - time.monotonic()
        if remaining > LONGEST_FRAME:
            return PacedFrame(True, busy, time.monotonic())
        if remaining > 0:
            time.sleep(remaining)
        # A machine that is busy with other things may also wake this thread too late.
        end = time.monotonic()
        late = end - started - duration
        return PacedFrame(late > TOLERANCE * duration, busy, end)


class _PacedSubNetwork(PreparedSubNetwork):
    """
    A sub-network for one frame, whose run ends when the board would have been done.

    It takes no batches: the board models know of no gain by them.
    """

    def __init__(
        self, prepared: PreparedSubNetwork, pacer: Pacer, processor: str, started: float
    ) -> None:
        super().__init__(prepared.sub_network, processor)
        self.stages = prepared.stages
        self._prepared = prepared
        self._pacer = pacer
        self._started = started
        self._paced: PacedFrame | None = None
        self._taken: list[int] = []

    @property
    def memory(self) -> int:
        return self._prepared.memory

    @property
    def remarks(self) -> PacedFrame | None:
        return self._paced

    def run(self, picture: Picture) -> Outputs:
        outputs = self._prepared.run(picture)
        self._paced = self._pacer.pace(self._started, self.sub_network, self.processor)
        return outputs

    def begin(self, picture: Picture) -> Execution:
        if len(self.stages) == 1:
            return super().begin(picture)
        execution = self._prepared.begin(picture)
        return _PacedExecution(execution, self._hold, self._postpone, self._pacer.jitter())

    def _postpone(self, parked: float) -> None:
        """Count as begun that much later: the board did something else meanwhile."""
        self._started += parked

    def _hold(self, stage: int, jitter: float) -> None:
        self._taken.append(stage)
        stages = self.sub_network.stages
        if stages[stage].cost is None:
            work = self._pacer.work(self.sub_network, stage)
        else:
            work = work_of(stages, self._taken)
        self._paced = self._pacer.pace(
            self._started, self.sub_network, self.processor, work, jitter
        )


class _PacedExecution(Execution):
    """A picture each of whose stages ends when the board would have been done with it."""

    def __init__(
        self,
        execution: Execution,
        hold: Callable[[int, float], None],
        postpone: Callable[[float], None],
        jitter: float,
    ) -> None:
        self._execution = execution
        self._hold = hold
        self._postpone = postpone
        self._jitter = jitter

    @property
    def stage(self) -> int:
        return self._execution.stage

    @property
    def done(self) -> bool:
        return self._execution.done

    def advance(self) -> Outputs | None:
        stage = self._execution.stage
        outputs = self._execution.advance()
        self.undecided = self._execution.undecided
        self._hold(stage, self._jitter)
        return outputs

    def resume(self, parked: float) -> None:
        self._postpone(parked)


class PacedLender:
    """An exchange whose sub-networks take as long as on a board, while one is simulated."""

    def __init__(self, lender: Lender, pacing: Callable[[], tuple[Pacer, str] | None]) -> None:
        """
        Wrap an exchange.

        :param pacing: returns what holds frames back now, and the board's processor that runs
            name; None while no board is simulated
        """
        self._lender = lender
        self._pacing = pacing

    @property
    def serving(self) -> PreparedSubNetwork:
        """Return the one that a frame would have now, on the board's processor."""
        pacing, prepared = self._pacing(), self._lender.serving
        if pacing is None:
            return prepared
        return _PacedSubNetwork(prepared, *pacing, time.monotonic())

    @contextmanager
    def lease(self) -> Iterator[PreparedSubNetwork]:
        """Have the serving one for a frame, whose preprocessing counts as the board's too."""
        pacing, started = self._pacing(), time.monotonic()
        with self._lender.lease() as prepared:
            yield prepared if pacing is None else _PacedSubNetwork(prepared, *pacing, started)


class Overruns:
    """Tells which frames are no figure of the board; in the order in which they were served."""

    def __init__(self) -> None:
        """Begin with none."""
        self._until = -math.inf

    def tell(self, paced: PacedFrame, arrival: float) -> bool:
        """
        Tell whether this machine was too slow for a frame.

        Who waited for a frame that it was too slow for waited too long as well.

        :param arrival: s, of `time.monotonic`
        """
        delayed = arrival < self._until
        if paced.overrun:
            self._until = paced.end
        return paced.overrun or delayed
