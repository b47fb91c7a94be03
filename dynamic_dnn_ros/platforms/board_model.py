# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Model of a board: latency, busy time, power and heat as functions of its clocks. No state.

Every parameter comes from a file in `config/platforms`, with its source or marked as assumed;
docs/simulation.md gives the formulas, how they were calibrated and how far they are off.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
import math
from pathlib import Path
import random
from statistics import NormalDist
from typing import Any

import yaml

from dynamic_dnn_ros.files import share_folder
from dynamic_dnn_ros.platforms.board_parameters import parameters, scaled
from dynamic_dnn_ros.platforms.contract import DomainLimits, PlatformError

SIMULATED_SUFFIX = '_simulated'
"""Ends the id of each simulated platform; before it stands the name of the board."""

_TERMS = ('constant', 'layer', 'multiply_add', 'parameter')
_PARTS = ('host', 'parallel', 'gpu', 'memory', 'fixed')


@dataclass(frozen=True)
class NetworkCost:
    """
    What the latency of a sub-network depends on.

    `multiply_adds` for one picture, `layers` the convolutions and linear layers that run one
    after the other, `parameters` the weights in use.
    """

    multiply_adds: int
    layers: int
    parameters: int


@dataclass(frozen=True)
class LatencyParts:
    """
    Seconds of one inference, by what they scale with; they follow one another.

    `host` runs on one CPU core, `parallel` on all `cores` of them, `gpu` is bound by the GPU
    clock, `memory` by the memory clock; `fixed` scales with nothing and is spent on the host.
    """

    host: float
    parallel: float
    gpu: float
    memory: float
    fixed: float
    cores: int
    processor: str

    @property
    def total(self) -> float:
        """Return the latency of the board model, s."""
        return self.host + self.parallel + self.gpu + self.memory + self.fixed

    def busy(self) -> dict[str, float]:
        """
        Return the seconds for which this inference keeps each frequency domain busy.

        CPU time counts once a core. The processor that waits for memory counts as busy, as its
        load counter does.
        """
        busy = {
            'cpu': self.host + self.fixed + self.parallel * self.cores,
            'gpu': self.gpu,
            'memory': self.memory,
        }
        busy[self.processor] += self.memory
        return busy


@dataclass(frozen=True)
class DomainModel:
    """One frequency domain: table in Hz, dynamic power C V^2 f, voltage as points (Hz, V)."""

    name: str
    frequencies: tuple[float, ...]
    governor: str
    rail: str
    capacitance: float
    idle_share: float
    voltage: tuple[tuple[float, float], ...]

    def dynamic_power(self, frequency: float, utilisation: float) -> float:
        """Return the dynamic power, W; an idle domain still clocks `idle_share` of it."""
        volts = _interpolate(self.voltage, frequency)
        activity = self.idle_share + (1.0 - self.idle_share) * min(max(utilisation, 0.0), 1.0)
        return self.capacitance * volts * volts * frequency * activity


@dataclass(frozen=True)
class PowerMode:
    """What nvpmodel allows: cores that run, and lowest and highest frequency a domain, Hz."""

    name: str
    cores: int
    limits: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class ThermalModel:
    """
    One heat spreader with a time constant, and zones above it that follow at once.

    Temperatures in degrees Celsius, resistances in K/W; `zones` maps a zone to its domain and
    resistance.
    """

    ambient: float
    resistance: float
    time_constant: float
    zones: Mapping[str, tuple[str, float]]
    throttle_at: float
    release_at: float
    throttle_interval: float
    throttled_domains: tuple[str, ...]

    def advance(self, temperature: float, power: float, duration: float) -> float:
        """Return the spreader's temperature after some time at constant power (first order)."""
        final = self.ambient + self.resistance * power
        return final + (temperature - final) * math.exp(-duration / self.time_constant)


@dataclass(frozen=True)
class _LatencyModel:
    coefficients: Mapping[str, Mapping[str, float]]  # term -> part -> s
    calibrated: Mapping[str, tuple[float, float]]


class BoardModel:
    """
    A board in one power mode.

    Frequencies are mappings from domain name to Hz throughout. `processors` are those that
    networks may be placed on, `modelled_processors` all whose latency the model has;
    `parameters` those of its file, each with its source.
    """

    def __init__(self, mapping: Mapping[str, Any], where: object, power_mode: str = '') -> None:
        """
        Build the model from the data of a platform file.

        :param where: named in errors, the file usually
        :param power_mode: name of a power mode; empty: the file's default
        :raises PlatformError: when the data is incomplete or the mode unknown
        """
        try:
            self._read(mapping, where, power_mode)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PlatformError(
                where, f'cannot be read ({type(error).__name__}: {error})', 'Restore the file'
            ) from error

    def _read(self, mapping: Mapping[str, Any], where: object, power_mode: str) -> None:
        self.name = str(mapping['name'])
        self.parameters = parameters(mapping)
        self.processors: tuple[str, ...] = tuple(mapping['processors'])
        self.domains = {
            name: DomainModel(
                name=name,
                frequencies=tuple(float(f) for f in sorted(entry['frequencies']['value'])),
                governor=str(entry['governor']['value']),
                rail=str(entry['rail']['value']),
                capacitance=float(entry['capacitance']['value']),
                idle_share=float(entry['idle_share']['value']),
                voltage=tuple((float(f), float(v)) for f, v in entry['voltage']['value']),
            )
            for name, entry in mapping['domains'].items()
        }
        modes = mapping['power_modes']['modes']
        chosen = power_mode or mapping['power_modes']['default']
        if chosen not in modes:
            raise PlatformError(
                f'power mode {chosen!r}',
                f'is unknown to {where}',
                f'Choose of: {", ".join(modes)}',
            )
        self.power_mode = PowerMode(
            name=chosen,
            cores=int(modes[chosen]['cores']),
            limits={
                name: (float(modes[chosen][name][0]), float(modes[chosen][name][1]))
                for name in self.domains
            },
        )
        latency = mapping['latency']
        self._reference = {
            name: float(f) for name, f in latency['reference_frequencies']['value'].items()
        }
        self._core_ratio = int(latency['reference_cores']['value']) / self.power_mode.cores
        self._latency = {
            processor: _LatencyModel(
                coefficients={
                    term: {part: float(entry[term].get(part, 0.0)) for part in _PARTS}
                    for term in _TERMS
                },
                calibrated={
                    name: (float(low), float(high))
                    for name, (low, high) in entry['calibrated'].items()
                },
            )
            for processor, entry in latency['processors'].items()
        }
        self.modelled_processors = tuple(self._latency)
        self._bias = float(mapping['deviation']['bias']['value'])
        self.jitter_deviation = float(mapping['deviation']['jitter']['value'])
        self._static = {k: float(v) for k, v in mapping['power']['static']['value'].items()}
        self.total_power_rail = str(mapping['power']['total_rail']['value'])
        self._remainder = float(mapping['power']['remainder']['value'])
        thermal = mapping['thermal']
        self.thermal = ThermalModel(
            ambient=float(thermal['ambient']['value']),
            resistance=float(thermal['resistance']['value']),
            time_constant=float(thermal['time_constant']['value']),
            zones={
                zone: (str(entry['domain']), float(entry['resistance']))
                for zone, entry in thermal['zones']['value'].items()
            },
            throttle_at=float(thermal['throttle_at']['value']),
            release_at=float(thermal['release_at']['value']),
            throttle_interval=float(thermal['throttle_interval']['value']),
            throttled_domains=tuple(thermal['throttled_domains']['value']),
        )
        self.memory_size = float(mapping['memory_size']['value'])

    @property
    def platform(self) -> str:
        """Return the id of the platform that simulates this board."""
        return self.name + SIMULATED_SUFFIX

    def limits(self) -> tuple[DomainLimits, ...]:
        """Return what may be set in this power mode, a row for each domain."""
        rows = []
        for name, domain in self.domains.items():
            low, high = self.power_mode.limits[name]
            available = tuple(f for f in domain.frequencies if low <= f <= high)
            rows.append(DomainLimits(name, available, available[0], available[-1]))
        return tuple(rows)

    def units(self, domain: str) -> int:
        """Return how many busy seconds a second fill a domain: the cores of the CPU, else 1."""
        return self.power_mode.cores if domain == 'cpu' else 1

    def parts(
        self, cost: NetworkCost, processor: str, frequencies: Mapping[str, float]
    ) -> LatencyParts:
        """
        Return the parts of the latency of one inference, preprocessing included.

        t = sum over terms x and clocks c of a(x, c) x f_reference(c) / f(c).

        :raises PlatformError: for an unknown processor or a frequency that is missing
        """
        model = self._latency.get(processor)
        if model is None:
            raise PlatformError(
                f'processor {processor!r}',
                f'the model of {self.name} does not have it',
                f'Choose of: {", ".join(self._latency)}',
            )
        sizes = (1, cost.layers, cost.multiply_adds, cost.parameters)
        sums = {
            part: sum(model.coefficients[term][part] * size for term, size in zip(_TERMS, sizes))
            for part in _PARTS
        }
        stretch = {name: self._stretch(name, frequencies) for name in ('cpu', 'gpu', 'memory')}
        return LatencyParts(
            host=sums['host'] * stretch['cpu'],
            parallel=sums['parallel'] * stretch['cpu'] * self._core_ratio,
            gpu=sums['gpu'] * stretch['gpu'],
            memory=sums['memory'] * stretch['memory'],
            fixed=sums['fixed'],
            cores=self.power_mode.cores,
            processor=processor,
        )

    def _stretch(self, domain: str, frequencies: Mapping[str, float]) -> float:
        frequency = frequencies.get(domain, math.nan)
        if not frequency > 0.0:
            raise PlatformError(
                f'frequency of domain {domain!r}',
                f'is {frequency} Hz, the model of {self.name} needs it',
                'Give the granted frequency of each domain',
            )
        return self._reference[domain] / frequency

    def latency(
        self, cost: NetworkCost, processor: str, frequencies: Mapping[str, float]
    ) -> float:
        """Return the latency of one inference, s, preprocessing included; see `parts`."""
        return self.parts(cost, processor, frequencies).total

    def extrapolated(self, cost: NetworkCost, processor: str) -> bool:
        """Return whether a network lies outside the range that the latency was calibrated on."""
        model = self._latency[processor]
        return not all(
            low <= getattr(cost, name) <= high for name, (low, high) in model.calibrated.items()
        )

    def jitter(self, generator: random.Random) -> float:
        """Return the factor of one frame: log-normal with mean 1."""
        return generator.lognormvariate(-0.5 * self.jitter_deviation**2, self.jitter_deviation)

    def jitter_quantile(self, quantile: float) -> float:
        """Return the quantile of `jitter`."""
        sigma = self.jitter_deviation
        return math.exp(NormalDist().inv_cdf(quantile) * sigma - 0.5 * sigma**2)

    def bias(self, seed: int, application: str) -> float:
        """Return the factor by which this board runs one application slower than its model."""
        return random.Random(f'{seed}/{self.name}/{application}').lognormvariate(0.0, self._bias)

    def power(
        self, frequencies: Mapping[str, float], utilisation: Mapping[str, float]
    ) -> dict[str, float]:
        """
        Return the power of each rail, W: static power plus C V^2 f of the domains on it.

        :param utilisation: 0..1 a domain; one that is missing is idle
        """
        rails = dict(self._static)
        for name, domain in self.domains.items():
            rails[domain.rail] = rails.get(domain.rail, 0.0) + domain.dynamic_power(
                frequencies[name], utilisation.get(name, 0.0)
            )
        return {self.total_power_rail: sum(rails.values()) + self._remainder, **rails}

    def zone_temperatures(
        self, spreader: float, frequencies: Mapping[str, float], utilisation: Mapping[str, float]
    ) -> dict[str, float]:
        """Return each zone's temperature, degrees Celsius, above a spreader of a temperature."""
        return {
            zone: spreader
            + resistance
            * self.domains[domain].dynamic_power(frequencies[domain], utilisation.get(domain, 0.0))
            for zone, (domain, resistance) in self.thermal.zones.items()
        }


def load_board(
    platform: str,
    power_mode: str = '',
    folder: Path | None = None,
    scale: Mapping[str, float] | None = None,
) -> BoardModel:
    """
    Load the model behind a simulated platform.

    :param platform: id of the platform, e.g. `xavier_nx_simulated`
    :param power_mode: name of a power mode; empty: the board's default
    :param folder: that holds the platform files; None: the installed one
    :param scale: factors by which parameters are multiplied, by their names, e.g.
        `{'domains.cpu.capacitance': 1.3}`; `BoardModel.parameters` lists them
    :raises PlatformError: when there is no such board or parameter, or its file cannot be read
    """
    try:
        where = (share_folder() / 'config' / 'platforms') if folder is None else folder
    except FileNotFoundError as error:
        raise PlatformError(
            f'platform {platform!r}', str(error), 'Install the package with its config folder'
        ) from error
    known = sorted(path.stem + SIMULATED_SUFFIX for path in where.glob('*.yaml'))
    if platform not in known:
        raise PlatformError(
            f'platform {platform!r}',
            f'{where} describes no such board',
            f'Choose of: {", ".join(known) or "none"}',
        )
    path = where / f'{platform[: -len(SIMULATED_SUFFIX)]}.yaml'
    try:
        mapping = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, yaml.YAMLError) as error:
        raise PlatformError(path, f'cannot be read ({error})', 'Restore the file') from error
    return BoardModel(scaled(mapping, scale, path) if scale else mapping, path, power_mode)


def _interpolate(points: tuple[tuple[float, float], ...], x: float) -> float:
    """Return the value at x of a line through points; the ends hold beyond them."""
    index = bisect_right([point[0] for point in points], x)
    if index == 0:
        return points[0][1]
    if index == len(points):
        return points[-1][1]
    (x0, y0), (x1, y1) = points[index - 1], points[index]
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
