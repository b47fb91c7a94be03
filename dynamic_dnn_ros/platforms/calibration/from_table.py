# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A board's file from a table of measurements, and how far it is off where it was not fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
import math
from typing import Any

import numpy as np

from dynamic_dnn_ros.platforms.board_model import BoardModel, LatencyParts
from dynamic_dnn_ros.platforms.calibration.fitted_board import (
    BoardFile,
    mode_name,
    network_name,
    rounded,
    sizes_of,
)
from dynamic_dnn_ros.platforms.calibration.latency_fit import (
    CPU,
    FittedLatency,
    Reference,
    fit_latencies,
)
from dynamic_dnn_ros.platforms.calibration.power_fit import MODULE, Load, fit_power, module_rail
from dynamic_dnn_ros.platforms.calibration.table import DOMAINS, GPU, Row, Table, TableError
from dynamic_dnn_ros.platforms.measured_network import rates

LATENCY, ENERGY = 'latency', 'energy'
"""Stand beside the names of the rails in errors."""

_FOLDS = 5

Errors = dict[str, list[float]]
"""Modelled over measured, minus 1, by what was measured."""


@dataclass(frozen=True)
class Calibration:
    """
    A board's file, and the errors on rows that it was not fitted to.

    `by_network` are those of latency. `left_out` tells whether all rows were used, and the errors
    are those of each fifth of them, left out in turn. `undetermined` is what the table does not
    say, in words.
    """

    text: str
    mapping: Mapping[str, Any]
    used: int
    tested: int
    left_out: bool
    errors: Errors
    by_network: Errors
    undetermined: tuple[str, ...]


def reference_of(table: Table, like: Mapping[str, Any]) -> Reference:
    """Return the board's highest clocks and cores: those of the table, else of a known board."""
    latency, modes = like['latency'], like['power_modes']
    known = latency['reference_frequencies']['value']
    clocks = {
        domain: max(table.clocks(domain), default=float(known[domain])) for domain in DOMAINS
    }
    cores = max(row.cores for row in table.rows)
    return Reference(clocks, cores or int(modes['modes'][modes['default']]['cores']))


def calibrate(
    name: str, table: Table, used: Sequence[Row] | None, like: Mapping[str, Any]
) -> Calibration:
    """
    Fit a board to rows of a table, and test it on the others.

    :param used: rows to fit to; None: all of them, and errors are those of each fifth left out
    :param like: file of a known board, which gives what the table does not
    :raises TableError: when no row is used, or none of a network that is left
    """
    table = _with_energy(table)
    if used is None:
        board, undetermined = _fitted(name, table, table.rows, like)
        errors, by_network = _each_fifth(name, table, like)
        tested = sum(map(len, by_network.values()))
        return Calibration(
            board.text(),
            board.mapping,
            len(table.rows),
            tested,
            True,
            errors,
            by_network,
            undetermined,
        )
    lines = {row.line for row in used}
    own = [row for row in table.rows if row.line in lines]
    if not own:
        raise TableError(table.name, 'no row is used', 'Name some with --from or --from-rows')
    board, undetermined = _fitted(name, table, own, like)
    known = {(row.network, row.processor) for row in own}
    rest = [row for row in table.rows if row.line not in lines]
    tested_rows = [row for row in rest if (row.network, row.processor) in known]
    strange = sorted(
        {f'{r.network} on {r.processor}' for r in rest} - {f'{n} on {p}' for n, p in known}
    )
    undetermined += tuple(
        f'{each}: none of its rows is used, so it is left out' for each in strange
    )
    errors, by_network = prediction_errors(board.mapping, tested_rows, table)
    return Calibration(
        board.text(),
        board.mapping,
        len(own),
        len(tested_rows),
        False,
        errors,
        by_network,
        undetermined,
    )


def _with_energy(table: Table) -> Table:
    """Return a table in which the energy of a frame is the power of the module."""
    if module_rail(table.rails) is not None:
        return table
    rows = tuple(
        row
        if math.isnan(row.energy)
        else replace(row, power={**row.power, MODULE: row.energy / row.latency})
        for row in table.rows
    )
    return replace(table, rows=rows)


def _fitted(
    name: str, table: Table, used: Sequence[Row], like: Mapping[str, Any]
) -> tuple[BoardFile, tuple[str, ...]]:
    reference = reference_of(table, like)
    latencies = fit_latencies(used, table.rows, reference)
    board = BoardFile(name, table, reference, like)
    board.add_networks(latencies)
    accelerators = sorted({row.processor for row in used} - set(DOMAINS))
    rail = next(iter(board.mapping['power']['idle']['value']))
    board.add_accelerators({each: {rail: 1.0} for each in accelerators}, 'assumed: 1 W at work')
    measured = [row for row in used if row.power]
    if measured:
        model = _Modes(board.mapping, table)
        loads = [Load(row, model.rates(row)) for row in measured]
        clocks = [(domain, row.clocks[domain]) for row in measured for domain in row.clocks]
        varied = {domain for domain, _ in clocks if len({c for d, c in clocks if d == domain}) > 1}
        board.add_power(fit_power(loads, reference.clocks, accelerators), varied)
    return board, tuple(_undetermined(table, used, latencies, str(like['name'])))


class _Modes:
    """A board in each of its power modes, of which one for each number of cores."""

    def __init__(self, mapping: Mapping[str, Any], table: Table) -> None:
        modes = mapping['power_modes']['modes']
        rough = rounded(mapping)
        self._boards = {mode: BoardModel(rough, 'calibration', mode) for mode in modes}
        self._sizes = sizes_of(table.rows)
        latency = mapping['latency']
        self._reference = Reference(
            latency['reference_frequencies']['value'], int(latency['reference_cores']['value'])
        )

    def board(self, row: Row) -> BoardModel:
        """Return the board with as many cores as a row has."""
        return self._boards[mode_name(row.cores, self._reference)]

    def clocks(self, row: Row) -> dict[str, float]:
        """Return all clocks of a row."""
        return {**self._reference.clocks, **row.clocks}

    def parts(self, row: Row) -> LatencyParts:
        """Return what a row's network does at its setting."""
        board = self.board(row)
        network = board.networks[network_name(row, self._sizes)]
        return board.parts(network, row.processor, self.clocks(row))

    def rates(self, row: Row) -> dict[str, float]:
        """Return what it keeps busy, 0..1 by domain and accelerator."""
        return rates(self.board(row), self.parts(row))

    def power(self, row: Row) -> dict[str, float]:
        """Return the power of each rail, W."""
        return self.board(row).power(self.clocks(row), self.rates(row))


def prediction_errors(
    mapping: Mapping[str, Any], rows: Sequence[Row], table: Table
) -> tuple[Errors, Errors]:
    """Return the errors of a board's file on rows: by what was measured, and by network."""
    model = _Modes(mapping, table)
    sizes = sizes_of(table.rows)
    errors: Errors = {LATENCY: []} if rows else {}
    by_network: Errors = {}
    for row in rows:
        latency = model.parts(row).total
        error = latency / row.latency - 1.0
        errors[LATENCY].append(error)
        by_network.setdefault(f'{network_name(row, sizes)} on {row.processor}', []).append(error)
        if not row.power:
            continue
        watts = model.power(row)
        for rail, measured in row.power.items():
            if rail in watts and (rail != MODULE or math.isnan(row.energy)):
                errors.setdefault(rail, []).append(watts[rail] / measured - 1.0)
        if not math.isnan(row.energy):
            joules = watts[model.board(row).total_power_rail] * latency
            errors.setdefault(ENERGY, []).append(joules / row.energy - 1.0)
    return errors, by_network


def _each_fifth(name: str, table: Table, like: Mapping[str, Any]) -> tuple[Errors, Errors]:
    """Return the errors on each fifth of the rows from the other four."""
    places = np.random.default_rng(0).permutation(len(table.rows))
    errors: Errors = {}
    by_network: Errors = {}
    for fold in range(min(_FOLDS, len(table.rows))):
        out = {int(index) for index in places[fold::_FOLDS]}
        own = [row for index, row in enumerate(table.rows) if index not in out]
        known = {(row.network, row.processor) for row in own}
        rest = [
            table.rows[index]
            for index in sorted(out)
            if (table.rows[index].network, table.rows[index].processor) in known
        ]
        board, _ = _fitted(name, table, own, like)
        for found, sink in zip(
            prediction_errors(board.mapping, rest, table), (errors, by_network)
        ):
            for key, values in found.items():
                sink.setdefault(key, []).extend(values)
    return errors, by_network


def _undetermined(
    table: Table, used: Sequence[Row], latencies: Sequence[FittedLatency], like: str
) -> list[str]:
    """Return in words what rows do not say."""
    found = []
    for domain in DOMAINS:
        clocks = {row.clocks[domain] for row in used if domain in row.clocks}
        if len(clocks) < 2:
            what = 'is not in the table' if not clocks else 'is the same in all rows that are used'
            found.append(f'how latency and power follow the {domain} clock: it {what}; assumed')
    if not any(row.power for row in used):
        found.append(f'power: none was measured; all of it is assumed, as the {like} has it')
    elif module_rail(table.rails) is None:
        found.append('what the whole module takes: there is no rail of it; taken as their sum')
    if not any(row.cores for row in used):
        found.append(f'how latency follows the number of cores; assumed as the {like} has it')
    for each in latencies:
        rows = [r for r in used if (r.network, r.processor) == (each.network, each.processor)]
        settings = len({(row.image_size, row.setting) for row in rows})
        parts = len(each.law.parts) * len({row.image_size for row in rows})
        if settings < parts:
            found.append(
                f'{each.network} on {each.processor}: {settings} settings do not tell its '
                f'{parts} parts apart; the plausible ones were taken'
            )
        missing = sorted(
            {
                row.image_size
                for row in table.rows
                if (row.network, row.processor) == (each.network, each.processor)
            }
            - {row.image_size for row in rows}
        )
        if missing:
            sizes = ', '.join(map(str, missing))
            found.append(
                f'{each.network} on {each.processor} at image size {sizes}: none of these rows '
                'is used; taken from its other sizes'
            )
    if {row.processor for row in used} - {GPU, CPU}:
        found.append('how accelerators follow a clock of their own: they have none in the table')
    found.append(
        f'latency of networks by their cost, what two networks take from each other, heat, '
        f'deviation between boards, size of memory: assumed as the {like} has it'
    )
    return found
