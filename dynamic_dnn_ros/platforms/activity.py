# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Utilisation of frequency domains, from the busy times that applications report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

FRAMES = 'frames'
"""Name among the rates of an application for the frames that it serves a second."""

SILENCE = 3.5
"""Seconds without a report after which an application counts as gone; it reports at 1 Hz."""


class Activity(NamedTuple):
    """
    What one application keeps busy: seconds a second by domain, and `FRAMES`.

    Applications of one `instance` are streams of one process, which take turns on a processor.
    """

    application: str
    instance: str
    processor: str
    rates: Mapping[str, float]


@dataclass
class _Application:
    instance: str
    processor: str
    time: float
    busy: dict[str, float]
    base_time: float
    base_busy: dict[str, float]
    rates: dict[str, float] = field(default_factory=dict)


class ActivityTracker:
    """
    Turns cumulative busy times into busy seconds a second, for each application and domain.

    A rate is the difference of two reports over the time between them, so it is not torn by
    where the edges of a sampling period fall between two frames.
    """

    def __init__(self, minimum_span: float = 0.2) -> None:
        """
        Create a tracker without applications.

        :param minimum_span: s, the least time between the two reports that make a rate
        """
        self._minimum_span = minimum_span
        self._applications: dict[str, _Application] = {}

    def observe(
        self,
        now: float,
        application: str,
        instance: str,
        processor: str,
        busy: Mapping[str, float],
        frames: int = 0,
    ) -> None:
        """Take note of one report; a new instance, or a counter that fell, starts afresh."""
        known = self._applications.get(application)
        values = {**busy, FRAMES: float(frames)}
        if (
            known is None
            or known.instance != instance
            or any(values.get(name, 0.0) < value for name, value in known.busy.items())
        ):
            self._applications[application] = _Application(
                instance, processor, now, values, now, values
            )
            return
        known.time, known.busy, known.processor = now, values, processor
        span = now - known.base_time
        if span >= self._minimum_span:
            known.rates = {
                name: max(0.0, value - known.base_busy.get(name, 0.0)) / span
                for name, value in values.items()
            }
            known.base_time, known.base_busy = now, values

    def applications(self, now: float) -> Iterator[Activity]:
        """Yield what each one does that lives."""
        for name in [n for n, a in self._applications.items() if now - a.time > SILENCE]:
            del self._applications[name]
        for name, application in self._applications.items():
            yield Activity(name, application.instance, application.processor, application.rates)

    def total(self, now: float, domain: str) -> float:
        """Return busy seconds a second of all applications together in one domain."""
        return sum((each.rates.get(domain, 0.0) for each in self.applications(now)), 0.0)
