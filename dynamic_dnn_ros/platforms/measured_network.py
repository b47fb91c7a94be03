# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Add a network to a board model from measurements at two GPU frequencies or more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dynamic_dnn_ros.platforms.board_model import (
    BoardModel,
    LatencyParts,
    MeasuredNetwork,
    MeasuredTimes,
    NetworkCost,
)
from dynamic_dnn_ros.platforms.contract import PlatformError

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Measurement:
    """
    A network that runs frame after frame at one setting, with nothing beside it.

    `frequencies` in Hz a domain, `latency` of a frame in s (one over the throughput), `power` in
    W a rail; a rail that is missing was not measured.
    """

    processor: str
    frequencies: Mapping[str, float]
    latency: float
    power: Mapping[str, float] = field(default_factory=dict)


def measured_network(
    board: BoardModel, name: str, measurements: Sequence[Measurement]
) -> MeasuredNetwork:
    """
    Return a network as the board's model needs it, e.g. for `BoardModel.parts` and `power`.

    On each processor, latency = gpu x f0/f(gpu) + what the GPU's clock does not touch, by least
    relative squares; how hard the network works GPU, memory or accelerator comes from their
    rails, and is that of the board's average network where a rail was not measured.

    :param measurements: on the GPU or on an accelerator, on each at two GPU frequencies or more
    :raises PlatformError: for a processor without a model, too few frequencies, or a latency
        that is not positive
    """
    if not measurements:
        raise PlatformError(f'network {name!r}', 'has no measurements', 'Give two at least')
    by_processor: dict[str, list[Measurement]] = {}
    for measurement in measurements:
        by_processor.setdefault(measurement.processor, []).append(measurement)
    times: list[MeasuredTimes] = []
    for processor in sorted(by_processor, key=lambda each: each != 'gpu'):
        rows = by_processor[processor]
        _check(board, name, processor, rows)
        on_gpu = next((t for t in times if t.processor == 'gpu'), None)
        without_power = _times(board, processor, rows, on_gpu)
        times.append(_with_intensities(board, name, without_power, rows))
    return MeasuredNetwork(name, tuple(times))


def network_of_one_latency(
    board: BoardModel, name: str, cost: NetworkCost, latency: float
) -> MeasuredNetwork:
    """
    Return a network of which one latency is known: on the GPU, at the board's highest clocks.

    What of it follows which clock is *assumed*: the shares that the board's model gives a network
    of that cost.

    :param latency: s, at the highest clocks of the board's power mode
    :raises PlatformError: when it is not positive
    """
    if not 0.0 < latency < np.inf:
        raise PlatformError(
            f'network {name!r}', f'has a latency of {latency} s', 'Give seconds above 0'
        )
    highest = {row.name: row.available[-1] for row in board.limits()}
    parts = board.parts(cost, 'gpu', highest)
    share = parts.gpu / parts.total
    units = (MeasuredTimes('gpu', 1.0, 0.0), MeasuredTimes('gpu', 0.0, 1.0))
    per_gpu, per_rest = (
        board.latency(MeasuredNetwork('', (unit,)), 'gpu', highest) for unit in units
    )
    times = MeasuredTimes('gpu', latency * share / per_gpu, latency * (1.0 - share) / per_rest)
    return MeasuredNetwork(name, (times,))


def _check(board: BoardModel, name: str, processor: str, rows: Sequence[Measurement]) -> None:
    what = f'network {name!r} on processor {processor!r}'
    if processor != 'gpu' and processor not in board.accelerators:
        known = ', '.join(('gpu', *board.accelerators))
        raise PlatformError(what, f'{board.name} has no model of it', f'Choose of: {known}')
    if any(not 0.0 < row.latency < np.inf for row in rows):
        raise PlatformError(what, 'a latency is not positive', 'Give seconds')
    for row in rows:
        for domain in board.domains:
            if not row.frequencies.get(domain, 0.0) > 0.0:
                raise PlatformError(what, f'no frequency of domain {domain!r}', 'Give Hz')
    if len({row.frequencies['gpu'] for row in rows}) < 2:
        raise PlatformError(
            what, 'was measured at one GPU frequency', 'Measure it at a second one, far away'
        )


def _times(
    board: BoardModel,
    processor: str,
    rows: Sequence[Measurement],
    on_gpu: MeasuredTimes | None,
) -> MeasuredTimes:
    """Return the seconds that follow the GPU's clock and those that do not."""
    latency = np.array([row.latency for row in rows])
    columns = []
    for unit in (MeasuredTimes(processor, 1.0, 0.0), MeasuredTimes(processor, 0.0, 1.0)):
        network = MeasuredNetwork('', (unit,))
        columns.append([board.latency(network, processor, row.frequencies) for row in rows])
    matrix = np.array(columns).T
    gpu, rest = _not_negative(matrix / latency[:, None], np.ones(len(rows)))
    if processor == 'gpu':
        return MeasuredTimes(processor, gpu, rest)
    # Preprocessing is the same on every processor; what is left is the accelerator's.
    host = on_gpu.rest if on_gpu else _preprocessing(board)
    host = min(host, rest)
    return MeasuredTimes(processor, gpu, host, rest - host)


def _preprocessing(board: BoardModel) -> float:
    """Return what every network spends outside the GPU, s, at the reference clocks."""
    smallest = NetworkCost(0, 0, 0)
    parts = board.parts(smallest, 'gpu', board.reference_frequencies)
    return parts.total - parts.gpu


def _with_intensities(
    board: BoardModel, name: str, times: MeasuredTimes, rows: Sequence[Measurement]
) -> MeasuredTimes:
    network = MeasuredNetwork(name, (times,))
    parts = [board.parts(network, times.processor, row.frequencies) for row in rows]
    found = {
        'gpu_intensity': ('gpu', board.domains['gpu'].rail),
        'memory_intensity': ('memory', board.domains['memory'].rail),
    }
    if times.processor in board.accelerators:
        # Both are on one rail: that of the GPU stays that of the average network.
        del found['gpu_intensity']
        rail = board.accelerators[times.processor].rail
        found['accelerator_intensity'] = (times.processor, rail)
    intensities = {
        field_name: _intensity(board, parts, rows, what, rail)
        for field_name, (what, rail) in found.items()
    }
    return MeasuredTimes(times.processor, times.gpu, times.rest, times.accelerator, **intensities)


def _intensity(
    board: BoardModel,
    parts: Sequence[LatencyParts],
    rows: Sequence[Measurement],
    what: str,
    rail: str,
) -> float:
    """Return by what the activity of a domain must be multiplied to give the rail's power."""
    without, average, measured = [], [], []
    for part, row in zip(parts, rows):
        if rail in row.power:
            activity = rates(board, part)
            average.append(board.power(row.frequencies, activity)[rail])
            without.append(board.power(row.frequencies, {**activity, what: 0.0})[rail])
            measured.append(row.power[rail])
    if not measured:
        return 1.0
    watts, base = np.array(measured), np.array(without)
    slope = (np.array(average) - base) / watts
    if not slope.any():
        return 1.0
    return max(float(slope @ ((watts - base) / watts) / (slope @ slope)), 0.0)


def rates(board: BoardModel, parts: LatencyParts) -> dict[str, float]:
    """Return the activity of a network that runs frame after frame, for `BoardModel.power`."""
    return {
        name: seconds / parts.total / board.units(name)
        for name, seconds in parts.activity().items()
    }


def _not_negative(matrix: Array, goal: Array) -> tuple[float, float]:
    """Return the least squares solution of two columns that is not negative."""
    both = np.linalg.lstsq(matrix, goal, rcond=None)[0]
    if (both >= 0.0).all():
        return float(both[0]), float(both[1])
    alone = [float(column @ goal / (column @ column)) for column in matrix.T]
    errors = [float(np.sum((matrix[:, i] * alone[i] - goal) ** 2)) for i in (0, 1)]
    return (alone[0], 0.0) if errors[0] <= errors[1] else (0.0, alone[1])
