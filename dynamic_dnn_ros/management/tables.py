# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Operating points laid out for a search: settings of the frequencies x options of an application.

An option is a sub-network on a processor. Prepared when an application or the set of
applications changes, not for each decision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
import math

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.bundles.profile import OperatingPoints
from dynamic_dnn_ros.management.difficulty import DOUBT
from dynamic_dnn_ros.management.estimator import with_quantile_at
from dynamic_dnn_ros.management.observations import Application
from dynamic_dnn_ros.management.paths import Paths

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]
Option = tuple[str, str]

_KILOHERTZ = 1e3
"""Frequencies count as equal when they agree to a kilohertz."""

FIGURES = ('mean', 'p50', 'p95', 'p99', 'power', 'idle_power', 'energy', 'dynamic_power')
"""In the order of `ApplicationTable.figures`; the last one follows from the others."""

LARGEST_JOINT = 20_000
"""Settings of all applications together: those of disjoint domains multiply."""

MOST_NEAREST = 1024
"""Frequencies whose nearest setting is remembered: measured ones may differ each time."""

UNKNOWN = 1e9
"""Stands for a point that the profile lacks where the least of several is taken."""


@dataclass(frozen=True, eq=False)
class Grid:
    """
    Options x settings; every figure of them is an array of that shape.

    `accuracy` is that of each option; `rows` are the settings of the domains, ascending,
    kilohertz, shape (settings, domains).
    """

    options: tuple[Option, ...]
    accuracy: FloatArray
    domains: tuple[str, ...]
    rows: IndexArray
    _nearest: dict[tuple[float, ...], int] = field(default_factory=dict, init=False, repr=False)

    @property
    def processors(self) -> tuple[str, ...]:
        """Return the processor of each option."""
        return tuple(processor for _, processor in self.options)

    @property
    def hertz(self) -> FloatArray:
        """Return the settings in hertz, shape (settings, domains)."""
        return self.rows.astype(np.float64) * _KILOHERTZ

    def option(self, sub_network: str, processor: str) -> int | None:
        """Return the index of an option, none where there is no such one."""
        option = (sub_network, processor)
        return self.options.index(option) if option in self.options else None

    def nearest_row(self, frequencies: Mapping[str, float]) -> int:
        """
        Return the setting nearest to the frequencies, Hz, by their ratio.

        A domain that is not given, or NaN, counts as running at its highest frequency.
        """
        if not self.domains:
            return 0
        # Asked for with each frame, while a board has only so many settings.
        given = tuple(frequencies.get(name, 0.0) for name in self.domains)
        given = tuple(hertz if 0 < hertz < math.inf else 0.0 for hertz in given)
        row = self._nearest.get(given)
        if row is None:
            if len(self._nearest) >= MOST_NEAREST:
                self._nearest.clear()
            row = self._nearest[given] = self._find_nearest_row(np.array(given) / _KILOHERTZ)
        return row

    def _find_nearest_row(self, wanted: FloatArray) -> int:
        wanted = np.where(wanted > 0, wanted, self.rows.max(axis=0))
        return int(np.abs(np.log(self.rows / wanted)).sum(axis=1).argmin())


@dataclass(frozen=True, eq=False)
class ApplicationTable(Grid):
    """
    One application's operating points; a point that the profile lacks is NaN.

    `figures` holds all of `FIGURES`, shape (figures, options, settings); each of them is there
    by its name too. `dynamic_power` is what running adds to idle power. Where no power was
    measured, a stand-in grows with the square of the clocks up to 1: less work at lower clocks
    counts as less power.

    A sub-network of several stages has the figures of its largest path, as profiled, or those of
    the paths of a scene (`along_paths`), whose `difficulty` it names; `source` makes those of
    another one.
    """

    application: str
    figures: FloatArray
    mean: FloatArray
    p50: FloatArray
    p95: FloatArray
    p99: FloatArray
    power: FloatArray
    idle_power: FloatArray
    energy: FloatArray
    dynamic_power: FloatArray
    difficulty: float = 1.0
    source: Callable[[float], ApplicationTable] | None = None

    def seen_at(self, difficulty: float) -> ApplicationTable:
        """Return the same operating points in a scene of another difficulty."""
        return self if self.source is None else self.source(difficulty)

    @cached_property
    def idle(self) -> FloatArray:
        """Return the idle power of the board at each setting, W; NaN where not known."""
        idle: FloatArray = np.fmax.reduce(self.idle_power, axis=0, initial=math.nan)
        return idle

    @cached_property
    def added(self) -> FloatArray:
        """Return what running adds to idle power, W; NaN where not known."""
        return self.power - self.idle_power


def application_table(application: Application) -> ApplicationTable:
    """Lay out the operating points of one application."""
    points: OperatingPoints = application.operating_points
    pair = points.sub_network * max(len(points.processors), 1) + points.processor
    _, first, column = np.unique(pair, return_index=True, return_inverse=True)
    pairs = list(zip(points.sub_network[first].tolist(), points.processor[first].tolist()))
    kilohertz = np.rint(points.frequencies / _KILOHERTZ).astype(np.int64)
    rows, row = _distinct(kilohertz)
    figures = np.full((len(FIGURES), len(pairs), len(rows)), np.nan)
    for index, figure in enumerate(FIGURES[:-1]):
        name = figure if figure in ('power', 'idle_power', 'energy') else f'latency_{figure}'
        figures[index, column, row] = getattr(points, name)
    options = tuple((points.sub_networks[s], points.processors[p]) for s, p in pairs)
    accuracy = np.array([application.accuracies.get(s, math.nan) for s, _ in options])
    scale = np.ones(len(rows))
    if points.domains:
        scale = ((rows / rows.max(axis=0, initial=1)) ** 2).mean(axis=1)
    by_name = dict(zip(FIGURES, figures))
    dynamic = by_name['power'] - np.fmax(by_name['idle_power'], 0.0)
    figures[-1] = np.where(np.isfinite(dynamic), dynamic, scale)
    return ApplicationTable(
        options,
        accuracy,
        points.domains,
        rows,
        application.id,
        figures,
        **by_name,
        difficulty=1.0,
        source=None,
    )


def along_paths(
    table: ApplicationTable,
    paths: Mapping[str, Paths],
    quantile: float,
    difficulty: float,
    preprocessing: float = 0.0,
) -> ApplicationTable:
    """
    Return operating points as the pictures of a scene take them.

    Mean latency and energy are those of the mean picture. The quantiles of latency are such that
    at one quantile they give that of all pictures: it lies on the path that so many do not exceed,
    at the quantile that is left over for that path. So they hold at that one alone. There the
    scene counts as harder by `difficulty.DOUBT`: the difficulty in use may be off.

    :param table: as profiled; returned as it is where no sub-network has paths
    :param paths: by sub-network; others are of one piece
    :param quantile: that the target asks for
    :param preprocessing: what of the latency every path takes, s
    """
    if not paths:
        return table
    known = [paths.get(sub_network) for sub_network, _ in table.options]
    mean = np.array([p.mean_work(difficulty) if p else 1.0 for p in known])
    harder = difficulty * DOUBT
    at_quantile = np.array([p.work_at(quantile, harder) if p else 1.0 for p in known])
    with np.errstate(divide='ignore', invalid='ignore'):
        fixed = np.fmin(preprocessing / table.mean, 1.0)
    figures = table.figures.copy()
    for names, works in ((('mean', 'energy'), mean), (('p50', 'p95', 'p99'), at_quantile)):
        factors = works[:, None] + (1 - works[:, None]) * fixed
        for name in names:
            figures[FIGURES.index(name)] *= factors
    by_name = dict(zip(FIGURES, figures))
    p50, p95, p99 = (by_name[name] for name in ('p50', 'p95', 'p99'))
    for i, path in enumerate(known):
        if path is not None:
            of_path = path.quantile_of_path(quantile, harder)
            p95[i], p99[i] = with_quantile_at(quantile, of_path, p50[i], p95[i], p99[i])
    return replace(
        table,
        figures=figures,
        difficulty=difficulty,
        source=lambda other: along_paths(table, paths, quantile, other, preprocessing),
        **by_name,
    )


def _distinct(kilohertz: IndexArray) -> tuple[IndexArray, IndexArray]:
    """Return the distinct rows, ascending, and for each row which of them it is."""
    code = np.zeros(len(kilohertz), dtype=np.int64)
    for domain in kilohertz.T:
        values, index = np.unique(domain, return_inverse=True)
        code = code * len(values) + index
    _, first, row = np.unique(code, return_index=True, return_inverse=True)
    return kilohertz[first], row


LEAST = (
    'mean',
    'p50',
    'beyond_p50',
    'beyond_p95',
    'energy',
    'idle_power',
    'dynamic_power',
    'work',
)
"""
In the order of `LeastFigures`: p95 - p50 and p99 - p95, s; `work`, the dynamic energy of one
inference, J.
"""

_REMEMBERED = 4
"""Sets of usable options whose least figures are kept, each up to megabytes."""


class LeastFigures:
    """
    One application's operating points as the joint choice reads them, and their lower bounds.

    What a profile lacks is `UNKNOWN` seconds long, but takes no energy and no idle power, since
    that is how it is judged.

    `points` has the shape (joint settings, options, figures); so has `least`, whose option i has
    the least figures of the i + 1 most accurate ones. `descending` are the accuracies in that
    order, an unknown one infinite: it misses no limit.
    """

    def __init__(self, points: FloatArray, accuracy: FloatArray) -> None:
        """Prepare the least over the most accurate options, for each number of them."""
        known = np.where(np.isnan(accuracy), np.inf, accuracy)
        order = np.argsort(-known, kind='stable')
        self.points = np.ascontiguousarray(points)
        self.least = np.ascontiguousarray(np.minimum.accumulate(self.points[:, order], axis=1))
        self.accuracy = np.ascontiguousarray(accuracy)
        self.descending = known[order]
        self._usable: dict[bytes, LeastFigures] = {}

    def of(self, usable: NDArray[np.bool_]) -> LeastFigures:
        """Return the figures of some of the options."""
        if usable.all():
            return self
        key = usable.tobytes()
        found = self._usable.get(key)
        if found is None:
            if len(self._usable) >= _REMEMBERED:
                self._usable.clear()
            found = LeastFigures(self.points[:, usable], self.accuracy[usable])
            self._usable[key] = found
        return found


def least_figures(table: ApplicationTable, row: IndexArray) -> LeastFigures:
    """Return the least figures of an application, given its row at each joint setting."""
    points = dict(zip(FIGURES, table.figures[:, :, row]))
    missing = ~np.isfinite(points['mean'] + points['p50'] + points['p95'] + points['p99'])
    latency = [
        points['mean'],
        points['p50'],
        points['p95'] - points['p50'],
        points['p99'] - points['p95'],
    ]
    known = [np.where(missing, UNKNOWN, figure) for figure in latency]
    power = [np.nan_to_num(points['energy']), np.nan_to_num(points['idle_power'])]
    dynamic = points['dynamic_power']
    work = np.where(np.isfinite(points['mean']), points['mean'] * dynamic, 0.0)
    figures = np.stack([*known, *power, dynamic, work]).transpose(2, 1, 0)
    return LeastFigures(figures, table.accuracy)


@dataclass(frozen=True, eq=False)
class JointTable:
    """
    Settings that every application has operating points for.

    `settings` are kilohertz, shape (settings, domains); `row[a]` gives, for each setting, the
    row of application a's table. `processors[a]` numbers the processor of each of its options,
    the same for all applications; `least[a]` is for lower bounds. `unjoined` names applications
    whose profile shares no setting with the others', or would make more than `LARGEST_JOINT`:
    they are judged at their highest row throughout.
    """

    tables: tuple[ApplicationTable, ...]
    domains: tuple[str, ...]
    settings: IndexArray
    row: tuple[IndexArray, ...]
    processors: tuple[IndexArray, ...]
    least: tuple[LeastFigures, ...]
    unjoined: tuple[str, ...]

    @cached_property
    def has_power(self) -> bool:
        """Tell whether all applications' profiles have figures of power."""
        return all(bool(np.isfinite(table.power).any()) for table in self.tables)

    @cached_property
    def most_power(self) -> float:
        """Return what no plan can exceed: the most idle power, and each one's most beside, W."""
        idle = [np.nan_to_num(table.idle_power).max(initial=0.0) for table in self.tables]
        beside = [np.nan_to_num(table.dynamic_power).max(initial=0.0) for table in self.tables]
        return float(max(idle, default=0.0) + sum(beside))

    def nearest(self, frequencies: Mapping[str, float], settings: IndexArray) -> IndexArray:
        """Return the one of some settings that is nearest to frequencies, Hz, by their ratio."""
        offered = self.settings[settings].astype(np.float64)
        wanted = [frequencies.get(name, 0.0) / _KILOHERTZ for name in self.domains]
        distance = np.abs(np.log(offered / np.maximum(wanted, 1e-9))).sum(axis=1)
        return settings[[int(distance.argmin())]]

    def frequencies(self, setting: int) -> dict[str, float]:
        """Return the frequencies of one setting, Hz by domain."""
        return dict(zip(self.domains, (self.settings[setting] * _KILOHERTZ).tolist()))


def join(tables: Sequence[ApplicationTable], before: JointTable | None = None) -> JointTable:
    """
    Join the applications' settings on the domains that they share.

    :param before: what was joined last; what it has of the same tables is taken over
    """
    domains: tuple[str, ...] = ()
    settings: list[tuple[int, ...]] = [()]
    rows: list[list[int]] = []
    unjoined = []
    for number, table in enumerate(tables):
        listed = table.rows.tolist()
        offered = list(map(tuple, listed))
        if number == 0 or (table.domains == domains and offered == settings):
            # The common case: all were profiled at the same settings.
            domains, settings = table.domains, offered
            rows.append(list(range(len(settings))))
            continue
        shared = [name for name in table.domains if name in domains]
        added = [name for name in table.domains if name not in domains]
        at = [table.domains.index(name) for name in shared]
        new = [table.domains.index(name) for name in added]
        matches: dict[tuple[int, ...], list[int]] = {}
        for index, row in enumerate(listed):
            matches.setdefault(tuple(row[i] for i in at), []).append(index)
        places = [domains.index(name) for name in shared]
        partners = [matches.get(tuple(setting[i] for i in places), []) for setting in settings]
        pairs = []
        if sum(map(len, partners)) <= LARGEST_JOINT:
            pairs = [
                (position, index) for position, indices in enumerate(partners) for index in indices
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
    row = tuple(np.array(column, dtype=np.int64) for column in rows)
    return JointTable(
        tuple(tables),
        domains,
        np.array(settings, dtype=np.int64).reshape(len(settings), len(domains)),
        row,
        tuple(np.array([names.index(p) for p in table.processors], np.int64) for table in tables),
        tuple(_least_of(table, index, before) for table, index in zip(tables, row)),
        tuple(unjoined),
    )


def _least_of(table: ApplicationTable, row: IndexArray, before: JointTable | None) -> LeastFigures:
    for known, at, least in zip(before.tables, before.row, before.least) if before else ():
        if known is table and np.array_equal(at, row):
            return least
    return least_figures(table, row)
