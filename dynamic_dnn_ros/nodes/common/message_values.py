# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Values that many messages hold: times, and tables of names and numbers."""

from __future__ import annotations

from collections.abc import Mapping

from builtin_interfaces.msg import Time

from dynamic_dnn_ros.msg import NamedValue


def nanoseconds(time: Time) -> int:
    """Return a stamp as a whole number of nanoseconds."""
    return int(time.sec) * 1_000_000_000 + int(time.nanosec)


def stamp(time: int) -> Time:
    """Return nanoseconds as a stamp."""
    seconds, rest = divmod(time, 1_000_000_000)
    return Time(sec=seconds, nanosec=rest)


def named_values(rows: Mapping[str, float]) -> list[NamedValue]:
    """Return a table as messages, one a row."""
    return [NamedValue(name=name, value=float(value)) for name, value in rows.items()]
