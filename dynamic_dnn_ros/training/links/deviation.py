# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether exchanges still take what they were expected to take."""

from __future__ import annotations

#: An exchange so many times longer or shorter than expected, in so many steps on end: the links
#: are not what they were.
_TIMES = 2.0
_STEPS = 3

#: Smaller differences are those of a computer that does something else, too.
_LEAST_SECONDS = 0.02


class Deviation:
    """Tells a lasting change from a single slow step."""

    def __init__(self) -> None:
        self._steps = 0

    def seen(self, expected: float, taken: float) -> bool:
        """
        Take one exchange, and return whether links should be measured anew.

        :param expected: seconds.
        :param taken: seconds.
        """
        unlike = taken > _TIMES * expected or taken < expected / _TIMES
        unlike = unlike and abs(taken - expected) > _LEAST_SECONDS
        self._steps = self._steps + 1 if unlike else 0
        return self._steps >= _STEPS

    def forget(self) -> None:
        """Begin anew: something else is expected."""
        self._steps = 0
