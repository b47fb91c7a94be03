# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The dynamic networks that a scenario names, as the board of the scenario runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
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
from dynamic_dnn_ros.bundles.stages import Stage, leaving
from dynamic_dnn_ros.management.observations import StageShare
from dynamic_dnn_ros.management.paths import Paths
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.platforms.board_model import SIMULATED_SUFFIX, BoardModel
from dynamic_dnn_ros.profiling.measurements import (
    MeasurementError,
    board_profile,
    matched,
    networks_of,
    read_table,
)
from dynamic_dnn_ros.profiling.simulated import network_cost, simulated_profile
from dynamic_dnn_ros.simulation.scenario import Scenario, ScenarioError
from dynamic_dnn_ros.simulation.workload import Workload

Levels = Callable[[str], Sequence[SubNetwork]]
"""Reads the sub-networks of a file of levels as published with Dynamic-OFA, by its path."""


def workloads(
    scenario: Scenario, board: BoardModel, folder: Path, levels: Levels
) -> dict[str, Workload]:
    """
    Return the network of each application of a scenario.

    :param board: of the scenario, in its power mode
    :param folder: that paths in the scenario are relative to
    :param levels: reads published levels; `networks.published_levels` does, with PyTorch
    :raises ScenarioError: when one cannot be read, or the board model cannot run it
    """
    made: dict[str, Workload] = {}
    found = {}
    for application in scenario.applications:
        key = json.dumps(application.network, sort_keys=True)
        if key not in made:
            made[key] = workload(application.network, board, folder, application.id, levels)
        found[application.id] = made[key]
    return found


def workload(
    network: Mapping[str, Any], board: BoardModel, folder: Path, where: object, levels: Levels
) -> Workload:
    """Return one network as a board runs it; see `workloads`."""
    found = _workload(network, board, folder, where, levels)
    if 'batches' not in network:
        return found
    multiples = np.array(network['batches'], np.float64)
    table = np.tile(multiples, (len(found.points.sub_networks), 1))
    try:
        return replace(found, points=replace(found.points, batch_latency=table))
    except BundleError as error:
        raise ScenarioError(
            f'{where}: network.batches',
            f'are {network["batches"]}',
            'Give what 1, 2, ... frames take together, as multiples; the first is 1',
        ) from error


def _workload(
    network: Mapping[str, Any], board: BoardModel, folder: Path, where: object, levels: Levels
) -> Workload:
    if 'measured' in network:
        return _measured(network, board, f'{where}: network')
    name, sub_networks = _sub_networks(network, folder, f'{where}: network', levels)
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
    if 'measurements' in network:
        return _from_table(network, name, sub_networks, board, folder, f'{where}: network')
    return Workload(
        name,
        simulated_profile(board, board.name + SIMULATED_SUFFIX, sub_networks),
        {entry.id: entry.accuracy_for_targets for entry in sub_networks},
        {entry.id: network_cost(entry) for entry in sub_networks},
        _stages(sub_networks, f'{where}: network'),
    )


def _from_table(
    network: Mapping[str, Any],
    name: str,
    sub_networks: Sequence[SubNetwork],
    board: BoardModel,
    folder: Path,
    where: str,
) -> Workload:
    """Return networks whose latencies at the highest clocks others measured on the board."""
    try:
        table = read_table(Path(_data_file(network['measurements'], folder, where)))
        rows = matched(
            table,
            sub_networks,
            network.get('board', ''),
            network.get('framework', ''),
            network.get('map'),
        )
    except MeasurementError as error:
        raise ScenarioError(f'{where}.measurements', str(error).rstrip('.'), '') from error
    latencies = {key: row.latency_mean for key, row in rows.items()}
    return Workload(
        name,
        board_profile(board, board.name + SIMULATED_SUFFIX, sub_networks, table, rows),
        {entry.id: entry.accuracy_for_targets for entry in sub_networks},
        networks_of(board, sub_networks, latencies),
        _stages(sub_networks, where),
    )


def _stages(sub_networks: Sequence[SubNetwork], where: str) -> dict[str, tuple[StageShare, ...]]:
    """Return the stages of those that have several."""
    found = {}
    for entry in sub_networks:
        if entry.stages:
            shares = tuple(StageShare(s.name, s.work, s.taken) for s in leaving(entry.stages))
            try:
                Paths(shares)
            except ValueError as error:
                raise ScenarioError(
                    f'{where}: {entry.id}: stages',
                    str(error),
                    'Give the cost up to the end of each stage, and the share that leaves there',
                ) from error
            found[entry.id] = shares
    return found


def _measured(entry: Mapping[str, Any], board: BoardModel, where: str) -> Workload:
    """
    Return a network that was measured on the board: one sub-network.

    Its accuracy is not known and counts as 1, relative to itself: it never changes. It may be
    placed on the processors that the scenario names, else on those of the board.
    """
    name = str(entry['measured'])
    if name not in board.networks:
        raise ScenarioError(
            f'{where}.measured',
            f'{name!r} was not measured on {board.name}',
            f'Choose of: {", ".join(board.networks) or "none"}',
        )
    network = board.networks[name]
    allowed = entry.get('processors', board.processors)
    processors = tuple(p for p in network.processors if p in allowed)
    unknown = [p for p in allowed if p not in network.processors] if 'processors' in entry else []
    if unknown or not processors:
        raise ScenarioError(
            f'{where}.processors',
            f'{name!r} was not measured on {unknown[0] if unknown else ", ".join(allowed)!r}',
            f'Choose of: {", ".join(network.processors)}',
        )
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
    network: Mapping[str, Any], folder: Path, where: str, levels: Levels
) -> tuple[str, Sequence[SubNetwork]]:
    if 'sub_networks' in network:
        rows = [
            SubNetwork(
                row['id'],
                {'model': row['model']} if 'model' in row else {},
                Size(row.get('size', 0), row.get('size', 0)),
                float(row['accuracy']),
                row['multiply_adds'],
                row['parameters'],
                row['layers'],
                stages=tuple(
                    Stage(stage['name'], work=stage['work'], taken=stage['taken'])
                    for stage in row.get('stages', ())
                ),
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
    file = _data_file(network['levels'], folder, where)
    try:
        return 'Dynamic-OFA levels', levels(file)
    except ValueError as error:
        raise ScenarioError(file, str(error), 'Give the file that was published') from error


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
