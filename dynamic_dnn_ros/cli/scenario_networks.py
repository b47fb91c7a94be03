# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The dynamic networks that a scenario names, as the board of the scenario runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import product
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.profile import OperatingPoints, ProfileKind
from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.bundles.shipped import find_bundle
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.platforms.board_model import SIMULATED_SUFFIX, BoardModel
from dynamic_dnn_ros.profiling.simulated import network_cost, simulated_profile
from dynamic_dnn_ros.simulation.scenario import Scenario, ScenarioError
from dynamic_dnn_ros.simulation.workload import Workload

LEVELS_LAYOUT = 'ofa_mbv3_d234_e346_k357_w1.2'
"""Of the sub-networks that were published with Dynamic-OFA."""


def workloads(scenario: Scenario, board: BoardModel, folder: Path) -> dict[str, Workload]:
    """
    Return the network of each application of a scenario.

    :param board: of the scenario, in its power mode
    :param folder: that paths in the scenario are relative to
    :raises ScenarioError: when one cannot be read, or the board model cannot run it
    """
    made: dict[str, Workload] = {}
    found = {}
    for application in scenario.applications:
        key = json.dumps(application.network, sort_keys=True)
        if key not in made:
            made[key] = workload(application.network, board, folder, application.id)
        found[application.id] = made[key]
    return found


def workload(
    network: Mapping[str, Any], board: BoardModel, folder: Path, where: object
) -> Workload:
    """Return one network as a board runs it; see `workloads`."""
    if 'measured' in network:
        return _measured(network['measured'], board, f'{where}: network.measured')
    name, sub_networks = _sub_networks(network, folder, f'{where}: network')
    only = network.get('only')
    if only:
        known = [entry.id for entry in sub_networks]
        unknown = [each for each in only if each not in known]
        if unknown:
            raise ScenarioError(
                f'{where}: network.only',
                f'{name} has no sub-network {unknown[0]!r}',
                f'Choose of: {", ".join(known)}',
            )
        sub_networks = [entry for entry in sub_networks if entry.id in only]
    return Workload(
        name,
        simulated_profile(board, board.name + SIMULATED_SUFFIX, sub_networks),
        {entry.id: entry.accuracy for entry in sub_networks},
        {entry.id: network_cost(entry) for entry in sub_networks},
    )


def _measured(name: str, board: BoardModel, where: str) -> Workload:
    """
    Return a network that was measured on the board: one sub-network.

    Its accuracy is not known and counts as 1, relative to itself: it never changes.
    """
    if name not in board.networks:
        raise ScenarioError(
            where,
            f'{name!r} was not measured on {board.name}',
            f'Choose of: {", ".join(board.networks) or "none"}',
        )
    network = board.networks[name]
    processors = tuple(p for p in board.processors if p in network.processors)
    domains = tuple(row.name for row in board.limits())
    rows = []
    for processor, place in enumerate(processors):
        for clocks in product(*(row.available for row in board.limits())):
            setting = dict(zip(domains, clocks))
            parts = board.parts(network, place, setting)
            activity = {
                where: seconds / parts.total / board.units(where)
                for where, seconds in parts.activity().items()
            }
            power = board.power(setting, activity)[board.total_power_rail]
            idle = board.power(setting, {})[board.total_power_rail]
            rows.append((processor, *clocks, parts.total, power, idle))
    table = np.array(rows)
    mean = table[:, -3]
    points = OperatingPoints(
        platform=board.name + SIMULATED_SUFFIX,
        kind=ProfileKind.SIMULATED,
        extrapolated=False,
        domains=domains,
        processors=processors,
        sub_networks=(name,),
        sub_network=np.zeros(len(table), dtype=np.int64),
        processor=table[:, 0].astype(np.int64),
        frequencies=table[:, 1:-3],
        latency_mean=mean,
        latency_p50=mean * board.jitter_quantile(0.5),
        latency_p95=mean * board.jitter_quantile(0.95),
        latency_p99=mean * board.jitter_quantile(0.99),
        power=table[:, -2],
        idle_power=table[:, -1],
        energy=table[:, -2] * mean,
        description=f'simulated: model of {board.name}, power mode {board.power_mode.name}',
    )
    return Workload(name, points, {name: 1.0}, {name: network})


def _sub_networks(
    network: Mapping[str, Any], folder: Path, where: str
) -> tuple[str, Sequence[SubNetwork]]:
    if 'sub_networks' in network:
        rows = [
            SubNetwork(
                row['id'],
                {},
                Size(0, 0),
                float(row['accuracy']),
                row['multiply_adds'],
                row['parameters'],
                row['layers'],
            )
            for row in network['sub_networks']
        ]
        return 'network', rows
    if 'bundle' in network:
        name = network['bundle']
        try:
            path = find_bundle(str(folder / name) if '/' in name else name)
            return name, read_bundle(path).manifest.sub_networks
        except BundleError as error:
            raise ScenarioError(f'{where}.bundle', str(error), 'Name a bundle') from error
    return 'Dynamic-OFA levels', published_levels(_data_file(network['levels'], folder, where))


def _data_file(name: str, folder: Path, where: str) -> str:
    path = Path(os.path.expandvars(name)).expanduser()
    path = path if path.is_absolute() else folder / path
    if not path.is_file():
        raise ScenarioError(
            where,
            f'{path} is absent: this data is no part of the package',
            'Give the path of the file; environment variables in it are replaced',
        )
    return str(path)


@lru_cache(maxsize=4)
def published_levels(path: str) -> tuple[SubNetwork, ...]:
    """
    Return the sub-networks of a file of levels as published with Dynamic-OFA.

    Multiply-adds, layers and parameters are computed by this package's own family from their
    configurations; accuracies are ImageNet top-1 as published. Of levels that are in both sets
    under one configuration the first is kept.

    :raises ScenarioError: when the file is none of that kind
    """
    # Imports torch, so only where it is needed.
    from dynamic_dnn_ros.networks.ofa_mobilenet_v3 import OfaMobileNetV3

    try:
        levels = json.loads(Path(path).read_text(encoding='utf-8'))['levels']
        network = OfaMobileNetV3.from_layout(LEVELS_LAYOUT)
        rows = {}
        for level in levels:
            fields = ('kernel_size', 'expand_ratio', 'depth', 'resolution')
            configuration = network.configuration({key: level[key] for key in fields})
            key = json.dumps([level[field] for field in fields])
            if key in rows:
                continue
            rows[key] = SubNetwork(
                id=f'{level["set"].removeprefix("nets_")}.{level["level"]}',
                configuration={},
                size=configuration.size,
                accuracy=float(level['imagenet_top1']),
                multiply_adds=network.multiply_adds(configuration),
                parameters=network.parameter_count(configuration),
                layers=network.layer_count(configuration),
            )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ScenarioError(
            path,
            f'holds no levels of Dynamic-OFA ({type(error).__name__}: {error})',
            'Give the file that was published',
        ) from error
    return tuple(sorted(rows.values(), key=lambda row: row.accuracy))
