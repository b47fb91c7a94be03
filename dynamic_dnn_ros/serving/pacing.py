# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Make a frame last as long as it would on a simulated board."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
import threading
import time

from dynamic_dnn_ros.bundles.manifest import SubNetwork


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
    `TOLERANCE`, or that the board's state was not known yet: then the frame is no figure of the
    board. `busy` as in `BoardWork`;
    what contention adds to the latency keeps nothing busy.
    """

    overrun: bool
    busy: Mapping[str, float]


class Pacer:
    """Holds a result back until the simulated board would have had it."""

    def __init__(self, board: BoardModel, jitter: Callable[[], float]) -> None:
        """
        Pace one application.

        :param jitter: draws the factor by which one frame departs from the model, about 1
        """
        self._board = board
        self._jitter = jitter
        self._lock = threading.Lock()
        self._state: BoardState | None = None

    def update(self, state: BoardState) -> None:
        """Take over what the platform says of the board; may be called from any thread."""
        with self._lock:
            self._state = state

    def pace(self, started: float, sub_network: SubNetwork, processor: str) -> PacedFrame:
        """
        Wait until the frame that was begun at `started` would be done on the board.

        :param started: s, of `time.monotonic`
        """
        with self._lock:
            state = self._state
        if state is None:
            return PacedFrame(True, {})
        work = self._board(sub_network, processor, state.frequencies)
        jitter = self._jitter()
        busy = {domain: seconds * jitter for domain, seconds in work.busy.items()}
        duration = work.latency * jitter * state.slow_down
        remaining = started + duration - time.monotonic()
        if remaining > 0:
            time.sleep(remaining)
        # A machine that is busy with other things may also wake this thread too late.
        late = time.monotonic() - started - duration
        return PacedFrame(late > TOLERANCE * duration, busy)
