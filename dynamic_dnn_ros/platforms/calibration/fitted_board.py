# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A board's file made of what was fitted to a table, and of a known board where the table is silent.

Each entry says whether it was fitted or *assumed*.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import fields
import math
from typing import Any

import yaml

from dynamic_dnn_ros.platforms.board_model import MeasuredTimes
from dynamic_dnn_ros.platforms.calibration.latency_fit import CPU, FittedLatency, Reference
from dynamic_dnn_ros.platforms.calibration.power_fit import FittedPower
from dynamic_dnn_ros.platforms.calibration.table import DOMAINS, GPU, Row, Table

DEFAULT_MODE = 'MAXN'
_LOWEST_VOLTS = 0.65
"""What the lowest voltage is called; it cancels out against the capacitance."""

_LEAST_SHARE = 0.01
"""Of a domain's power, below which it is not on a rail."""

_DEFAULTS = {each.name: each.default for each in fields(MeasuredTimes)}
_HEADER = """\
# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
#
# Model of the board {name}, made by `dynamic-dnn calibrate` from {table}.
# Every entry is {{value, source}}; "assumed" means that the table does not say it: it is
# plausible, and must not be quoted as a property of this board. Units: SI, see docs/simulation.md.

"""


def network_name(row: Row, sizes: Mapping[str, Sequence[int]]) -> str:
    """Return what a board calls a network of a table: with the size where there are several."""
    if len(sizes[row.network]) > 1:
        return f'{row.network}@{row.image_size}'
    return row.network


def sizes_of(rows: Sequence[Row]) -> dict[str, list[int]]:
    """Return the sizes of pictures of each network, ascending."""
    found: dict[str, set[int]] = {}
    for row in rows:
        found.setdefault(row.network, set()).add(row.image_size)
    return {network: sorted(sizes) for network, sizes in found.items()}


def mode_name(cores: int, reference: Reference) -> str:
    """Return the power mode in which so many cores run."""
    return DEFAULT_MODE if cores in (0, reference.cores) else f'{cores}_CORES'


class BoardFile:
    """
    The mapping of a board's file while it is made.

    :param like: file of a known board, which gives what the table does not
    """

    def __init__(
        self, name: str, table: Table, reference: Reference, like: Mapping[str, Any]
    ) -> None:
        """Take all from the known board but name, clocks and power modes."""
        self._table, self._reference = table, reference
        self._like = str(like['name'])
        self._fitted = f'fit to {table.name}'
        self._assumed = f'assumed: as the {self._like}'
        result = _with_source(deepcopy(dict(like)), self._assumed)
        result['name'] = name
        result['networks'] = {}
        result['power'].pop('accelerators', None)
        result.pop('twins', None)
        for domain in DOMAINS:
            if table.clocks(domain):
                result['domains'][domain]['frequencies'] = {
                    'value': list(table.clocks(domain)),
                    'source': f'the clocks of {table.name}',
                }
        result['power_modes'] = self._modes(like)
        latency = result['latency']
        latency['reference_frequencies'] = {
            'value': dict(reference.clocks),
            'source': f'the highest clocks of {table.name}; {self._assumed} where it has none',
        }
        if any(row.cores for row in table.rows):
            latency['reference_cores'] = {
                'value': reference.cores,
                'source': f'the most cores of {table.name}',
            }
        for processor in latency['processors'].values():
            # No network of the table is known by its cost: all such are extrapolated.
            processor['calibrated'] = {
                'value': {name: [0, 0] for name in processor['calibrated']['value']},
                'source': f'no network of {table.name} is known by its cost',
            }
        if len(table.clocks('memory')) > 1:
            latency['memory_share'] = {
                'value': 0.0,
                'source': f'{self._fitted}: networks have a part of their own for the memory',
            }
        self.mapping: dict[str, Any] = result

    def _modes(self, like: Mapping[str, Any]) -> dict[str, Any]:
        modes = like['power_modes']
        limits = {
            domain: list(
                (self._table.clocks(domain)[0], self._table.clocks(domain)[-1])
                if self._table.clocks(domain)
                else modes['modes'][modes['default']][domain]
            )
            for domain in DOMAINS
        }
        cores = {row.cores for row in self._table.rows if row.cores} or {self._reference.cores}
        return {
            'source': f'the range of {self._table.name}; the modes of nvpmodel are not in it',
            'default': DEFAULT_MODE,
            'modes': {
                mode_name(count, self._reference): {'cores': count, **deepcopy(limits)}
                for count in sorted(cores, reverse=True)
            },
        }

    def add_networks(self, fitted: Sequence[FittedLatency]) -> None:
        """Add the networks, each size of their pictures as one of its own."""
        sizes = sizes_of(self._table.rows)
        for each in sorted(fitted, key=lambda one: one.processor != GPU):
            for size in sizes[each.network]:
                if float(size or 1) not in each.law.sizes:
                    continue
                row = Row(0, each.network, each.processor, size, 0, {}, 1.0)
                entry = self.mapping['networks'].setdefault(
                    network_name(row, sizes), {'value': {}, 'source': self._fitted}
                )
                on_gpu = entry['value'].get(GPU, {})
                entry['value'][each.processor] = _network(each, size, on_gpu)

    def add_power(self, power: FittedPower, varied: Collection[str]) -> None:
        """
        Add the power of all rails.

        :param varied: the domains whose clocks were changed; of the others only the sum was seen
        """
        mapping, highest = self.mapping, self._reference.clocks
        idle = dict(power.static)
        for domain in DOMAINS:
            source = self._fitted
            if domain not in varied:
                source = 'assumed: its clock was not changed, so only the sum was measured'
            entry, full = mapping['domains'][domain], power.full[domain]
            whole = sum(full.values())
            for rail, watts in full.items():
                idle[rail] += watts * power.idle_share[domain]
            volts = _LOWEST_VOLTS * (1.0 + power.rise[domain])
            rails = full if whole else dict.fromkeys(list(power.static)[:1], 1.0)
            entry['rail'] = {'value': _shares(rails), 'source': source}
            entry['capacitance'] = {
                'value': whole / (volts**2 * highest[domain]),
                'source': source,
            }
            entry['idle_share'] = {'value': power.idle_share[domain], 'source': source}
            entry['voltage'] = {
                'value': [[power.knee[domain], _LOWEST_VOLTS], [highest[domain], volts]],
                'source': f'{source}; of the ratio, the lowest is assumed and cancels out',
            }
        mapping['power'] = {
            'idle': {'value': idle, 'source': self._fitted},
            'total_rail': {'value': power.total, 'source': f'columns of {self._table.name}'},
            'remainder': {'value': power.remainder, 'source': self._fitted},
            'overhead': {'value': dict(power.overhead), 'source': self._fitted},
        }
        for (subject, place), factor in power.intensity.items():
            self._add_intensity(subject, place, factor)
        self.add_accelerators(power.accelerators, self._fitted)

    def _add_intensity(self, subject: tuple[str, str, int], place: str, factor: float) -> None:
        network, processor, size = subject
        row = Row(0, network, processor, size, 0, {}, 1.0)
        name = network_name(row, sizes_of(self._table.rows))
        times = self.mapping['networks'].get(name, {'value': {}})['value'].get(processor)
        if times is None or place not in (*DOMAINS, processor):
            return
        kind = place if place in DOMAINS else 'accelerator'
        if abs(factor - 1.0) > 1e-3:
            times[f'{kind}_intensity'] = factor

    def add_accelerators(self, found: Mapping[str, Mapping[str, float]], source: str) -> None:
        """Add the processors that are no frequency domain: W at work by rail."""
        for name, watts in found.items():
            self.mapping['power'].setdefault('accelerators', {})[name] = {
                'rail': {'value': _shares(watts), 'source': source},
                'power': {'value': sum(watts.values()), 'source': source},
            }

    def text(self) -> str:
        """Return the file."""
        header = _HEADER.format(name=self.mapping['name'], table=self._table.name, like=self._like)
        body = yaml.safe_dump(
            rounded(self.mapping), sort_keys=False, default_flow_style=None, width=120
        )
        return header + str(body)


def _shares(watts: Mapping[str, float]) -> str | dict[str, float]:
    """Return the rails of a domain as the file has them: one name, or shares by name."""
    whole = sum(watts.values())
    kept = {rail: own for rail, own in watts.items() if own > _LEAST_SHARE * whole}
    if len(kept) == 1:
        return next(iter(kept))
    return {rail: own / sum(kept.values()) for rail, own in kept.items()}


def _network(fitted: FittedLatency, size: int, on_gpu: Mapping[str, float]) -> dict[str, float]:
    """Return a network on a processor as the file has it: what is not the default."""
    times = {k: v for k, v in vars(fitted.times(size)).items() if k != 'processor'}
    own = fitted.processor
    if own not in (CPU, GPU):
        # Preprocessing is the same on every processor; what is left is the accelerator's.
        host = min(on_gpu.get('rest', 0.0) + on_gpu.get('fixed', 0.0), times['fixed'])
        times.update(accelerator=times['fixed'] - host, rest=host, fixed=0.0)
    elif own == GPU and 'host' not in fitted.law.parts:
        # No clock of the CPU was changed: the known board says what of it follows that.
        times.update(rest=times['fixed'], fixed=0.0)
    return {
        name: value
        for name, value in times.items()
        if name in ('gpu', 'rest') or value != _DEFAULTS[name]
    }


def _with_source(node: Any, source: str) -> Any:
    """Return a part of a file in which every entry has the same source."""
    if not isinstance(node, Mapping):
        return node
    result = {key: _with_source(value, source) for key, value in node.items() if key != 'source'}
    if 'value' in node:
        result = {'value': deepcopy(node['value'])}
    if 'source' in node:
        result['source'] = source
    return result


def rounded(value: Any) -> Any:
    """Return numbers with five digits, at any depth; whole ones from 10^5 on."""
    if isinstance(value, Mapping):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    if not isinstance(value, float):
        return value
    if abs(value) >= 1e5 and math.isfinite(value):
        return round(value)
    return float(f'{value:.5g}')
