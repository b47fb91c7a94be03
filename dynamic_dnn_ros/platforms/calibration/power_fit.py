# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The power of a board's rails, fitted to rows whose latency is understood already.

    P(rail) = static + sum over domains of share x full(f) x (idle + (1 - idle) x activity)
    full(f) = full(highest) x f / highest x (V(f) / V(highest))^2

with V flat up to a knee and rising in a line from there. The rail of the whole module is the sum
of the others with an overhead each, plus what is on none of them; or what is on none of them is a
rail like the others, where that is nearer to what was measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
import math

import numpy as np

from dynamic_dnn_ros.platforms.calibration.latency_fit import thinned
from dynamic_dnn_ros.platforms.calibration.least_squares import Array, Prior, fit
from dynamic_dnn_ros.platforms.calibration.table import DOMAINS, Row

TOTAL = 'TOTAL'
"""Name of a module rail that was not measured: the sum of those that were."""

MODULE = 'MODULE'
"""Name of the module's rail where a table has its energy or its power alone."""

ALL = 'BOARD'
"""Name of the one rail of a board of which only the module's power was measured."""

REST = 'OTHERS'
"""Name of a rail that stands for what the module takes beyond those that were measured."""

_MODULE = ('VDD_IN', 'VIN', 'POM_5V_IN', 'VIN_SYS_5V0', MODULE, 'TOTAL', 'SYSTEM', 'BOARD_IN')
_NOISE = 0.02
_MOST_ROWS = 1500


@dataclass(frozen=True)
class Load:
    """
    What a row keeps busy: `activity` by domain or accelerator, 0..1 at intensity 1.

    `subject` is the network with its size and processor, each of which has its own intensity.
    """

    row: Row
    activity: Mapping[str, float]


@dataclass(frozen=True)
class FittedPower:
    """
    Power of a board, W at the highest clocks.

    `full` of each domain that is always busy, by rail; `idle_share` and `voltage` (rise over the
    lowest, as a share, and the knee in Hz) by domain; `static` by rail; `accelerators` their
    power at work by rail; `intensity` by subject and place. `total` names the module's rail.
    """

    total: str
    static: Mapping[str, float]
    full: Mapping[str, Mapping[str, float]]
    idle_share: Mapping[str, float]
    rise: Mapping[str, float]
    knee: Mapping[str, float]
    accelerators: Mapping[str, Mapping[str, float]]
    intensity: Mapping[tuple[tuple[str, str, int], str], float]
    remainder: float
    overhead: Mapping[str, float]


def module_rail(rails: Sequence[str]) -> str | None:
    """Return which of the rails is that of the whole module, if any has such a name."""
    plain = {rail.upper(): rail for rail in rails}
    return next((plain[name] for name in _MODULE if name in plain), None)


class _Parameters:
    """Names of parameters with what is known of them beforehand."""

    def __init__(self) -> None:
        self.index: dict[object, int] = {}
        self._mean: list[float] = []
        self._deviation: list[float] = []

    def add(self, name: object, mean: float, deviation: float) -> None:
        self.index[name] = len(self._mean)
        self._mean.append(mean)
        self._deviation.append(deviation)

    def prior(self) -> Prior:
        return Prior(np.array(self._mean), np.array(self._deviation))


def fit_power(
    loads: Sequence[Load], highest: Mapping[str, float], accelerators: Sequence[str]
) -> FittedPower:
    """
    Fit the rails to rows of which power was measured.

    :param highest: clock of each domain, Hz
    :param accelerators: processors that are no frequency domain
    """
    kept = {id(row) for row in thinned([load.row for load in loads], _MOST_ROWS)}
    loads = [load for load in loads if id(load.row) in kept]
    rails = list(dict.fromkeys(rail for load in loads for rail in load.row.power))
    total = module_rail(rails)
    parts = [rail for rail in rails if rail != total]
    if not parts:
        # The module alone: all of it is on one rail.
        assert total is not None
        loads = [Load(_renamed(load.row, total), load.activity) for load in loads]
        found = _Rails(loads, [ALL], highest, accelerators).fitted()
        return _with_total(found, total, 0.0, {})
    fit_of = _Rails(loads, parts, highest, accelerators)
    found = fit_of.fitted()
    if total is None:
        return _with_total(found, TOTAL, 0.0, {})
    with_overhead = _with_total(found, total, *_module(loads, parts, total))
    rest = [_with_rest(load, parts, total) for load in loads]
    if any(load.row.power.get(REST, 1.0) <= 0.0 for load in rest):
        return with_overhead
    # What is on no rail follows the clocks, or the other rails: whichever is nearer.
    others = _Rails(rest, [*parts, REST], highest, accelerators)
    with_rest = _with_total(others.fitted(), total, 0.0, {})
    if _total_error(others, with_rest, loads) < _total_error(fit_of, with_overhead, loads):
        return with_rest
    return with_overhead


def _with_rest(load: Load, parts: Sequence[str], total: str) -> Load:
    """Return what a row keeps busy, with what is on no rail as a rail of its own."""
    power = {rail: watts for rail, watts in load.row.power.items() if rail != total}
    if {total, *parts} <= set(load.row.power):
        power[REST] = load.row.power[total] - sum(power.values())
    return Load(replace(load.row, power=power), load.activity)


def _total_error(rails: _Rails, power: FittedPower, loads: Sequence[Load]) -> float:
    """Return the mean error of the module on the rows of a fit."""
    modelled = np.full(len(loads), power.remainder)
    for rail, watts in rails.watts().items():
        modelled = modelled + watts * (1.0 + power.overhead.get(rail, 0.0))
    measured = np.array([load.row.power.get(power.total, math.nan) for load in loads])
    return float(np.nanmean(np.abs(modelled / measured - 1.0)))


def _renamed(row: Row, rail: str) -> Row:
    return replace(row, power={ALL: row.power[rail]} if rail in row.power else {})


def _with_total(
    found: FittedPower, total: str, remainder: float, overhead: Mapping[str, float]
) -> FittedPower:
    return FittedPower(
        **{**vars(found), 'total': total, 'remainder': remainder, 'overhead': overhead}
    )


class _Rails:
    """The fit of all rails but that of the module."""

    def __init__(
        self,
        loads: Sequence[Load],
        rails: Sequence[str],
        highest: Mapping[str, float],
        accelerators: Sequence[str],
    ) -> None:
        self._rails, self._highest = rails, highest
        self._places = [*DOMAINS, *accelerators]
        rows = [load.row for load in loads]
        self._watts = np.array([[row.power.get(rail, math.nan) for rail in rails] for row in rows])
        self._clock = {
            domain: np.array([row.clocks.get(domain, highest[domain]) for row in rows])
            / highest[domain]
            for domain in DOMAINS
        }
        self._activity = {
            place: np.array([load.activity.get(place, 0.0) for load in loads])
            for place in self._places
        }
        self._subjects = list(dict.fromkeys(row.subject for row in rows))
        self._subject = np.array([self._subjects.index(row.subject) for row in rows], dtype=int)
        self._parameters = self._known()
        self._found = self._parameters.prior().mean

    def watts(self) -> dict[str, Array]:
        """Return the power of each rail in each row by the last fit, shape (m,)."""
        return {rail: watts[0] for rail, watts in zip(self._rails, self._model(self._found[None]))}

    def _known(self) -> _Parameters:
        known = _Parameters()
        for column, rail in enumerate(self._rails):
            typical = math.log(float(np.nanmedian(self._watts[:, column])))
            known.add(('static', rail), typical + math.log(0.3), 1.0)
            for place in self._places:
                if self._activity[place].any():
                    known.add(('full', place, rail), typical + math.log(0.2), 1.8)
        for domain in DOMAINS:
            known.add(('idle', domain), -1.4, 1.0)  # a fifth
            known.add(('rise', domain), math.log(0.3), 0.7)
            known.add(('knee', domain), 0.0, 1.0)  # halfway
        # One network alone is the average one.
        own = 0.3 if len(self._subjects) > 1 else 1e-6
        for place in self._places:
            if place == 'cpu':
                continue
            for subject in self._subjects:
                known.add(('intensity', place, subject), 0.0, own)
        return known

    def _value(self, parameters: Array, *name: object) -> Array:
        return parameters[:, [self._parameters.index[name]]]

    def _model(self, parameters: Array) -> list[Array]:
        """Return the power of each rail in each row, shape (k, m)."""
        busy = {}
        for place in self._places:
            activity = self._activity[place] + np.zeros((len(parameters), 1))
            if place != 'cpu':
                each = [self._value(parameters, 'intensity', place, s) for s in self._subjects]
                activity = activity * np.exp(np.hstack(each))[:, self._subject]
            if place not in DOMAINS:
                busy[place] = activity
                continue
            idle = _share(self._value(parameters, 'idle', place))
            scale = _scale(
                self._clock[place],
                np.exp(self._value(parameters, 'rise', place)),
                _share(self._value(parameters, 'knee', place)),
            )
            busy[place] = scale * (idle + (1.0 - idle) * activity)
        rails = []
        for rail in self._rails:
            watts = np.exp(self._value(parameters, 'static', rail))
            for place in self._places:
                if ('full', place, rail) in self._parameters.index:
                    watts = (
                        watts + np.exp(self._value(parameters, 'full', place, rail)) * busy[place]
                    )
            rails.append(watts)
        return rails

    def fitted(self) -> FittedPower:
        known = [~np.isnan(self._watts[:, column]) for column in range(len(self._rails))]

        def residual(parameters: Array) -> Array:
            errors = [
                (watts[:, rows] / self._watts[rows, column] - 1.0) / _NOISE
                for column, (watts, rows) in enumerate(zip(self._model(parameters), known))
            ]
            return np.concatenate(errors, axis=1)

        found = fit(residual, self._parameters.prior(), starts=2).parameters
        self._found = found

        def value(*name: object) -> float:
            return float(found[self._parameters.index[name]])

        def full(place: str) -> dict[str, float]:
            return {
                rail: math.exp(value('full', place, rail))
                for rail in self._rails
                if ('full', place, rail) in self._parameters.index
            }

        accelerators = {
            place: full(place) for place in self._places if place not in DOMAINS and full(place)
        }
        knees = {domain: float(_share(np.array(value('knee', domain)))) for domain in DOMAINS}
        return FittedPower(
            total='',
            static={rail: math.exp(value('static', rail)) for rail in self._rails},
            full={domain: full(domain) for domain in DOMAINS},
            idle_share={
                domain: float(_share(np.array(value('idle', domain)))) for domain in DOMAINS
            },
            rise={domain: math.exp(value('rise', domain)) for domain in DOMAINS},
            knee={domain: knees[domain] * self._highest[domain] for domain in DOMAINS},
            accelerators=accelerators,
            intensity={
                (subject, place): math.exp(value('intensity', place, subject))
                for place in self._places
                if place != 'cpu'
                for subject in self._subjects
            },
            remainder=0.0,
            overhead={},
        )


def _share(logit: Array) -> Array:
    return np.asarray(1.0 / (1.0 + np.exp(-logit)))


def _scale(clock: Array, rise: Array, knee: Array) -> Array:
    """Return C V^2 f over that at the highest clock, where `clock` is 1."""
    volts = 1.0 + rise * np.maximum(clock - knee, 0.0) / (1.0 - knee)
    return np.asarray(clock * (volts / (1.0 + rise)) ** 2)


def _module(
    loads: Sequence[Load], parts: Sequence[str], total: str
) -> tuple[float, dict[str, float]]:
    """Return what the module takes that is on no rail, W, and the overhead of each rail."""
    rows = [load.row.power for load in loads if {total, *parts} <= set(load.row.power)]
    if not rows:
        return 0.0, {}
    measured = np.array([row[total] for row in rows])
    watts = np.array([[row[rail] for rail in parts] for row in rows])
    typical = float(np.median(measured))
    prior = Prior(
        np.array([math.log(0.1 * typical), *[math.log(0.1)] * len(parts)]),
        np.array([1.5] * (1 + len(parts))),
    )

    def residual(parameters: Array) -> Array:
        values = np.exp(np.clip(parameters, -20.0, 6.0))
        modelled = values[:, [0]] + (1.0 + values[:, 1:]) @ watts.T
        return np.asarray((modelled / measured - 1.0) / (0.5 * _NOISE))

    remainder, *overhead = np.exp(fit(residual, prior, starts=3).parameters)
    return float(remainder), dict(zip(parts, map(float, overhead)))
