# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Operating points laid out for a search: settings of the frequencies x options of an application.

An option is a sub-network on a processor. Prepared when an application or the set of
applications changes, not for each decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.bundles.profile import OperatingPoints
from dynamic_dnn_ros.management.observations import Application

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]

_KILOHERTZ = 1e3
"""Frequencies count as equal when they agree to a kilohertz."""

FIGURES = ('mean', 'p50', 'p95', 'p99', 'power', 'idle_power', 'energy')


@dataclass(frozen=True, eq=False)
class ApplicationTable:
    """
    One application's operating points; every figure has the shape (rows, options).

    `rows` are the distinct settings of the domains in the profile, kilohertz, shape
    (rows, domains); a point that the profile lacks is NaN. `scale`, a stand-in for power where
    none was measured, grows with the square of the clocks up to 1.
    """

    application: str
    options: tuple[tuple[str, str], ...]
    accuracy: FloatArray
    domains: tuple[str, ...]
    rows: IndexArray
    scale: FloatArray
    mean: FloatArray
    p50: FloatArray
    p95: FloatArray
    p99: FloatArray
    power: FloatArray
    idle_power: FloatArray
    energy: FloatArray

    @property
    def processors(self) -> tuple[str, ...]:
        """Return the processor of each option."""
        return tuple(processor for _, processor in self.options)

    def option(self, sub_network: str, processor: str) -> int | None:
        """Return the index of an option, none where the profile lacks it."""
        option = (sub_network, processor)
        return self.options.index(option) if option in self.options else None

    def nearest_row(self, frequencies: dict[str, float]) -> int:
        """
        Return the row nearest to the frequencies, Hz, by their ratio.

        A domain that is not given, or NaN, counts as running at its highest frequency.
        """
        if not self.domains:
            return 0
        wanted = np.array([frequencies.get(name, math.nan) for name in self.domains]) / _KILOHERTZ
        wanted = np.where(np.isfinite(wanted) & (wanted > 0), wanted, self.rows.max(axis=0))
        return int(np.abs(np.log(self.rows / wanted)).sum(axis=1).argmin())


def application_table(application: Application) -> ApplicationTable:
    """Lay out the operating points of one application."""
    points: OperatingPoints = application.operating_points
    pairs = sorted(set(zip(points.sub_network.tolist(), points.processor.tolist())))
    columns = {pair: column for column, pair in enumerate(pairs)}
    kilohertz = np.rint(points.frequencies / _KILOHERTZ).astype(np.int64)
    if points.domains:
        rows, row = np.unique(kilohertz, axis=0, return_inverse=True)
        row = np.asarray(row).reshape(-1)
    else:
        rows, row = np.zeros((1, 0), dtype=np.int64), np.zeros(len(points), dtype=np.int64)
    column = np.array(
        [columns[pair] for pair in zip(points.sub_network.tolist(), points.processor.tolist())],
        dtype=np.int64,
    )
    figures = {}
    for figure in FIGURES:
        name = figure if figure in ('power', 'idle_power', 'energy') else f'latency_{figure}'
        grid = np.full((len(rows), len(pairs)), np.nan)
        grid[row, column] = getattr(points, name)
        figures[figure] = grid
    options = tuple((points.sub_networks[s], points.processors[p]) for s, p in pairs)
    accuracy = np.array([application.accuracies.get(s, math.nan) for s, _ in options])
    scale = np.ones(len(rows))
    if points.domains:
        scale = ((rows / rows.max(axis=0)) ** 2).mean(axis=1)
    return ApplicationTable(
        application.id, options, accuracy, points.domains, rows, scale, **figures
    )


@dataclass(frozen=True, eq=False)
class JointTable:
    """
    Settings that every application has operating points for.

    `settings` are kilohertz, shape (settings, domains); `row[a]` gives, for each setting, the
    row of application a's table. `processors[a]` numbers the processor of each of its options,
    the same for all applications. `unjoined` names applications whose profile shares no setting
    with the others': they are judged at their highest row throughout.
    """

    tables: tuple[ApplicationTable, ...]
    domains: tuple[str, ...]
    settings: IndexArray
    row: tuple[IndexArray, ...]
    processors: tuple[IndexArray, ...]
    unjoined: tuple[str, ...]

    def frequencies(self, setting: int) -> dict[str, float]:
        """Return the frequencies of one setting, Hz by domain."""
        return dict(zip(self.domains, (self.settings[setting] * _KILOHERTZ).tolist()))


def join(tables: Sequence[ApplicationTable]) -> JointTable:
    """Join the applications' settings on the domains that they share."""
    domains: tuple[str, ...] = ()
    settings: list[tuple[int, ...]] = [()]
    rows: list[list[int]] = []
    unjoined = []
    for table in tables:
        shared = [name for name in table.domains if name in domains]
        added = [name for name in table.domains if name not in domains]
        at = [table.domains.index(name) for name in shared]
        new = [table.domains.index(name) for name in added]
        matches: dict[tuple[int, ...], list[int]] = {}
        listed = table.rows.tolist()
        for index, row in enumerate(listed):
            matches.setdefault(tuple(row[i] for i in at), []).append(index)
        places = [domains.index(name) for name in shared]
        pairs = [
            (position, index)
            for position, setting in enumerate(settings)
            for index in matches.get(tuple(setting[i] for i in places), ())
        ]
        if not pairs:
            unjoined.append(table.application)
            rows.append([table.nearest_row({})] * len(settings))
            continue
        rows = [[column[position] for position, _ in pairs] for column in rows]
        rows.append([index for _, index in pairs])
        settings = [settings[p] + tuple(listed[index][i] for i in new) for p, index in pairs]
        domains += tuple(added)
    names = sorted({name for table in tables for name in table.processors})
    return JointTable(
        tuple(tables),
        domains,
        np.array(settings, dtype=np.int64).reshape(len(settings), len(domains)),
        tuple(np.array(column, dtype=np.int64) for column in rows),
        tuple(np.array([names.index(p) for p in table.processors], np.int64) for table in tables),
        tuple(unjoined),
    )
