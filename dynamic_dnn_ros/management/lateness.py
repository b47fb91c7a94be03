# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
How many frames really were late under a target, and whether that proves its predictions good.

A new choice leaves a margin below a limit, for what predictions may be wrong by. Where frames show
that far fewer are late than the quantile allows, that margin is for nothing. It comes back as soon
as frames show the contrary: by their share, or by several in a row. Then what is in force has to
keep it too.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
import math

from dynamic_dnn_ros.management.targets import Target

ALLOWED = 4.0
"""Late frames that a quantile allows within the horizon: fewer would say nothing."""

LONGEST = 100
"""
Frames of a horizon at most. Where the quantile needs more, nothing is ever proven: by then the
board may be another one than at its beginning.
"""

PROVES = 0.3
"""Share of what is allowed that may be late where predictions count as proven."""

REFUTES = 0.6
"""Share of what is allowed beyond which they no longer do."""

IN_A_ROW = 2
"""Late frames one after the other that refute them too."""


class Trust(Enum):
    """How far predictions of latency are to be trusted."""

    UNPROVEN = 'a new choice keeps the margin'
    PROVEN = 'no margin is needed'
    REFUTED = 'what is in force keeps the margin too'


class Lateness:
    """Late frames of one application, over a horizon that its target's quantile gives."""

    def __init__(self) -> None:
        """Begin with nothing proven."""
        self.trust = Trust.UNPROVEN
        self._asked: tuple[float, float] | None = None
        self._late: deque[bool] = deque()
        self._in_a_row = 0
        # Frames that are to come before anything is proven; twice as many after each refutation.
        self._needed = 0
        self._seen = 0

    def observe(self, target: Target | None, total: float) -> None:
        """
        Take a served frame into account.

        :param target: in force; another limit or quantile begins anew
        :param total: its latency, s
        """
        if target is None or not target.latency:
            self._begin(None)
            return
        if (target.latency, target.quantile) != self._asked:
            self._begin(target)
        late = not total <= target.latency
        self._late.append(late)
        self._seen += 1
        self._in_a_row = self._in_a_row + 1 if late else 0
        allowed = (1.0 - target.quantile) * (self._late.maxlen or 0)
        count = sum(self._late)
        if self.trust is Trust.PROVEN:
            if count > REFUTES * allowed or self._in_a_row >= IN_A_ROW:
                self._needed *= 2
                self.begin_anew()
                self.trust = Trust.REFUTED
        elif self._late.maxlen and self._seen >= self._needed and count <= PROVES * allowed:
            self.trust = Trust.PROVEN

    def begin_anew(self) -> None:
        """Note that the board is another one than before: nothing is proven of it."""
        self.trust = Trust.UNPROVEN
        self._seen = 0

    def _begin(self, target: Target | None) -> None:
        self._asked = (target.latency, target.quantile) if target is not None else None
        horizon = 0
        if target is not None and LONGEST * (1.0 - target.quantile) > ALLOWED:
            horizon = math.ceil(ALLOWED / (1.0 - target.quantile))
        self._late = deque(maxlen=horizon)
        self._needed, self._seen = horizon // 2, 0
        self._in_a_row = 0
        self.trust = Trust.UNPROVEN
