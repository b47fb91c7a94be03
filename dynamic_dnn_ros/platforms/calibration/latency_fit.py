# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The law of a network's latency against clocks, cores and image size, fitted to measurements.

    t = (compute^q + (launch c F)^q)^(1/q) + host c F + fixed
    compute = ((gpu g)^p + (memory m)^p)^(1/p),    F = max(1, threads / cores)

with c, g, m the highest clock of CPU, GPU and memory over the present one. GPU and memory overlap,
since some layers wait for one and some for the other, also where the memory has one clock alone.
Kernels are launched beside the two, host work comes before or after. Sizes of one network's
pictures share p, q and threads; each part is a power of the picture's area, from which each size
may depart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
import math

import numpy as np
import numpy.typing as npt

from dynamic_dnn_ros.platforms.board_model import MeasuredTimes
from dynamic_dnn_ros.platforms.calibration.least_squares import Array, Fit, Prior, fit
from dynamic_dnn_ros.platforms.calibration.table import DOMAINS, GPU, Row

CPU = 'cpu'

# Logarithms, of parts over the mean latency: beforehand each is about a fifth, within 1/30 and 6.
_PART, _PART_DEVIATION = math.log(0.2), 1.8
_GROWTH = {'gpu': 0.8, 'memory': 0.8, 'host': 0.3, 'launch': 0.1, 'fixed': 0.3}
"""By which power of its area a part of a network grows with the picture, beforehand."""
_GROWTH_DEVIATION, _OWN_DEVIATION = 0.4, 0.15
_EXPONENT, _EXPONENT_DEVIATION = 2.5, 0.6
"""p beforehand, and the deviation of log(p - 1): a TX2 has 2.5 to 3.7, and 1.7 with TensorFlow."""
_LAUNCH_EXPONENT, _LAUNCH_DEVIATION = 4.0, 0.6
_THREADS, _THREADS_DEVIATION = 1.5, 0.5
_NOISE, _LEAST_NOISE, _MOST_NOISE = 0.015, 0.004, 0.04
_UTILISATION_NOISE = 0.1
"""Standard deviation between a load counter and the share of time that the law finds busy."""

_CLOCKS_OF_A_FLOOR = 3
"""Of the GPU, from which on they can tell that it waits for memory whose clock is one."""

_MOST_ROWS = 500
"""Of one network that a fit looks at: more do not change it."""

_LARGEST_EXPONENT_LOG = 3.5


@dataclass(frozen=True)
class Reference:
    """The board's highest clocks, Hz by domain, and its number of cores."""

    clocks: Mapping[str, float]
    cores: int


@dataclass(frozen=True)
class Settings:
    """
    What rows were measured at, by columns of shape (n,).

    `stretch` by domain: the highest clock over the present one; `cores`, `size` in pixels.
    """

    stretch: Mapping[str, Array]
    cores: Array
    size: Array

    @classmethod
    def of(cls, rows: Sequence[Row], reference: Reference) -> Settings:
        """Return the settings of rows; what a row does not have is the board's highest."""
        highest = reference.clocks
        return cls(
            stretch={
                domain: np.array(
                    [highest[domain] / r.clocks.get(domain, highest[domain]) for r in rows]
                )
                for domain in DOMAINS
            },
            cores=np.array([float(row.cores or reference.cores) for row in rows]),
            size=np.array([float(row.image_size or 1) for row in rows]),
        )


@dataclass(frozen=True)
class Overlap:
    """
    What networks of one board have in common, as far as a fit knows it beforehand.

    `memory` and `launch` are the logarithm of an exponent minus 1 with its standard deviation,
    `noise` the standard deviation of relative errors.
    """

    memory: tuple[float, float] = (math.log(_EXPONENT - 1.0), _EXPONENT_DEVIATION)
    launch: tuple[float, float] = (math.log(_LAUNCH_EXPONENT - 1.0), _LAUNCH_DEVIATION)
    noise: float = _NOISE


class LatencyLaw:
    """The law of one network on one processor, with the parts that its settings can tell."""

    def __init__(
        self,
        processor: str,
        every: Settings,
        launches: bool,
        overlap: Overlap,
        floor: bool = False,
    ) -> None:
        """
        Take the parts whose clock varies, and what is known of them beforehand.

        :param every: all settings at which the law is asked for
        :param launches: whether launches go on beside the GPU; else all CPU time adds
        :param floor: whether the GPU overlaps with memory whose clock is always the same
        """
        self.overlap = overlap
        varies = {domain: len(np.unique(every.stretch[domain])) > 1 for domain in DOMAINS}
        cores = len(np.unique(every.cores)) > 1
        self.parts = ['fixed']
        if varies[GPU] and processor != CPU:
            self.parts.append('gpu')
        if varies['memory'] or floor:
            self.parts.append('memory')
        if varies[CPU] or cores:
            self.parts.append('host')
            if launches:
                self.parts.append('launch')
        self.sizes = tuple(float(size) for size in np.unique(every.size))
        self._middle = math.exp(float(np.log(self.sizes).mean()))
        self.index: dict[str, int] = {}
        self._mean: list[float] = []
        self._deviation: list[float] = []
        for part in self.parts:
            self._add(part, _PART, _PART_DEVIATION)
        if len(self.sizes) > 1:
            for part in self.parts:
                self._add(f'{part} growth', _GROWTH[part], _GROWTH_DEVIATION)
                for size in self.sizes:
                    self._add(f'{part} {size}', 0.0, _OWN_DEVIATION)
        if processor == GPU and {'gpu', 'memory'} <= set(self.parts):
            self._add('overlap', *overlap.memory)
        if 'launch' in self.parts:
            self._add('launch overlap', *overlap.launch)
        if cores:
            self._add('threads', math.log(_THREADS), _THREADS_DEVIATION)

    def _add(self, name: str, mean: float, deviation: float) -> None:
        self.index[name] = len(self._mean)
        self._mean.append(mean)
        self._deviation.append(deviation)

    @property
    def can_overlap(self) -> bool:
        """Return whether there is something that launches could go on beside."""
        return 'host' in self.parts and bool({'gpu', 'memory'} & set(self.parts))

    @property
    def prior(self) -> Prior:
        """Return what is known of the parameters beforehand."""
        return Prior(np.array(self._mean), np.array(self._deviation))

    def value(self, parameters: Array, name: str, default: float = 0.0) -> Array:
        """Return a parameter as a column of shape (k, 1)."""
        index = self.index.get(name)
        if index is None:
            return np.full((len(parameters), 1), default)
        return parameters[:, [index]]

    def seconds(self, parameters: Array, part: str, size: Array) -> Array:
        """Return a part of the mean latency for pictures of some sizes, shape (k, m)."""
        if part not in self.parts:
            return np.zeros((len(parameters), len(size)))
        result = self.value(parameters, part) + np.zeros(len(size))
        if len(self.sizes) > 1:
            area = 2.0 * np.log(size / self._middle)
            result = result + self.value(parameters, f'{part} growth') * area
            for own in self.sizes:
                result = result + np.where(
                    size == own, self.value(parameters, f'{part} {own}'), 0.0
                )
        return np.asarray(np.exp(np.clip(result, -16.0, 6.0)))

    def exponents(self, parameters: Array) -> tuple[Array, Array]:
        """Return p and q, each of shape (k, 1)."""
        one, other = (
            1.0
            + np.exp(np.clip(self.value(parameters, name, -math.inf), None, _LARGEST_EXPONENT_LOG))
            for name in ('overlap', 'launch overlap')
        )
        return one, other

    def threads(self, parameters: Array) -> Array:
        """Return how many cores the CPU's part keeps busy, shape (k, 1)."""
        return np.asarray(np.exp(np.maximum(self.value(parameters, 'threads'), 0.0)))

    def timing(self, parameters: Array, settings: Settings) -> tuple[Array, Array, Array]:
        """
        Return latency, time of GPU and memory, and core seconds of the CPU; shape (k, m).

        All in units of the mean latency.
        """
        gpu, memory, host, launch, fixed = (
            self.seconds(parameters, part, settings.size)
            for part in ('gpu', 'memory', 'host', 'launch', 'fixed')
        )
        first, second = self.exponents(parameters)
        threads = self.threads(parameters)
        on_cpu = settings.stretch[CPU] * np.maximum(1.0, threads / settings.cores)
        compute = _overlapped(
            gpu * settings.stretch[GPU], memory * settings.stretch['memory'], first
        )
        working = _overlapped(compute, launch * on_cpu, second)
        busy = (host + launch) * on_cpu * np.minimum(threads, settings.cores) + fixed
        return working + host * on_cpu + fixed, compute, busy


def _overlapped(one: Array, other: Array, exponent: Array) -> Array:
    """Return `board_model.overlapped` of arrays."""
    longer = np.maximum(np.maximum(one, other), np.finfo(float).tiny)
    shorter = np.minimum(one, other)
    return np.asarray(longer * (1.0 + (shorter / longer) ** exponent) ** (1.0 / exponent))


@dataclass(frozen=True)
class FittedLatency:
    """A network on one processor with its law: seconds are those of the mean latency."""

    network: str
    processor: str
    law: LatencyLaw
    fit: Fit
    mean: float

    @cached_property
    def _parameters(self) -> Array:
        return self.fit.parameters[None]

    @property
    def exponents(self) -> tuple[float, float]:
        """Return p and q."""
        one, other = self.law.exponents(self._parameters)
        return float(one[0, 0]), float(other[0, 0])

    def found(self, name: str) -> tuple[float, float] | None:
        """Return a parameter and its precision, None where the law does not have it."""
        index = self.law.index.get(name)
        if index is None:
            return None
        return float(self.fit.parameters[index]), float(self.fit.precision[index])

    def times(self, size: int) -> MeasuredTimes:
        """Return what the board's model needs of it for pictures of a size, 0 where unknown."""
        parts = {
            part: self.mean
            * float(self.law.seconds(self._parameters, part, np.array([float(size or 1)]))[0, 0])
            for part in self.law.parts
        }
        first, second = self.exponents
        return MeasuredTimes(
            self.processor,
            gpu=parts.get('gpu', 0.0),
            rest=0.0,
            memory=parts.get('memory', 0.0),
            host=parts.get('host', 0.0),
            launch=parts.get('launch', 0.0),
            fixed=parts['fixed'],
            overlap=first,
            launch_overlap=second,
            threads=float(self.law.threads(self._parameters)[0, 0]),
        )


def fit_latencies(
    used: Sequence[Row], every: Sequence[Row], reference: Reference, starts: int = 3
) -> list[FittedLatency]:
    """
    Return the law of each network on each processor.

    Twice: the first time tells how much the measurements scatter and how much networks of this
    board overlap, which the second takes as known beforehand.

    :param used: rows that may be looked at
    :param every: all rows, of which those that are not used give their settings only
    """
    keys = list(dict.fromkeys((row.network, row.processor) for row in used))
    groups = {
        key: (
            [row for row in used if (row.network, row.processor) == key],
            [row for row in every if (row.network, row.processor) == key],
        )
        for key in keys
    }
    first = [
        _fit_one(key, of_it, known, reference, Overlap(), starts)
        for key, (of_it, known) in groups.items()
    ]
    common = _in_common(first, [len(of_it) for of_it, _ in groups.values()])
    return [
        # Where the law fits a network less well, that is no reason to trust fewer of its rows.
        _fit_one(key, of_it, known, reference, _no_less(common, before), starts)
        for (key, (of_it, known)), before in zip(groups.items(), first)
    ]


def _no_less(common: Overlap, fitted: FittedLatency) -> Overlap:
    """Return what is known beforehand, with the scatter of one network where that is larger."""
    own = min(fitted.fit.noise * Overlap().noise, _MOST_NOISE)
    return replace(common, noise=max(common.noise, own))


def _fit_one(
    key: tuple[str, str],
    used: Sequence[Row],
    every: Sequence[Row],
    reference: Reference,
    overlap: Overlap,
    starts: int,
) -> FittedLatency:
    rows = thinned(used, _MOST_ROWS)
    settings = Settings.of(rows, reference)
    latency = np.array([row.latency for row in rows])
    mean = math.exp(float(np.log(latency).mean()))
    goal = np.log(latency / mean)
    network, processor = key

    def attempt(launches: bool, floor: bool = False) -> FittedLatency:
        law = LatencyLaw(processor, Settings.of(every, reference), launches, overlap, floor)

        def residual(parameters: Array) -> Array:
            total, compute, busy = law.timing(parameters, settings)
            errors = (np.log(total) - goal) / overlap.noise
            told = [
                (share / total - measured)[:, known] / _UTILISATION_NOISE
                for share, measured, known in _loads(rows, settings, compute, busy)
            ]
            return np.concatenate([errors, *told], axis=1)

        return FittedLatency(network, processor, law, fit(residual, law.prior, starts), mean)

    laws = [attempt(launches=False)]
    if processor == GPU:
        parts = laws[0].law.parts
        told = len(np.unique(settings.stretch[GPU])) >= _CLOCKS_OF_A_FLOOR
        floors = (False, True) if told and 'memory' not in parts else (False,)
        beside = (False, True) if laws[0].law.can_overlap else (False,)
        laws += [attempt(*each) for each in product(beside, floors) if any(each)]
    return max(laws, key=lambda each: each.fit.evidence)


def _loads(
    rows: Sequence[Row], settings: Settings, compute: Array, busy: Array
) -> list[tuple[Array, Array, npt.NDArray[np.intp]]]:
    """Return busy time, measured load and where it was measured, of GPU and CPU."""
    result: list[tuple[Array, Array, npt.NDArray[np.intp]]] = []
    for domain, time in ((GPU, compute), (CPU, busy / settings.cores)):
        measured = np.array([row.utilisation.get(domain, math.nan) for row in rows])
        known = np.flatnonzero(~np.isnan(measured))
        if len(known):
            result.append((time, measured, known))
    return result


def _in_common(fitted: Sequence[FittedLatency], counts: Sequence[int]) -> Overlap:
    """Return what the networks of a board say of each other."""
    before = Overlap()
    scatter = [each.fit.noise * before.noise for each, n in zip(fitted, counts) if n > 2]
    noise = float(np.median(scatter)) if scatter else before.noise
    result = replace(before, noise=min(max(noise, _LEAST_NOISE), _MOST_NOISE))
    return replace(
        result,
        memory=_shared(fitted, 'overlap', before.memory),
        launch=_shared(fitted, 'launch overlap', before.launch),
    )


def _shared(
    fitted: Sequence[FittedLatency], name: str, before: tuple[float, float]
) -> tuple[float, float]:
    """Return mean and deviation of a parameter over networks: half of the latter is their own."""
    found = [known for each in fitted if (known := each.found(name)) is not None]
    if len(found) < 2:
        return before
    mean, deviation = before
    between, own = 0.5 * deviation, deviation**-2
    weights = np.array([1.0 / (1.0 / max(told, 1e-9) + between**2) for _, told in found])
    values = np.array([value for value, _ in found])
    weight = own + float(weights.sum())
    common = (own * mean + float(weights @ values)) / weight
    return common, math.sqrt(1.0 / weight + between**2)


def thinned(rows: Sequence[Row], count: int) -> list[Row]:
    """Return so many rows at most, the same ones each time."""
    if len(rows) <= count:
        return list(rows)
    chosen = np.random.default_rng(0).permutation(len(rows))[:count]
    return [rows[index] for index in sorted(chosen)]
