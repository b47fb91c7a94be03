# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Latencies that others measured, from a table, and the profile of a bundle that they come to.

A table is CSV with the columns `board, framework, network, image_size` and `mean_ms`, and perhaps
`median_ms`, `min_ms`, `max_ms`: one network at one size of its input, at the highest clocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import csv
from dataclasses import dataclass, replace
import math
from pathlib import Path
import re

import numpy as np

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.profile import OperatingPoints, ProfileKind
from dynamic_dnn_ros.platforms.board_model import BoardModel, MeasuredNetwork
from dynamic_dnn_ros.platforms.measured_network import network_of_one_latency
from dynamic_dnn_ros.profiling.simulated import network_cost, profile_of_costs

_COLUMNS = ('board', 'framework', 'network', 'image_size', 'mean_ms')

#: Milliseconds between which a latency of a detector on such a board lies: others are probably
#: seconds or microseconds.
_LEAST, _MOST = 0.05, 60_000.0


class MeasurementError(ValueError):
    """A table of measurements that cannot be used: what in it, why, and what to do."""


@dataclass(frozen=True)
class Row:
    """
    One network at one size on one board: latencies in seconds, NaN where the table has none.

    `image_size` is the side of the square input, pixels.
    """

    board: str
    framework: str
    network: str
    image_size: int
    latency_mean: float
    latency_median: float = math.nan
    latency_maximum: float = math.nan


@dataclass(frozen=True)
class Table:
    """The rows of a table, and where it came from."""

    path: Path
    rows: tuple[Row, ...]

    @property
    def boards(self) -> tuple[str, ...]:
        """Return the boards that were measured."""
        return tuple(dict.fromkeys(row.board for row in self.rows))

    def frameworks(self, board: str) -> tuple[str, ...]:
        """Return what ran the networks on a board."""
        return tuple(dict.fromkeys(row.framework for row in self.rows if row.board == board))

    def of(self, board: str, framework: str) -> dict[tuple[str, int], Row]:
        """
        Return the rows of a board and a framework, by network and size.

        :param board: may be empty where the table has one board only; `framework` likewise
        :raises MeasurementError: when the table has none of that name, or one size twice
        """
        board = self._choice('board', board, self.boards)
        framework = self._choice('framework', framework, self.frameworks(board))
        found: dict[tuple[str, int], Row] = {}
        for row in self.rows:
            if (row.board, row.framework) != (board, framework):
                continue
            key = (row.network, row.image_size)
            if key in found and found[key] != row:
                raise MeasurementError(
                    f'{self.path}: {row.network} at {row.image_size} on {board} with {framework} '
                    'stands there twice, with other figures. Remove one of the rows.'
                )
            found[key] = row
        return found

    def _choice(self, what: str, chosen: str, known: Sequence[str]) -> str:
        if not chosen and len(known) == 1:
            return known[0]
        if chosen in known:
            return chosen
        problem = f'has no {what} {chosen!r}' if chosen else f'has several of them: name a {what}'
        raise MeasurementError(f'{self.path}: {problem}. Choose of: {", ".join(known)}.')


def read_table(path: Path) -> Table:
    """
    Read a table of latencies.

    :raises MeasurementError: when it cannot be read, lacks a column, or holds what is no latency
        in milliseconds
    """
    try:
        with path.open(encoding='utf-8-sig', newline='') as file:
            reader = csv.DictReader(file)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise MeasurementError(
                    f'{path}: lacks the columns {", ".join(missing)}. It has: '
                    f'{", ".join(reader.fieldnames or ()) or "none"}.'
                )
            rows = tuple(_row(path, reader.line_num, each) for each in reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise MeasurementError(f'{path}: cannot be read ({error}). Give a CSV file.') from error
    if not rows:
        raise MeasurementError(f'{path}: has no rows. Give a table with a row for each network.')
    return Table(path, rows)


def _row(path: Path, line: int, fields: Mapping[str, str | None]) -> Row:
    where = f'{path}: line {line}'

    def number(name: str, needed: bool) -> float:
        text = (fields.get(name) or '').strip()
        if not text and not needed:
            return math.nan
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not _LEAST <= value <= _MOST:
            raise MeasurementError(
                f'{where}: {name} is {text!r}, which is no latency of a network in milliseconds '
                f'({_LEAST:g} to {_MOST:g}). Give milliseconds, not seconds or microseconds.'
            )
        return value / 1e3

    try:
        size = int((fields['image_size'] or '').strip())
    except ValueError:
        size = 0
    if not 8 <= size <= 8192:
        raise MeasurementError(
            f'{where}: image_size is {fields["image_size"]!r}. Give the side of the input, pixels.'
        )
    board, framework, network = (
        (fields[name] or '').strip() for name in ('board', 'framework', 'network')
    )
    if not (board and framework and network):
        raise MeasurementError(f'{where}: board, framework or network is empty. Name them.')
    return Row(
        board,
        framework,
        network,
        size,
        number('mean_ms', True),
        number('median_ms', False),
        number('max_ms', False),
    )


def matched(
    table: Table,
    sub_networks: Sequence[SubNetwork],
    board: str,
    framework: str,
    names: Mapping[str, str] | None = None,
) -> dict[str, Row]:
    """
    Return the row of each sub-network, by its id.

    A sub-network is looked for by the model that it is of, or else its id without the size at its
    end, and the size of its input: `yolov8n` at 640. Case, `-` and `_` do not count.

    :param names: what the table calls a sub-network or a model, as `network` or `network@size`
    :raises MeasurementError: when the table lacks one, with what it has
    """
    rows = table.of(board, framework)
    known = {(_plain(network), size): row for (network, size), row in rows.items()}
    found = {}
    for entry in sub_networks:
        model = str(entry.configuration.get('model', '')) or re.sub(r'_?\d+$', '', entry.id)
        given = (names or {}).get(entry.id) or (names or {}).get(model) or model
        network, _, size = given.partition('@')
        if not size and entry.size.height != entry.size.width:
            raise MeasurementError(
                f'{table.path}: sub-network {entry.id!r} has an input of {entry.size}, the table '
                f'has squares only. Say which row stands for it: {entry.id}={network}@SIZE.'
            )
        if size and not size.isdigit():
            raise MeasurementError(f'{given!r} names no size. Give e.g. {network}@640.')
        key = (_plain(network), int(size or entry.size.width))
        if key not in known:
            sizes = sorted(s for name, s in known if name == key[0])
            has = f'of it the sizes {sizes}' if sizes else ', '.join(sorted({n for n, _ in rows}))
            raise MeasurementError(
                f'{table.path}: has no {network} at {key[1]} for sub-network {entry.id!r}. '
                f'It has: {has}. Say which row stands for it: {entry.id}=NETWORK@SIZE.'
            )
        found[entry.id] = known[key]
    return found


def _plain(name: str) -> str:
    return re.sub(r'[-_ ]', '', name.lower())


def measured_by_others(table: Table, rows: Mapping[str, Row]) -> str:
    """Return in words where latencies come from."""
    first = next(iter(rows.values()))
    return (
        f'latencies measured by others on {first.board} with {first.framework} at its highest '
        f'clocks ({table.path.name})'
    )


def point_profile(
    platform: str, sub_networks: Sequence[SubNetwork], table: Table, rows: Mapping[str, Row]
) -> OperatingPoints:
    """
    Return a profile of one point a sub-network, for a platform whose clocks are left alone.

    Power and energy are not known (NaN): nothing is said of them, and no target can ask for them.
    Quantiles above the median are those of the mean where the table has none.
    """
    count = len(sub_networks)
    mean = np.array([rows[entry.id].latency_mean for entry in sub_networks])
    median = np.array([rows[entry.id].latency_median for entry in sub_networks])
    median = np.where(np.isnan(median), mean, median)
    highest = np.maximum(mean, median)
    unknown = np.full(count, np.nan)
    return OperatingPoints(
        platform=platform,
        kind=ProfileKind.MEASURED,
        extrapolated=False,
        domains=(),
        processors=('gpu',),
        sub_networks=tuple(entry.id for entry in sub_networks),
        sub_network=np.arange(count, dtype=np.int64),
        processor=np.zeros(count, np.int64),
        frequencies=np.zeros((count, 0)),
        latency_mean=mean,
        latency_p50=median,
        latency_p95=highest,
        latency_p99=highest,
        power=unknown,
        idle_power=unknown,
        energy=unknown,
        description=measured_by_others(table, rows) + '; no power was measured',
        measured_elsewhere=table.path.name,
    )


def board_profile(
    board: BoardModel,
    platform: str,
    sub_networks: Sequence[SubNetwork],
    table: Table,
    rows: Mapping[str, Row],
) -> OperatingPoints:
    """
    Return a profile over all clocks of a simulated board, true to the table at the highest ones.

    How latency follows the clocks, and all power, are the board model's, and *assumed* for these
    networks: the profile is marked as simulated and extrapolated, and says so.

    :param platform: id of the simulated platform
    """
    latencies = {name: row.latency_mean for name, row in rows.items()}
    networks = networks_of(board, sub_networks, latencies)
    profile = profile_of_costs(board, platform, networks)
    return replace(
        profile,
        extrapolated=True,
        description=f'simulated: {measured_by_others(table, rows)}; other clocks and all power '
        f'assumed, by the model of {board.name}, power mode {board.power_mode.name}',
        measured_elsewhere=table.path.name,
    )


def networks_of(
    board: BoardModel, sub_networks: Sequence[SubNetwork], latencies: Mapping[str, float]
) -> dict[str, MeasuredNetwork]:
    """
    Return what each sub-network asks of a board, true to its latency at the highest clocks, s.

    :raises PlatformError: when a latency is not positive
    """
    return {
        entry.id: network_of_one_latency(board, entry.id, network_cost(entry), latencies[entry.id])
        for entry in sub_networks
    }


def networks_of_profile(
    board: BoardModel, sub_networks: Sequence[SubNetwork], profile: OperatingPoints
) -> dict[str, MeasuredNetwork]:
    """Return the same from a profile that `board_profile` made."""
    highest = (profile.frequencies == profile.frequencies.max(axis=0)).all(axis=1)
    latencies = {
        name: float(profile.latency_mean[highest & (profile.sub_network == index)][0])
        for index, name in enumerate(profile.sub_networks)
    }
    kept = [entry for entry in sub_networks if entry.id in latencies]
    return networks_of(board, kept, latencies)
