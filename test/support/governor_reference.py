# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What governors of a Xavier NX settle at, as another simulation of the same formulas has it.

The table is that of section 4.6 of the project's reference on Jetson boards, simulated: one
periodic job at 30 Hz that serves the newest frame, all of its work bound by the clock. Its
latencies are multiples of 0.5 ms on the GPU and, the longest, of 1 ms on the CPU: it was made in
steps of that length (`grid`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from dynamic_dnn_ros.platforms.board_model import load_board
from dynamic_dnn_ros.platforms.governors import Governor, make_governor

_DOMAINS = load_board('xavier_nx_simulated').domains
GPU = _DOMAINS['gpu'].frequencies
CPU = _DOMAINS['cpu'].frequencies


def table_of(governor: str) -> tuple[float, ...]:
    """Return the frequencies of the domain that a governor is for."""
    return CPU if governor == 'schedutil' else GPU


def make(governor: str) -> Governor:
    """Return a governor of that domain, new; `schedutil` for a policy of one core."""
    return make_governor(governor, table_of(governor)[-1])


@dataclass(frozen=True)
class Row:
    """One cell of the table: s of work at the highest clock; mean frequency, Hz; latencies, s."""

    governor: str
    work: float
    frequency: float
    latency: float
    latency_maximum: float

    @property
    def table(self) -> tuple[float, ...]:
        """Return the frequencies of the domain."""
        return table_of(self.governor)

    @property
    def grid(self) -> float:
        """Return the length of a step of the reference, s."""
        return 0.001 if self.governor == 'schedutil' else 0.0005

    def make(self) -> Governor:
        """Return the row's governor, new."""
        return make(self.governor)

    def __str__(self) -> str:
        """Name the row."""
        return f'{self.governor}, {self.work * 1e3:g} ms'


_TABLE = {
    'nvhost_podgov': (
        (5, 306, 18.5, 18.5),
        (10, 510, 22.0, 22.0),
        (15, 752.25, 22.5, 22.5),
        (20, 1007.25, 22.5, 22.5),
        (28, 1109.25, 28.0, 28.0),
    ),
    'simple_ondemand': (
        (5, 462, 17.3, 27.5),
        (10, 607, 21.4, 28.5),
        (15, 759, 24.4, 31.0),
        (20, 899, 26.4, 35.5),
        (28, 1063, 29.4, 31.0),
    ),
    'schedutil': (
        (5, 399, 25.0, 25.0),
        (10, 763, 25.3, 26.0),
        (15, 1202, 24.5, 26.0),
        (20, 1548, 25.5, 28.0),
        (28, 1905, 28.3, 29.0),
    ),
}
ROWS = tuple(
    Row(governor, work / 1e3, megahertz * 1e6, latency / 1e3, maximum / 1e3)
    for governor, cells in _TABLE.items()
    for work, megahertz, latency, maximum in cells
)

RAMP: dict[float, float] = {0.05: 510e6, 0.1: 905.25e6, 0.15: 1109.25e6}
"""Where nvhost_podgov is after so many seconds of a saturated GPU, from the lowest clock, Hz."""

NAMES = (*_TABLE, 'performance', 'powersave', 'userspace')
"""All governors that are modelled."""


def position(frequency: float, table: Sequence[float]) -> float:
    """Return where a frequency lies in a table, in steps from its lowest, between them linear."""
    index = min(max(bisect_right(table, frequency) - 1, 0), len(table) - 2)
    return index + (frequency - table[index]) / (table[index + 1] - table[index])


def difference(frequency: float, reference: float, table: Sequence[float]) -> float:
    """Return by how many steps of the table a frequency lies above the reference's."""
    return round(position(frequency, table) - position(reference, table), 6)


def latency_difference(latency: float, row: Row, reference: float) -> float:
    """Return the steps between the constant clocks at which the work would last so long."""
    top = row.table[-1]
    return difference(row.work * top / latency, row.work * top / reference, row.table)
