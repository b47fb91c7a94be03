# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How many messages came, and how many were left out for which reason."""

from __future__ import annotations

from collections import Counter
import math
import time

from dynamic_dnn_ros.nodes.common.diagnostics import Diagnostic, Level

RECENT = 10.0
"""Seconds for which a message that was left out is news."""

MOST_REASONS = 64
"""Reasons that are counted one by one; the rest are counted together."""

OTHER = 'other reasons'


class MessageCounts:
    """Counts the messages of one node, which all come in one thread."""

    def __init__(self) -> None:
        """Begin with none."""
        self._received: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()
        self._last = -math.inf

    def receive(self, topic: str) -> None:
        """Count a message that came."""
        self._received[topic] += 1

    def leave_out(self, topic: str, reason: str) -> None:
        """
        Count a message that is left out.

        :param reason: in a few words, the same for all messages of a kind
        """
        key = f'{topic}: {reason}'
        if key not in self._left_out and len(self._left_out) >= MOST_REASONS:
            key = OTHER
        self._left_out[key] += 1
        self._last = time.monotonic()

    def diagnostic(self) -> Diagnostic:
        """Return the counts; a WARN for a while after one was left out."""
        received, left_out = self._received.total(), self._left_out.total()
        recent = time.monotonic() - self._last < RECENT
        return Diagnostic(
            'messages',
            Level.WARNING if recent else Level.OK,
            f'{left_out} of {received} messages were left out' if left_out else 'all were read',
            {
                **{f'{topic}: received': count for topic, count in self._received.items()},
                **self._left_out,
            },
        )
