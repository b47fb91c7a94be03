# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
How far boards are off that were made from a few rows of a table, on its other rows.

Tables that others measured, and one that is made up by the law that a TX2 was found to follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from statistics import mean, median
from typing import Any

import numpy as np
from report import Figure, figure

from dynamic_dnn_ros.files import share_folder
from dynamic_dnn_ros.platforms.board_model import load_board, overlapped
from dynamic_dnn_ros.platforms.calibration.from_table import LATENCY, calibrate, reference_of
from dynamic_dnn_ros.platforms.calibration.refit import read_measurements
from dynamic_dnn_ros.platforms.calibration.row_choice import well_chosen
from dynamic_dnn_ros.platforms.calibration.table import Row, Table, read_table
from dynamic_dnn_ros.yaml_files import read_yaml
from support.shared_data import DATA

SEEDS = 10
"""Random choices of rows, next to the one that `--from` makes."""

GPU_CLOCKS = tuple(114.75e6 + 98.8125e6 * step for step in range(13))
MEMORY_CLOCKS = (408e6, 800e6, 1331.2e6, 1866e6)


def figures() -> Iterable[Figure]:
    """Yield the figures of each table."""
    tx2 = read_table(DATA / 'platforms/tx2/cores_and_clocks.csv').rows
    yield from _chosen('TX2, all rows', tx2, 12, {'mean': 0.015, 'largest': 0.05})
    yield from _scatter(tx2)
    fastest = max(row.clocks['cpu'] for row in tx2)
    four = [row for row in tx2 if row.cores == 4]
    two_clocks = _numbered(row for row in four if row.clocks['cpu'] == fastest)
    yield from _both('TX2, GPU and memory clock at the highest CPU clock', two_clocks, 6)
    at_cpu = _numbered(row for row in four if row.clocks['memory'] == MEMORY_CLOCKS[-1])
    yield from _both('TX2, CPU and GPU clock at the highest memory clock', at_cpu, 9)
    agx = read_table(DATA / 'platforms/agx_orin/yolov8n_640.csv').rows
    yield from _both('AGX Orin, CPU and GPU clock', agx, 6)
    yield from _both('AGX Orin, CPU and GPU clock', agx, 9, {'mean': 0.025})
    orin = orin_nx()
    yield from _both('Orin NX, GPU clock', orin, 2)
    yield from _both('Orin NX, GPU clock', orin, 3)
    for exponent in (2.5, 3.7):
        rows = _made_up(exponent)
        named = f'made up, GPU and memory clock, p = {exponent:g}, scatter 0.4 %'
        yield from _both(named, rows, 6, {'mean': 0.011, 'largest': 0.03})


def _both(
    named: str, rows: Sequence[Row], count: int, bars: Mapping[str, float] | None = None
) -> Iterable[Figure]:
    yield from _chosen(named, rows, count, bars or {})
    errors = [
        mean(map(abs, _errors(rows, _random(rows, count, seed))[LATENCY])) for seed in range(SEEDS)
    ]
    yield figure(f'{named}: {count} random rows of each network, latency, mean error', errors, '')


def _chosen(
    named: str, rows: Sequence[Row], count: int, bars: Mapping[str, float]
) -> Iterable[Figure]:
    table = Table(named, tuple(rows))
    used = well_chosen(rows, count, reference_of(table, like()))
    for what, errors in _errors(rows, used).items():
        sizes = [abs(error) for error in errors]
        title = f'{named}: {count} rows of each network, {what}'
        for kind, value in (('mean', mean(sizes)), ('largest', max(sizes))):
            bar = f'<= {bars[kind]:g}' if what == LATENCY and kind in bars else None
            yield figure(f'{title}, {kind} error', value, '', bar)


def _errors(rows: Sequence[Row], used: Sequence[Row]) -> dict[str, list[float]]:
    return calibrate('table', Table('table', tuple(rows)), used, like()).errors


def _random(rows: Sequence[Row], count: int, seed: int) -> list[Row]:
    generator = np.random.default_rng(seed)
    subjects: dict[Any, list[Row]] = {}
    for row in rows:
        subjects.setdefault(row.subject, []).append(row)
    return [
        own[index]
        for own in subjects.values()
        for index in generator.permutation(len(own))[:count]
    ]


def _scatter(rows: Sequence[Row]) -> Iterable[Figure]:
    """Yield how far a latency is from the middle of those at the next two CPU clocks."""
    clocks = sorted({row.clocks['cpu'] for row in rows})
    known = {(row.subject, row.setting): row.latency for row in rows}
    errors = []
    for row in rows:
        place = clocks.index(row.clocks['cpu'])
        if 0 < place < len(clocks) - 1:
            cores, _, *others = row.setting
            beside = [
                known[row.subject, (cores, clocks[place + step], *others)] for step in (-1, 1)
            ]
            errors.append(abs((beside[0] * beside[1]) ** 0.5 / row.latency - 1.0))
    text = 'TX2, all rows: a latency against those at the next two CPU clocks'
    yield figure(f'{text}, mean', mean(errors), '')
    yield figure(f'{text}, median', median(errors), '')
    yield figure(f'{text}, largest', max(errors), '')


def orin_nx() -> list[Row]:
    measured = read_measurements(
        DATA / 'platforms/orin_nx/standalone.csv', load_board('orin_nx_simulated')
    )
    return [
        Row(
            line,
            name,
            row.processor,
            0,
            0,
            {'gpu': row.frequencies['gpu']},
            row.latency,
            row.power,
        )
        for line, (name, row) in enumerate(
            (name, row) for name, rows in measured.items() for row in rows
        )
    ]


def _made_up(exponent: float, networks: int = 4) -> list[Row]:
    generator = np.random.default_rng(0)
    rows = []
    for network in range(networks):
        on_gpu, in_memory, fixed = generator.dirichlet([3.0, 2.0, 1.0])
        for gpu, memory in product(GPU_CLOCKS, MEMORY_CLOCKS):
            work = overlapped(
                on_gpu * GPU_CLOCKS[-1] / gpu, in_memory * MEMORY_CLOCKS[-1] / memory, exponent
            )
            latency = 0.05 * (work + fixed) * float(np.exp(0.004 * generator.standard_normal()))
            clocks = {'gpu': gpu, 'memory': memory}
            rows.append(Row(len(rows), f'network {network}', 'gpu', 0, 0, clocks, latency))
    return rows


def _numbered(rows: Iterable[Row]) -> list[Row]:
    return [replace(row, line=line) for line, row in enumerate(rows)]


def like() -> Mapping[str, Any]:
    mapping: Mapping[str, Any] = read_yaml(share_folder() / 'config/platforms/orin_nx.yaml')
    return mapping
