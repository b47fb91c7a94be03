# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
How far latencies are off at clocks that were not measured, on tables that others measured.

The predictor of blocks has clocks as inputs in two ways. On a board it follows the board's own
law; on this computer its units of work go with the clock of the processor or that of the memory.
No table has blocks. So each law is fitted to the networks of a table, without the rows at each
second clock between the lowest and the highest of each domain, and tested on those.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import mean
from typing import Any

from calibrated_tables import like, orin_nx
import numpy as np
from report import Figure, figure

from dynamic_dnn_ros.platforms.calibration.from_table import LATENCY, calibrate
from dynamic_dnn_ros.platforms.calibration.table import Row, Table, read_table
from support.shared_data import DATA

BAR = '<= 0.08'

TX2 = 'platforms/tx2/cores_and_clocks.csv'
AGX_ORIN = 'platforms/agx_orin/yolov8n_640.csv'
ORIN_NX = 'platforms/orin_nx/standalone.csv'


def not_measured() -> list[str]:
    """Return what was not measured, and why."""
    absent = [name for name in (TX2, AGX_ORIN, ORIN_NX) if not (DATA / name).exists()]
    return [
        *(f'latency at clocks that were left out: {name} is not here' for name in absent),
        'latency over the clocks of a Xavier NX and of an Orin Nano: no table has their clocks',
    ]


def figures() -> Iterator[Figure]:
    """Yield the figures of each table that is here."""
    for board, rows in tables():
        title = f'latency at clocks that were left out, {board}'
        known, others = parted(rows)
        count = f'{len(others)} rows, from {len(known)}'
        yield figure(f"{title}: mean error of the board's law ({count})", of_law(rows), '', BAR)
        yield figure(f'{title}: mean error of a sum over processor and memory', of_sum(rows), '')


def tables() -> Iterator[tuple[str, Sequence[Row]]]:
    """Yield the boards and the rows of their tables, where these are here."""
    for board, name in (('TX2', TX2), ('AGX Orin', AGX_ORIN)):
        if (DATA / name).exists():
            yield board, read_table(DATA / name).rows
    if (DATA / ORIN_NX).exists():
        yield 'Orin NX', orin_nx()


def parted(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Return the rows at clocks that are known, and those at some clock that is left out."""
    left_out = {
        (domain, clock)
        for domain in {domain for row in rows for domain in row.clocks}
        for clock in sorted({row.clocks[domain] for row in rows})[1:-1:2]
    }
    known: list[Row] = []
    others: list[Row] = []
    for row in rows:
        (others if left_out & set(row.clocks.items()) else known).append(row)
    return known, others


def of_law(rows: Sequence[Row]) -> float:
    """Return the mean error of the law of boards, relative and without its sign."""
    known, _ = parted(rows)
    return _mean(calibrate('table', Table('table', tuple(rows)), known, like()).errors[LATENCY])


def of_sum(rows: Sequence[Row]) -> float:
    """Return that of a sum of three: with the processor's clock, with the memory's, with none."""
    from scipy.optimize import nnls

    errors: list[float] = []
    known, others = (_by_subject(some) for some in parted(rows))
    for subject, own in known.items():
        measured = np.array([row.latency for row in own])
        units, _ = nnls(_columns(own, rows) / measured[:, None], np.ones(len(own)))
        tested = others.get(subject, [])
        latencies = np.array([row.latency for row in tested])
        errors += (_columns(tested, rows) @ units / latencies - 1.0).tolist()
    return _mean(errors)


def _columns(rows: Sequence[Row], every: Sequence[Row]) -> np.ndarray:
    """Return of each row the highest clock over its own: of the processor, of the memory; 1."""
    highest = {
        domain: max(row.clocks[domain] for row in every)
        for domain in {domain for row in every for domain in row.clocks}
    }
    found = [
        [
            highest[domain] / row.clocks[domain] if domain in row.clocks else 0.0
            for domain in ('gpu', 'memory')
        ]
        for row in rows
    ]
    return np.hstack([np.array(found).reshape(-1, 2), np.ones((len(rows), 1))])


def _by_subject(rows: Iterable[Row]) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault((row.subject, row.cores), []).append(row)
    return found


def _mean(errors: Iterable[float]) -> float:
    return mean(map(abs, errors))
