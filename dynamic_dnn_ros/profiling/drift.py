# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Did the device stay the same while it was measured? Asked of a reference that comes again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from dynamic_dnn_ros.profiling.plan import MeasurementPlan, Visit, VisitKind

TOLERANCE = 0.05
"""Relative change of the reference's median latency from which on it is a drift."""

THROTTLED_BELOW = 0.95
"""Share of the clock that was asked for below which the device limits itself."""

WARMED_UP_BY = 10.0
"""Kelvin that a device may warm up by without being worth a word."""

BUSY_ABOVE = 0.1
"""Share of a domain that others may use without being worth a word."""


def drifting_rounds(visits: Sequence[Visit]) -> dict[int, float]:
    """
    Return the rounds in which the reference drifted, and by how much of its median latency.

    A drift is more than 5 % away from the median of all medians, and more than the reference
    scatters anyway: the median of its interquartile ranges.
    """
    controls = [visit for visit in visits if visit.place.kind is VisitKind.CONTROL]
    if not controls:
        return {}
    medians = np.array([np.median(visit.latencies) for visit in controls])
    centre = np.median(medians)
    spread = np.median(
        [np.subtract(*np.percentile(visit.latencies, (75, 25))) for visit in controls]
    )
    drifts: dict[int, float] = {}
    for visit, median in zip(controls, medians):
        drift = float(median / centre - 1.0)
        if abs(drift) > TOLERANCE and abs(median - centre) > spread:
            drifts[visit.round] = max(drifts.get(visit.round, 0.0), drift, key=abs)
    return drifts


def notices(plan: MeasurementPlan, visits: Sequence[Visit]) -> tuple[str, ...]:
    """Return a sentence for whatever about the device makes the figures less than they seem."""
    sentences = []
    drifts = drifting_rounds(visits)
    if drifts:
        worst = max(drifts.values(), key=abs)
        names = ', '.join(str(number + 1) for number in sorted(drifts))
        sentences.append(
            f'the device drifted: the reference {plan.control.sub_network!r} was up to '
            f'{abs(worst):.0%} {"slower" if worst > 0 else "faster"} in round {names}, '
            'although measured again'
        )
    return (*sentences, *_throttling(plan, visits), *_warming(visits), *_others(visits))


def _throttling(plan: MeasurementPlan, visits: Sequence[Visit]) -> list[str]:
    worst: dict[str, tuple[float, float]] = {}
    # A clock that nothing needs may rest.
    for visit in (visit for visit in visits if visit.place.kind is not VisitKind.IDLE):
        for name, asked in plan.setting(visit.place).items():
            granted = visit.granted.get(name, asked)
            least = worst.get(name, (1.0, 1.0))
            if granted < THROTTLED_BELOW * asked and granted / asked < least[0] / least[1]:
                worst[name] = (granted, asked)
    return [
        f'the device limits itself: {name} ran at {granted / 1e6:.0f} MHz where '
        f'{asked / 1e6:.0f} MHz were asked for'
        for name, (granted, asked) in worst.items()
    ]


def _warming(visits: Sequence[Visit]) -> list[str]:
    rises = temperature_rises(visits)
    zone = max(rises, key=lambda name: rises[name][1] - rises[name][0], default='')
    if not zone or rises[zone][1] - rises[zone][0] <= WARMED_UP_BY:
        return []
    first, highest = rises[zone]
    return [f'the device warmed up: {zone} from {first:.0f} to {highest:.0f} degrees Celsius']


def temperature_rises(visits: Sequence[Visit]) -> Mapping[str, tuple[float, float]]:
    """Return the first and the highest temperature of each zone."""
    rises: dict[str, tuple[float, float]] = {}
    for visit in visits:
        for zone, value in visit.temperatures.items():
            first, highest = rises.get(zone, (value, value))
            rises[zone] = (first, max(highest, value))
    return rises


def foreign_utilisation(visits: Sequence[Visit]) -> dict[str, float]:
    """Return the mean load of others while the board idled, 0..1 by domain."""
    loads: dict[str, list[float]] = {}
    for visit in visits:
        if visit.place.kind is VisitKind.IDLE:
            for name, load in visit.foreign_utilisation.items():
                loads.setdefault(name, []).append(load)
    return {name: float(np.mean(values)) for name, values in loads.items()}


def _others(visits: Sequence[Visit]) -> list[str]:
    return [
        f'the computer did other work: {load:.0%} of {name!r} was in use while nothing ran here'
        for name, load in foreign_utilisation(visits).items()
        if load > BUSY_ABOVE
    ]
