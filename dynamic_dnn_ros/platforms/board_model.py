# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Model of a board: latency, busy time, power and heat as functions of its clocks. No state.

Every parameter comes from a file in `config/platforms`, with its source or marked as assumed;
docs/simulation.md gives the formulas, how they were calibrated and how far they are off.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
import math
import os
from pathlib import Path
import random
from statistics import NormalDist
from typing import Any

import yaml

from dynamic_dnn_ros.files import share_folder
from dynamic_dnn_ros.platforms.board_parameters import parameters, scaled
from dynamic_dnn_ros.platforms.contract import DomainLimits, PlatformError
from dynamic_dnn_ros.yaml_files import read_yaml

SIMULATED_SUFFIX = '_simulated'
"""Ends the id of each simulated platform; before it stands the name of the board."""

BOARDS_VARIABLE = 'DYNAMIC_DNN_BOARDS'
"""Names a folder with files of other boards, as `dynamic-dnn calibrate` writes them."""

_TERMS = ('constant', 'layer', 'multiply_add', 'parameter')
_PARTS = ('host', 'parallel', 'gpu', 'memory', 'fixed')
_CACHED = 100_000
"""Results that a board remembers: all settings of a dozen sub-networks."""


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
class MeasuredTimes:
    """
    What was measured of one network on one processor, at the board's reference clocks.

    `gpu` seconds that follow the GPU's clock, `accelerator` seconds on a processor whose clock
    is not managed, `rest` all other seconds, which the board's model divides. Where other clocks
    were changed too, `memory` follows that of the memory, `host` and `launch` that of the CPU,
    `fixed` none; `launch` goes on while the GPU works. GPU and memory overlap by the exponent
    `overlap`, both together and the launches by `launch_overlap` (see `overlapped`). The CPU's
    part keeps up to `threads` cores busy and takes longer where there are fewer. Intensities:
    how much more power than the board's average network it takes on the GPU, in memory and on
    the accelerator while it keeps them busy.
    """

    processor: str
    gpu: float
    rest: float
    accelerator: float = 0.0
    gpu_intensity: float = 1.0
    memory_intensity: float = 1.0
    accelerator_intensity: float = 1.0
    memory: float = 0.0
    host: float = 0.0
    launch: float = 0.0
    fixed: float = 0.0
    overlap: float = 1.0
    launch_overlap: float = 1.0
    threads: float = 1.0


@dataclass(frozen=True)
class MeasuredNetwork:
    """A network that was measured on the board, on one or more processors."""

    name: str
    times: tuple[MeasuredTimes, ...]

    @property
    def processors(self) -> tuple[str, ...]:
        """Return the processors that it was measured on."""
        return tuple(times.processor for times in self.times)


@dataclass(frozen=True)
class LatencyParts:
    """
    Seconds of one inference, by what they scale with.

    `host` runs on one CPU core, `parallel` on all `cores` of them, `gpu` is bound by the GPU
    clock, `memory` by the memory clock; `fixed` scales with nothing and is spent on the host,
    `accelerator` scales with nothing and is spent on `processor`. They follow one another, but
    for GPU and memory, which overlap by the exponent `overlap`, and `launch`, CPU time beside
    the two, by `launch_overlap`. `threads` cores work while the CPU does.
    """

    host: float
    parallel: float
    gpu: float
    memory: float
    fixed: float
    cores: int
    processor: str
    accelerator: float = 0.0
    gpu_intensity: float = 1.0
    memory_intensity: float = 1.0
    accelerator_intensity: float = 1.0
    launch: float = 0.0
    overlap: float = 1.0
    launch_overlap: float = 1.0
    threads: float = 1.0

    @cached_property
    def total(self) -> float:
        """Return the latency of the board model, s."""
        if self.overlap == 1.0 and not self.launch:
            return (
                self.host + self.parallel + self.gpu + self.memory + self.fixed + self.accelerator
            )
        working = overlapped(self._computing, self.launch, self.launch_overlap)
        return self.host + self.parallel + working + self.fixed + self.accelerator

    @cached_property
    def _computing(self) -> float:
        """Return the seconds for which GPU or memory are at work."""
        return overlapped(self.gpu, self.memory, self.overlap)

    @cached_property
    def processor_share(self) -> float:
        """Return the share of the latency for which it keeps its processor, 0..1."""
        if self.launch:
            return (self.parallel + self._computing + self.accelerator) / self.total
        return 1.0 - (self.host + self.fixed) / self.total

    def busy(self) -> dict[str, float]:
        """
        Return the seconds for which this inference keeps each frequency domain busy.

        CPU time counts once a core. The processor that waits for memory counts as busy, as its
        load counter does.
        """
        on_host = (self.host + self.launch) * min(self.threads, self.cores) + self.fixed
        busy = {
            'cpu': on_host + self.parallel * self.cores,
            'gpu': self.gpu,
            'memory': self.memory,
        }
        if self.processor == 'gpu' and self.overlap != 1.0:
            busy['gpu'] = self._computing
            return busy
        busy[self.processor] = busy.get(self.processor, 0.0) + self.memory + self.accelerator
        return busy

    def activity(self) -> dict[str, float]:
        """
        Return `busy` in seconds of the board's average network, for `BoardModel.power`.

        A network that works a processor harder than others counts for more than its time.
        """
        busy = self.busy()
        busy['gpu'] *= self.gpu_intensity
        busy['memory'] *= self.memory_intensity
        if self.accelerator:
            busy[self.processor] *= self.accelerator_intensity
        return busy


def overlapped(one: float, other: float, exponent: float) -> float:
    """
    Return how long two take that work at the same time: (one^p + other^p)^(1/p), s.

    With an exponent of 1 they follow one another, with an infinite one the longer one decides.
    Layers of a network lie between: some wait for the one, some for the other.
    """
    if exponent == 1.0:
        return one + other
    longer, shorter = (one, other) if one > other else (other, one)
    if not longer > 0.0:
        return 0.0
    return float(longer * (1.0 + (shorter / longer) ** exponent) ** (1.0 / exponent))


@dataclass(frozen=True)
class DomainModel:
    """
    One frequency domain: table in Hz, dynamic power C V^2 f, voltage as points (Hz, V).

    `rails` are those that it is on, each with its share of that power, the largest one first.
    """

    name: str
    frequencies: tuple[float, ...]
    governor: str
    rails: tuple[tuple[str, float], ...]
    capacitance: float
    idle_share: float
    voltage: tuple[tuple[float, float], ...]

    @property
    def rail(self) -> str:
        """Return the rail that most of its power is on."""
        return self.rails[0][0]

    def dynamic_power(self, frequency: float, activity: float) -> float:
        """
        Return the dynamic power, W; an idle domain still clocks `idle_share` of it.

        :param activity: utilisation, times the intensity of what runs; 1: the average network
            all of the time
        """
        return self.full_power(frequency) * (
            self.idle_share + (1.0 - self.idle_share) * max(activity, 0.0)
        )

    def full_power(self, frequency: float) -> float:
        """Return the dynamic power of a domain that is always busy, W: C V^2 f."""
        volts = _interpolate(self.voltage, frequency)
        return self.capacitance * volts * volts * frequency


@dataclass(frozen=True)
class PowerMode:
    """
    What nvpmodel allows: cores that run, and lowest and highest frequency a domain, Hz.

    `gpu_share` is the share of the GPU's units that are powered, `budget` what the module may
    take, W; infinite where the mode has no budget.
    """

    name: str
    cores: int
    limits: Mapping[str, tuple[float, float]]
    gpu_share: float = 1.0
    budget: float = math.inf


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
class Contention:
    """
    How long two networks on one processor hold each other up, while both are at work.

    A frame of t seconds, of which it keeps the processor for the share u, is held up by
    `sharing` u u' t (both are on the processor, which goes from one to the other), plus
    `processor_delay` u u' + `other_delay` (1 - u)(1 - u') seconds. Several that hold it up by
    x each do so by the norm (sum of x^norm)^(1/norm).
    """

    sharing: float
    processor_delay: float
    other_delay: float
    norm: float

    def hold_up(self, own: LatencyParts, other: LatencyParts) -> float:
        """Return the share of its latency by which a frame is held up while another works."""
        if own.processor != other.processor:
            return 0.0
        return self.share(own.processor_share, other.processor_share, own.total)

    def share(self, own: float, other: float, latency: float) -> float:
        """Return the same from the two processor shares and the latency alone, s."""
        both, neither = own * other, (1.0 - own) * (1.0 - other)
        delay = self.processor_delay * both + self.other_delay * neither
        return self.sharing * both + (delay / latency if delay else 0.0)

    def slow_down(
        self, processor_share: float, hold_ups: Sequence[float], foreign: float
    ) -> float:
        """
        Return the factor by which a frame takes longer.

        :param processor_share: that of the frame, 0..1
        :param hold_ups: one for each that works beside it; times the share of the time for
            which it does, where that is not always
        :param foreign: load that is not ours on the same processor, below 1: processor sharing
        """
        if len(hold_ups) > 1 and self.norm != 1.0:
            held = sum(value**self.norm for value in hold_ups) ** (1.0 / self.norm)
        else:
            held = sum(hold_ups)
        if not foreign:
            return 1.0 + held
        return 1.0 + processor_share * (1.0 / (1.0 - foreign) - 1.0) + held / (1.0 - foreign)


IN_TURN = Contention(sharing=1.0, processor_delay=0.0, other_delay=0.0, norm=1.0)
"""Of an accelerator, which runs one network at a time: assumed, nobody measured two on one."""


@dataclass(frozen=True)
class _LatencyModel:
    coefficients: tuple[tuple[float, ...], ...]  # a row a part of _PARTS, a column a term, s
    calibrated: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Accelerator:
    """
    A processor without a managed clock, e.g. a DLA: what it takes at work, W.

    `rails` are those that it is on, each with its share of that power, the largest one first.
    """

    rails: tuple[tuple[str, float], ...]
    power: float

    @property
    def rail(self) -> str:
        """Return the rail that most of its power is on."""
        return self.rails[0][0]


class BoardModel:
    """
    A board in one power mode.

    Frequencies are mappings from domain name to Hz throughout. `processors` are those that
    networks may be placed on, `modelled_processors` all whose latency the model has;
    `parameters` those of its file, each with its source; `networks` those that were measured on
    it, by name; `power_modes` all modes by name.
    """

    def __init__(self, mapping: Mapping[str, Any], where: object, power_mode: str = '') -> None:
        """
        Build the model from the data of a platform file.

        :param where: named in errors, the file usually
        :param power_mode: name of a power mode; empty: the file's default
        :raises PlatformError: when the data is incomplete or the mode unknown
        """
        self._parts: dict[tuple[Any, ...], LatencyParts] = {}
        self._full_power: dict[tuple[str, float], float] = {}
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
                rails=_rails(entry['rail']['value']),
                capacitance=_number(entry['capacitance']),
                idle_share=_number(entry['idle_share']),
                voltage=tuple((float(f), float(v)) for f, v in entry['voltage']['value']),
            )
            for name, entry in mapping['domains'].items()
        }
        self._offered = {name: frozenset(d.frequencies) for name, d in self.domains.items()}
        modes = mapping['power_modes']['modes']
        self.power_modes = {name: self._mode(name, entry) for name, entry in modes.items()}
        chosen = power_mode or mapping['power_modes']['default']
        if chosen not in modes:
            raise PlatformError(
                f'power mode {chosen!r}',
                f'is unknown to {where}',
                f'Choose of: {", ".join(modes)}',
            )
        self.power_mode = self.power_modes[chosen]
        self._read_latency(mapping['latency'])
        self._bias = _number(mapping['deviation']['bias'])
        self.jitter_deviation = _number(mapping['deviation']['jitter'])
        self._read_power(mapping['power'])
        self.contention = Contention(
            **{name: _number(entry) for name, entry in mapping['contention'].items()}
        )
        self.networks = {
            name: MeasuredNetwork(
                name,
                tuple(
                    MeasuredTimes(processor, **{k: float(v) for k, v in times.items()})
                    for processor, times in entry['value'].items()
                ),
            )
            for name, entry in mapping.get('networks', {}).items()
        }
        for twin, entry in mapping.get('twins', {}).items():
            self._add_twin(twin, str(entry['value']))
        thermal = mapping['thermal']
        throttle_at = _number(thermal['throttle_at'])
        self.thermal = ThermalModel(
            ambient=_number(thermal['ambient']),
            resistance=_number(thermal['resistance']),
            time_constant=_number(thermal['time_constant']),
            zones={
                zone: (str(entry['domain']), float(entry['resistance']))
                for zone, entry in thermal['zones']['value'].items()
            },
            throttle_at=throttle_at,
            release_at=throttle_at - _number(thermal['hysteresis']),
            throttle_interval=_number(thermal['throttle_interval']),
            throttled_domains=tuple(thermal['throttled_domains']['value']),
        )
        self.memory_size = _number(mapping['memory_size'])

    def _add_twin(self, name: str, like: str) -> None:
        """Add an accelerator that is as another one, which was measured."""
        self.accelerators[name] = self.accelerators[like]
        for network, measured in self.networks.items():
            times = [replace(t, processor=name) for t in measured.times if t.processor == like]
            self.networks[network] = replace(measured, times=(*measured.times, *times))

    def _mode(self, name: str, entry: Mapping[str, Any]) -> PowerMode:
        return PowerMode(
            name=name,
            cores=int(entry['cores']),
            limits={d: (float(entry[d][0]), float(entry[d][1])) for d in self.domains},
            gpu_share=float(entry.get('gpu_share', 1.0)),
            budget=float(entry.get('budget', math.inf)),
        )

    def _read_latency(self, latency: Mapping[str, Any]) -> None:
        self.reference_frequencies = {
            name: float(f) for name, f in latency['reference_frequencies']['value'].items()
        }
        self._core_ratio = _number(latency['reference_cores']) / self.power_mode.cores
        host = min(_number(latency['host_share']), 1.0)
        memory = (1.0 - host) * min(_number(latency['memory_share']), 1.0)
        self._rest = (host, memory, 1.0 - host - memory)
        activations = min(_number(latency['activation_share']), 1.0)
        self._latency = {}
        for processor, entry in latency['processors'].items():
            # What the file gives: part -> term -> seconds at the reference clocks.
            given = {
                part: [
                    float(entry.get(part, {}).get('value', {}).get(term, 0.0)) for term in _TERMS
                ]
                for part in ('gpu', 'parallel', 'memory', 'rest')
            }
            column = _TERMS.index('multiply_add')
            moved = given['gpu'][column] * activations
            given['gpu'][column] -= moved
            given['memory'][column] += moved
            coefficients = {
                'host': [value * self._rest[0] for value in given['rest']],
                'parallel': given['parallel'],
                'gpu': given['gpu'],
                'memory': [
                    value + rest * self._rest[1]
                    for value, rest in zip(given['memory'], given['rest'])
                ],
                'fixed': [value * self._rest[2] for value in given['rest']],
            }
            self._latency[processor] = _LatencyModel(
                coefficients=tuple(tuple(coefficients[part]) for part in _PARTS),
                calibrated={
                    name: (float(low), float(high))
                    for name, (low, high) in entry['calibrated']['value'].items()
                },
            )
        self.modelled_processors = tuple(self._latency)

    def _read_power(self, power: Mapping[str, Any]) -> None:
        # The file has what an idle board takes at the reference clocks, since that is measured.
        self._static = {k: float(v) for k, v in power['idle']['value'].items()}
        for name, domain in self.domains.items():
            idle = domain.idle_share * domain.full_power(self.reference_frequencies[name])
            for rail, share in domain.rails:
                self._static[rail] = max(self._static[rail] - share * idle, 0.0)
        self.total_power_rail = str(power['total_rail']['value'])
        self._remainder = _number(power['remainder'])
        self._overhead = {k: float(v) for k, v in power['overhead']['value'].items()}
        self.accelerators = {
            name: Accelerator(_rails(entry['rail']['value']), _number(entry['power']))
            for name, entry in power.get('accelerators', {}).items()
        }

    @property
    def platform(self) -> str:
        """Return the id of the platform that simulates this board."""
        return self.name + SIMULATED_SUFFIX

    def contention_on(self, processor: str) -> Contention:
        """Return how networks on one processor hold each other up."""
        return IN_TURN if processor in self.accelerators else self.contention

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
        self,
        work: NetworkCost | MeasuredNetwork,
        processor: str,
        frequencies: Mapping[str, float],
    ) -> LatencyParts:
        """
        Return the parts of the latency of one inference, preprocessing included.

        Of a network by its cost: sum over terms x and clocks c of a(x, c) x f_reference(c) / f(c).

        :param work: a network by its cost, or one that was measured
        :raises PlatformError: for an unknown processor or a frequency that is missing
        """
        clocks = (frequencies.get('cpu'), frequencies.get('gpu'), frequencies.get('memory'))
        key = (work, processor, clocks)
        found = self._parts.get(key)
        if found is None:
            found = self._compute(work, processor, frequencies)
            if len(self._parts) >= _CACHED:
                self._parts.clear()
            # A load of somebody may say any frequency: only those of the tables come again.
            if all(self._is_offered(*each) for each in zip(('cpu', 'gpu', 'memory'), clocks)):
                self._parts[key] = found
        return found

    def _compute(
        self,
        work: NetworkCost | MeasuredNetwork,
        processor: str,
        frequencies: Mapping[str, float],
    ) -> LatencyParts:
        cpu, gpu, memory = (self._stretch(name, frequencies) for name in ('cpu', 'gpu', 'memory'))
        gpu /= self.power_mode.gpu_share
        if isinstance(work, MeasuredNetwork):
            times = next((t for t in work.times if t.processor == processor), None)
            if times is None:
                raise PlatformError(
                    f'processor {processor!r}',
                    f'network {work.name!r} was not measured on it',
                    f'Choose of: {", ".join(work.processors)}',
                )
            host_share, memory_share, fixed_share = self._rest
            cores = self.power_mode.cores
            cpu *= max(1.0, times.threads / cores)
            return LatencyParts(
                host=(times.rest * host_share + times.host) * cpu,
                parallel=0.0,
                gpu=times.gpu * gpu,
                memory=(times.rest * memory_share + times.memory) * memory,
                fixed=times.rest * fixed_share + times.fixed,
                launch=times.launch * cpu,
                overlap=times.overlap,
                launch_overlap=times.launch_overlap,
                threads=times.threads,
                cores=cores,
                processor=processor,
                accelerator=times.accelerator,
                gpu_intensity=times.gpu_intensity,
                memory_intensity=times.memory_intensity,
                accelerator_intensity=times.accelerator_intensity,
            )
        model = self._latency.get(processor)
        if model is None:
            raise PlatformError(
                f'processor {processor!r}',
                f'the model of {self.name} does not have it',
                f'Choose of: {", ".join(self._latency)}',
            )
        sizes = (1, work.layers, work.multiply_adds, work.parameters)
        host, parallel, on_gpu, in_memory, fixed = (
            sum(coefficient * size for coefficient, size in zip(row, sizes))
            for row in model.coefficients
        )
        return LatencyParts(
            host=host * cpu,
            parallel=parallel * cpu * self._core_ratio,
            gpu=on_gpu * gpu,
            memory=in_memory * memory,
            fixed=fixed,
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
        return self.reference_frequencies[domain] / frequency

    def latency(
        self,
        work: NetworkCost | MeasuredNetwork,
        processor: str,
        frequencies: Mapping[str, float],
    ) -> float:
        """Return the latency of one inference, s, preprocessing included; see `parts`."""
        return self.parts(work, processor, frequencies).total

    def extrapolated(self, work: NetworkCost | MeasuredNetwork, processor: str) -> bool:
        """Return whether a network lies outside the range that the latency was calibrated on."""
        if isinstance(work, MeasuredNetwork):
            return False
        model = self._latency[processor]
        return not all(
            low <= getattr(work, name) <= high for name, (low, high) in model.calibrated.items()
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
        self, frequencies: Mapping[str, float], activity: Mapping[str, float]
    ) -> dict[str, float]:
        """
        Return the power of each rail, W: static power plus C V^2 f of the domains on it.

        The rail of the module takes the sum, what is on no other rail, and a share of each for
        what its regulator loses.

        :param activity: of each domain and accelerator the share of the time for which it is
            busy, times the intensity of what runs there; one that is missing is idle
        """
        rails = self._static.copy()
        for name, domain in self.domains.items():
            share = domain.idle_share + (1.0 - domain.idle_share) * activity.get(name, 0.0)
            watts = self._full(name, frequencies[name]) * share
            for rail, part in domain.rails:
                rails[rail] += watts * part
        for name, accelerator in self.accelerators.items():
            if name in activity:
                watts = accelerator.power * activity[name]
                for rail, part in accelerator.rails:
                    rails[rail] += watts * part
        total = self._remainder
        for rail, watts in rails.items():
            total += watts * (1.0 + self._overhead.get(rail, 0.0))
        return {self.total_power_rail: total, **rails}

    def _full(self, domain: str, frequency: float) -> float:
        key = (domain, frequency)
        found = self._full_power.get(key)
        if found is None:
            found = self.domains[domain].full_power(frequency)
            if domain == 'gpu':
                found *= self.power_mode.gpu_share
            if self._is_offered(domain, frequency):
                self._full_power[key] = found
        return found

    def _is_offered(self, domain: str, frequency: float | None) -> bool:
        return frequency is None or frequency in self._offered.get(domain, ())

    def zone_temperatures(
        self, spreader: float, frequencies: Mapping[str, float], activity: Mapping[str, float]
    ) -> dict[str, float]:
        """Return each zone's temperature, degrees Celsius, above a spreader of a temperature."""
        zones = {}
        for zone, (name, resistance) in self.thermal.zones.items():
            idle = self.domains[name].idle_share
            share = idle + (1.0 - idle) * activity.get(name, 0.0)
            zones[zone] = spreader + resistance * self._full(name, frequencies[name]) * share
        return zones


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
    :param folder: that holds the platform files; None: the installed one, and before it the one
        that the environment variable `DYNAMIC_DNN_BOARDS` names
    :param scale: factors by which parameters are multiplied, by their names, e.g.
        `{'domains.cpu.capacitance': 1.3}`; `BoardModel.parameters` lists them
    :raises PlatformError: when there is no such board or parameter, or its file cannot be read
    """
    files = {
        path.stem + SIMULATED_SUFFIX: path
        for place in reversed(_folders(platform) if folder is None else [folder])
        for path in sorted(place.glob('*.yaml'))
    }
    path = files.get(platform)
    if path is None:
        raise PlatformError(
            f'platform {platform!r}',
            'no such board is described',
            f'Choose of: {", ".join(sorted(files)) or "none"}; {BOARDS_VARIABLE} may name a '
            'folder with others',
        )
    try:
        mapping = _file(path, path.stat().st_mtime_ns)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PlatformError(path, f'cannot be read ({error})', 'Restore the file') from error
    return BoardModel(scaled(mapping, scale, path) if scale else mapping, path, power_mode)


def _folders(platform: str) -> list[Path]:
    """Return the folders that hold files of boards, those of the user first."""
    own = os.environ.get(BOARDS_VARIABLE, '')
    try:
        shipped = share_folder() / 'config' / 'platforms'
    except FileNotFoundError as error:
        raise PlatformError(
            f'platform {platform!r}', str(error), 'Install the package with its config folder'
        ) from error
    return [Path(own), shipped] if own else [shipped]


@lru_cache(maxsize=8)
def _file(path: Path, _modified: int) -> Mapping[str, Any]:
    """Return what a file says; sweeps load the same board hundreds of times."""
    mapping: Mapping[str, Any] = read_yaml(path)
    return mapping


def _number(entry: Mapping[str, Any]) -> float:
    return float(entry['value'])


def _rails(value: object) -> tuple[tuple[str, float], ...]:
    """Return the rails of a domain, each with its share: one name, or shares by name."""
    if not isinstance(value, Mapping):
        return ((str(value), 1.0),)
    return tuple(
        (str(rail), float(share))
        for rail, share in sorted(value.items(), key=lambda item: -float(item[1]))
    )


def _interpolate(points: tuple[tuple[float, float], ...], x: float) -> float:
    """Return the value at x of a line through points; the ends hold beyond them."""
    index = bisect_right([point[0] for point in points], x)
    if index == 0:
        return points[0][1]
    if index == len(points):
        return points[-1][1]
    (x0, y0), (x1, y1) = points[index - 1], points[index]
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
