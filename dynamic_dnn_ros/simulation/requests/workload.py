# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The YAML file of a workload of requests: how many, how often, to which networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
import os
from pathlib import Path
from typing import Any

from dynamic_dnn_ros.simulation.requests.synthetic import NETWORKS, patterns, synthetic_trace
from dynamic_dnn_ros.simulation.requests.traces import Trace, read_trace
from dynamic_dnn_ros.simulation.scenario import ScenarioError, check_mapping

_POSITIVE = {'type': 'number', 'exclusiveMinimum': 0}

SCHEMA: dict[str, Any] = {
    'type': 'object',
    'required': ['requests'],
    'additionalProperties': False,
    'properties': {
        'name': {'type': 'string'},
        'seed': {'type': 'integer'},
        'requests': {
            'type': 'object',
            'required': ['rates', 'networks'],
            'additionalProperties': False,
            'properties': {
                'count': {'type': 'integer', 'minimum': 1},
                'rates': {'type': 'array', 'minItems': 1, 'items': _POSITIVE},
                'deadline_multiples': {'type': 'array', 'minItems': 1, 'items': _POSITIVE},
                'priorities': {
                    'type': 'array',
                    'minItems': 1,
                    'items': {'type': 'integer', 'minimum': 0, 'maximum': 255},
                },
                'switch_cost': {'type': 'number', 'minimum': 0},
                'networks': {
                    'type': 'array',
                    'minItems': 1,
                    'items': {
                        'type': 'object',
                        'additionalProperties': False,
                        'properties': {
                            'synthetic': {'enum': sorted(NETWORKS)},
                            'trace': {'type': 'string'},
                            'network': {'type': 'string'},
                            'pattern': {'type': 'string'},
                        },
                    },
                },
            },
        },
    },
}


@dataclass(frozen=True, eq=False)
class RequestWorkload:
    """
    Requests to several networks; each rate is combined with each multiple.

    :param count: requests of a run
    :param rates: Hz, of Poisson arrivals
    :param multiples: of the network's mean isolated latency, from arrival to deadline
    :param priorities: drawn with equal chances
    :param switch_cost: s, that the processor loses when it parks a request that is not done
    :param traces: drawn with equal chances
    """

    name: str
    traces: tuple[Trace, ...]
    rates: tuple[float, ...]
    multiples: tuple[float, ...] = (10.0,)
    count: int = 1000
    priorities: tuple[int, ...] = (1, 3, 9)
    switch_cost: float = 0.0
    seed: int = 1

    @classmethod
    def from_mapping(cls, mapping: Any, where: Path) -> RequestWorkload:
        """
        Build a workload from the data of a YAML file.

        :param where: the file; paths in it are relative to its folder
        :raises ScenarioError: naming the field, what is wrong with it, and the remedy
        """
        check_mapping(mapping, SCHEMA, where)
        requests = mapping['requests']
        traces: list[Trace] = []
        for index, entry in enumerate(requests['networks']):
            traces += _traces(entry, where.parent, f'{where}: requests.networks[{index}]')
        return cls(
            name=mapping.get('name') or where.stem,
            traces=tuple(traces),
            rates=tuple(float(rate) for rate in requests['rates']),
            multiples=tuple(float(m) for m in requests.get('deadline_multiples', (10.0,))),
            count=requests.get('count', 1000),
            priorities=tuple(requests.get('priorities', (1, 3, 9))),
            switch_cost=float(requests.get('switch_cost', 0.0)),
            seed=mapping.get('seed', 1),
        )


def is_request_workload(mapping: Any) -> bool:
    """Tell whether the data of a YAML file is a workload of requests, valid or not."""
    return isinstance(mapping, Mapping) and 'requests' in mapping


_synthetic = lru_cache(maxsize=64)(synthetic_trace)


def _traces(entry: Mapping[str, str], folder: Path, where: str) -> list[Trace]:
    """Return the traces of a network: those of all its patterns where none is named."""
    if ('synthetic' in entry) == ('trace' in entry):
        raise ScenarioError(where, 'names no trace, or two', "Give one of 'synthetic', 'trace'")
    if 'trace' in entry:
        path = Path(os.path.expandvars(entry['trace'])).expanduser()
        path = path if path.is_absolute() else folder / path
        if not path.is_file():
            raise ScenarioError(
                where,
                f'{path} is absent: this data is no part of the package',
                'Give the path of the file; environment variables in it are replaced',
            )
        return [read_trace(path, entry.get('network', path.stem), entry.get('pattern', ''))]
    name = entry['synthetic']
    known = patterns(name)
    if 'pattern' in entry and entry['pattern'] not in known:
        raise ScenarioError(
            f'{where}.pattern = {entry["pattern"]!r}',
            f'{name} has none of that name',
            f'Choose of: {", ".join(filter(None, known)) or "none; leave it out"}',
        )
    return [_synthetic(name, each) for each in known if entry.get('pattern', each) == each]
