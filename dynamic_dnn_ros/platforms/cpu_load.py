# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How busy CPUs are, all of them or those of one cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

ONLINE = Path('/sys/devices/system/cpu/online')


def cpu_numbers(text: str) -> tuple[int, ...]:
    """
    Return the CPUs that a file of the kernel names, as `0-3,6` or `0 1 2 3`.

    What is none is left out.
    """
    return tuple(sorted(set(_numbers(text))))


def _numbers(text: str) -> Iterator[int]:
    for part in text.replace(',', ' ').split():
        first, _, last = part.partition('-')
        if first.isdecimal() and (last or first).isdecimal():
            yield from range(int(first), int(last or first) + 1)


class CpuLoad:
    """The load of each CPU of this computer between two readings."""

    def __init__(self) -> None:
        """Begin the measurement; until the first reading the load is 0."""
        self._shares = [0.0 for _ in psutil.cpu_percent(percpu=True)]
        self._numbers = tuple(range(len(self._shares)))

    def read(self) -> None:
        """Measure what has passed since the last reading."""
        # A power mode takes CPUs off line, and back: only those that are on line are listed.
        self._shares = [percent / 100.0 for percent in psutil.cpu_percent(percpu=True)]
        try:
            numbers = cpu_numbers(ONLINE.read_text())
        except OSError:
            numbers = ()
        count = len(self._shares)
        self._numbers = numbers if len(numbers) == count else tuple(range(count))

    def share(self, processors: Sequence[int]) -> float:
        """
        Return the mean load, 0..1, of some CPUs; of all where none of them is on line.

        :param processors: their numbers; empty: all
        """
        shares = self._of(processors)
        return sum(shares) / len(shares)

    def own_share(self, seconds: float, processors: Sequence[int]) -> float:
        """
        Return the share of some CPUs that our applications take, 0..1.

        Which CPUs they run on is not known. Where some of several clusters are asked for, each is
        taken to be ours to the extent that all together are.

        :param seconds: of CPU time a second that our applications take, of all CPUs together
        """
        everywhere = min(1.0, seconds / len(self._shares))
        if len(self._of(processors)) == len(self._shares):
            return everywhere
        busy = sum(self._shares)
        ours = min(1.0, seconds / busy) if busy > 0 else 0.0
        return ours * self.share(processors)

    def _of(self, processors: Sequence[int]) -> list[float]:
        wanted = [s for number, s in zip(self._numbers, self._shares) if number in processors]
        return wanted or self._shares
