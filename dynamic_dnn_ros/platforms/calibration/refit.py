# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Fit single parameters of a board file that exists to networks that were measured on that board.

Needs SciPy, which nothing else of the package does. docs/simulation.md has the formulas.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
import csv
from dataclasses import dataclass
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dynamic_dnn_ros.platforms.board_model import (
    BoardModel,
    LatencyParts,
    MeasuredNetwork,
    MeasuredTimes,
    NetworkCost,
)
from dynamic_dnn_ros.platforms.measured_network import Measurement, measured_network, rates

Array = npt.NDArray[np.float64]
Measurements = Mapping[str, Sequence[Measurement]]
"""Measurements by the name of the network."""

THROUGHPUT = 'throughput'
"""Stands beside the names of the rails in errors."""

_LOWEST_VOLTS = 0.65
"""What the lowest voltage is called; it cancels out against the capacitance."""


def read_measurements(path: Path, board: BoardModel) -> dict[str, list[Measurement]]:
    """
    Read a table of networks that ran alone.

    Columns: `network`, `device`, `frequency_hz` of the GPU, `throughput_ips`, and one for each
    rail, named in small letters with `_w` behind. The other clocks are the reference clocks.
    """
    networks: dict[str, list[Measurement]] = {}
    with path.open(encoding='utf-8', newline='') as file:
        for row in csv.DictReader(file):
            networks.setdefault(row['network'], []).append(
                Measurement(
                    processor=row['device'],
                    frequencies={
                        **board.reference_frequencies,
                        'gpu': float(row['frequency_hz']),
                    },
                    latency=1.0 / float(row['throughput_ips']),
                    power={
                        name[:-2].upper(): float(value)
                        for name, value in row.items()
                        if name.endswith('_w')
                    },
                )
            )
    return networks


def read_losses(path: Path) -> dict[tuple[str, str], float]:
    """Read the share of its throughput, 0..1, that a network loses to a co-runner, by the two."""
    with path.open(encoding='utf-8', newline='') as file:
        return {
            (row['network'], row['co_runner']): float(row['throughput_loss_percent']) / 100
            for row in csv.DictReader(file)
        }


def with_networks(
    mapping: Mapping[str, Any], measurements: Measurements
) -> dict[str, MeasuredNetwork]:
    """Return each network of a table as the board of a file sees it."""
    board = BoardModel(mapping, 'calibration')
    return {name: measured_network(board, name, rows) for name, rows in measurements.items()}


def fit_power(mapping: Mapping[str, Any], measurements: Measurements) -> dict[str, Any]:
    """
    Return a board's file with power fitted: idle power, GPU, memory, accelerator, the module.

    What is assumed of CPU and memory stays as the file has it. The average network of the board
    is the geometric mean of those that were measured on the GPU.
    """
    result = deepcopy(dict(mapping))
    board = BoardModel(mapping, 'calibration')
    rows = [
        (name, row, board.parts(network, row.processor, row.frequencies))
        for name, network in with_networks(mapping, _without_power(measurements)).items()
        for row in measurements[name]
    ]
    _fit_gpu(result, board, rows)
    _fit_memory(result, board, rows)
    _fit_module(result, rows, board.total_power_rail)
    return result


@dataclass
class _GpuFit:
    """Numbers of the fit to the rail of the GPU, W where not said otherwise."""

    idle: float  # of the rail, without GPU and CPU
    gpu_idle: float  # at the reference clock
    gpu_active: float
    knee: float  # Hz, where the voltage begins to rise
    rise: float  # of the voltage, at the reference clock, as a share
    own: Array  # of each column: intensity on the GPU, power of the accelerator


_Row = tuple[str, Measurement, LatencyParts]


def _fit_gpu(result: dict[str, Any], board: BoardModel, rows: Sequence[_Row]) -> None:
    from scipy.optimize import least_squares  # type: ignore[import-untyped]

    rail = board.domains['gpu'].rail
    columns = list(dict.fromkeys((name, row.processor) for name, row, _ in rows))
    column = np.array([columns.index((name, row.processor)) for name, row, _ in rows])
    on_gpu = np.array([row.processor == 'gpu' for _, row, _ in rows])
    activity = [rates(board, parts) for _, _, parts in rows]
    gpu = np.array([a['gpu'] for a in activity])
    accelerator = np.array([a.get(row.processor, 0.0) for a, (_, row, _) in zip(activity, rows)])
    clock = np.array([row.frequencies['gpu'] for _, row, _ in rows])
    measured = np.array([row.power[rail] for _, row, _ in rows])
    cpu = np.array(
        [
            board.domains['cpu'].dynamic_power(row.frequencies['cpu'], a['cpu'])
            for a, (_, row, _) in zip(activity, rows)
        ]
    )
    highest = board.reference_frequencies['gpu']

    def fields(values: Array) -> _GpuFit:
        idle, gpu_idle, gpu_active, knee, rise = (float(value) for value in values[:5])
        return _GpuFit(idle, gpu_idle, gpu_active, knee, rise, values[5:])

    def residual(values: Array) -> Array:
        fit = fields(values)
        rise = np.maximum(clock - fit.knee, 0.0) / (highest - fit.knee)
        scale = (1.0 + fit.rise * rise) ** 2 / (1.0 + fit.rise) ** 2 * clock / highest
        own = fit.own[column]
        model = (
            fit.idle
            + cpu
            + scale * (fit.gpu_idle + fit.gpu_active * gpu * np.where(on_gpu, own, 1.0))
        )
        model = model + np.where(on_gpu, 0.0, own * accelerator)
        # One intensity must be held, or all of them and the GPU's power could trade places.
        mean = np.log(np.maximum(fit.own[gpu_columns], 1e-6)).mean()
        return np.append(model / measured - 1.0, mean)

    gpu_columns = [i for i, (_, processor) in enumerate(columns) if processor == 'gpu']
    start = np.concatenate(([0.5, 0.5, 2.0, 0.65 * highest, 0.2], np.ones(len(columns))))
    lower = np.concatenate(([0.0, 0.0, 0.01, 0.3 * highest, 0.0], np.zeros(len(columns))))
    upper = np.concatenate(([9.0, 9.0, 99.0, 0.9 * highest, 2.0], np.full(len(columns), 99.0)))
    scale = np.concatenate(([1.0, 1.0, 1.0, highest, 1.0], np.ones(len(columns))))
    solution = least_squares(residual, start, bounds=(lower, upper), x_scale=scale, xtol=1e-12)
    fit = fields(solution.x)

    entry = result['domains']['gpu']
    volts = _LOWEST_VOLTS * (1.0 + fit.rise)
    full = fit.gpu_idle + fit.gpu_active
    entry['capacitance']['value'] = full / (volts**2 * highest)
    entry['idle_share']['value'] = fit.gpu_idle / full
    entry['voltage']['value'] = [[fit.knee, _LOWEST_VOLTS], [highest, volts]]
    cpu_idle = board.domains['cpu'].dynamic_power(board.reference_frequencies['cpu'], 0.0)
    result['power']['idle']['value'][rail] = fit.idle + cpu_idle + fit.gpu_idle
    for processor, accelerated in result['power'].get('accelerators', {}).items():
        own = [fit.own[i] for i, (_, other) in enumerate(columns) if other == processor]
        if own:
            accelerated['power']['value'] = max(float(np.mean(own)), 1e-3)


def _fit_memory(result: dict[str, Any], board: BoardModel, rows: Sequence[_Row]) -> None:
    memory = board.domains['memory']
    columns = list(dict.fromkeys((name, row.processor) for name, row, _ in rows))
    measured = np.array([row.power[memory.rail] for _, row, _ in rows])
    matrix = np.zeros((len(rows), 1 + len(columns)))
    matrix[:, 0] = 1.0
    for index, (name, row, parts) in enumerate(rows):
        matrix[index, 1 + columns.index((name, row.processor))] = parts.memory / parts.total
    weighted = matrix / measured[:, None]
    solution = np.linalg.lstsq(weighted, np.ones(len(rows)), rcond=None)[0]
    active = [solution[1 + i] for i, (_, processor) in enumerate(columns) if processor == 'gpu']
    average = math.exp(float(np.log(np.maximum(active, 1e-3)).mean()))
    clock = board.reference_frequencies['memory']
    volts = memory.full_power(clock) / memory.capacitance  # V^2 f
    full = average / (1.0 - memory.idle_share)
    result['domains']['memory']['capacitance']['value'] = full / volts
    result['power']['idle']['value'][memory.rail] = float(solution[0])


def _fit_module(result: dict[str, Any], rows: Sequence[_Row], total: str) -> None:
    rails = list(result['power']['idle']['value'])
    measured = np.array([row.power[total] for _, row, _ in rows])
    parts = np.array([[row.power[rail] for rail in rails] for _, row, _ in rows])
    matrix = np.hstack((np.ones((len(rows), 1)), parts)) / measured[:, None]
    goal = 1.0 - parts.sum(axis=1) / measured
    remainder, *overhead = np.linalg.lstsq(matrix, goal, rcond=None)[0]
    result['power']['remainder']['value'] = float(remainder)
    result['power']['overhead']['value'] = dict(zip(rails, map(float, overhead)))


def fit_contention(
    mapping: Mapping[str, Any],
    networks: Mapping[str, MeasuredNetwork],
    losses: Mapping[tuple[str, str], float],
    clock: float,
) -> dict[str, Any]:
    """
    Return a board's file with the two delays fitted to pairs of networks on the GPU.

    :param clock: of the GPU, Hz; the others are the reference clocks
    """
    from scipy.optimize import least_squares

    result = deepcopy(dict(mapping))

    def residual(values: Array) -> Array:
        for name, value in zip(('processor_delay', 'other_delay'), values):
            result['contention'][name]['value'] = float(value)
        return np.array(contention_errors(result, networks, losses, clock))

    found = least_squares(residual, [1e-2, 1e-2], bounds=(0.0, 1.0), x_scale=1e-2).x
    residual(found)
    return result


def contention_errors(
    mapping: Mapping[str, Any],
    networks: Mapping[str, MeasuredNetwork],
    losses: Mapping[tuple[str, str], float],
    clock: float,
) -> list[float]:
    """Return modelled minus measured loss of throughput, 0..1, of each pair, in order."""
    board = BoardModel(mapping, 'calibration')
    frequencies = {**board.reference_frequencies, 'gpu': clock}
    errors = []
    for (name, other), loss in losses.items():
        own, beside = (board.parts(networks[each], 'gpu', frequencies) for each in (name, other))
        held = board.contention.hold_up(own, beside)
        slow_down = board.contention.slow_down(own.processor_share, [held], 0.0)
        errors.append(1.0 - 1.0 / slow_down - loss)
    return errors


def fit_costs(
    mapping: Mapping[str, Any],
    networks: Mapping[str, MeasuredNetwork],
    costs: Mapping[str, NetworkCost],
    same_preprocessing: Sequence[str],
) -> dict[str, Any]:
    """
    Return a board's file with the latency of a network by its cost, as far as few networks tell.

    That of a multiply-add stays what the file has.

    :param costs: of networks that are used for the GPU's part, two or more
    :param same_preprocessing: those of them whose pictures are of one size, two or more: for
        the part that the GPU's clock does not touch
    """
    from scipy.optimize import nnls

    result = deepcopy(dict(mapping))
    processor = result['latency']['processors']['gpu']
    multiply_add = processor['gpu']['value']['multiply_add']

    def solve(names: Iterable[str], goal: Mapping[str, float]) -> dict[str, float]:
        chosen = list(names)
        matrix = np.array([[1e-3 / goal[n], 1e-5 * costs[n].layers / goal[n]] for n in chosen])
        constant, layer = nnls(matrix, np.ones(len(chosen)))[0]
        return {'constant': float(constant) * 1e-3, 'layer': float(layer) * 1e-5}

    on_gpu = {
        name: _on_gpu(networks[name]).gpu - multiply_add * cost.multiply_adds
        for name, cost in costs.items()
    }
    rest = {name: _on_gpu(networks[name]).rest for name in same_preprocessing}
    processor['gpu']['value'].update(solve(costs, on_gpu))
    processor['rest']['value'] = solve(same_preprocessing, rest)
    return result


def _on_gpu(network: MeasuredNetwork) -> MeasuredTimes:
    return next(times for times in network.times if times.processor == 'gpu')


def prediction_errors(
    mapping: Mapping[str, Any],
    networks: Mapping[str, MeasuredNetwork],
    measurements: Measurements,
) -> dict[str, list[float]]:
    """Return (modelled / measured - 1) of throughput and of each rail, of all measurements."""
    board = BoardModel(mapping, 'calibration')
    errors: dict[str, list[float]] = {}
    for name, rows in measurements.items():
        for row in rows:
            parts = board.parts(networks[name], row.processor, row.frequencies)
            errors.setdefault(THROUGHPUT, []).append(row.latency / parts.total - 1.0)
            watts = board.power(row.frequencies, rates(board, parts))
            for rail, measured in row.power.items():
                errors.setdefault(rail, []).append(watts[rail] / measured - 1.0)
    return errors


def at_clocks(measurements: Measurements, clocks: Iterable[float]) -> dict[str, list[Measurement]]:
    """Return the measurements at some GPU clocks, Hz."""
    chosen = set(clocks)
    return {
        name: [row for row in rows if row.frequencies['gpu'] in chosen]
        for name, rows in measurements.items()
    }


def _without_power(measurements: Measurements) -> dict[str, list[Measurement]]:
    return {
        name: [Measurement(row.processor, row.frequencies, row.latency) for row in rows]
        for name, rows in measurements.items()
    }
