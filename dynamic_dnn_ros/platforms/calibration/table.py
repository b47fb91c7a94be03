# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A table of networks that ran on a board, frame after frame, a row a setting of its clocks.

Columns, of which `network` and one of latency and throughput are needed, what is missing is
missing: `network, processor, image_size, cores, cpu_hz, gpu_hz, memory_hz, latency_s,
throughput_ips, energy_j, power_RAIL_w, utilisation_DOMAIN`. SI units throughout. Units that are
mixed up are refused, as far as figures of networks on such boards can tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
import csv
from dataclasses import dataclass, field
from difflib import get_close_matches
import math
from pathlib import Path
import re
from statistics import median_low

DOMAINS = ('cpu', 'gpu', 'memory')
COLUMNS = (
    'network',
    'processor',
    'image_size',
    'cores',
    *(f'{domain}_hz' for domain in DOMAINS),
    'latency_s',
    'throughput_ips',
    'energy_j',
)
GPU = 'gpu'
"""The processor of a row that names none."""

_RAIL = re.compile(r'power_(.+)_w')
_UTILISATION = re.compile(r'utilisation_(.+)')
_UNIT = re.compile(r'.*_([kmgnu]?hz|[mnu]?s|ips|fps|[mk]?w|[mk]?j)', re.IGNORECASE)
_MISSING = ('', 'nan', 'null', 'none', 'na', 'n/a')

_LONGEST, _LONG = 60.0, 5.0
"""Seconds of a frame that are milliseconds surely, and as the median of a table."""

_HOTTEST = 300.0
"""Watts of a rail beyond which they are milliwatts."""

_CONTRADICTION = 1.5
"""How many times as long the same setting may take in two rows."""

_BEYOND_CLOCKS = 5.0
"""How much more than its clocks and cores explain a network's latency may vary."""


class TableError(ValueError):
    """A table that cannot be used. The text names the input, the problem and the remedy."""

    def __init__(self, where: object, problem: str, remedy: str) -> None:
        super().__init__(f'{where}: {problem}. {remedy}.')


@dataclass(frozen=True)
class Row:
    """
    One network on one processor at one setting: latency in s, clocks in Hz by domain.

    `image_size` and `cores` are 0 where the table does not have them; `power` in W by rail,
    `energy` of a frame in J or NaN, `utilisation` 0..1 by domain. `line` of the file.
    """

    line: int
    network: str
    processor: str
    image_size: int
    cores: int
    clocks: Mapping[str, float]
    latency: float
    power: Mapping[str, float] = field(default_factory=dict)
    energy: float = math.nan
    utilisation: Mapping[str, float] = field(default_factory=dict)

    @property
    def subject(self) -> tuple[str, str, int]:
        """Return what ran: network, processor, image size."""
        return self.network, self.processor, self.image_size

    @property
    def setting(self) -> tuple[float, ...]:
        """Return cores and clocks, 0 where the table does not have them."""
        return (float(self.cores), *(self.clocks.get(domain, 0.0) for domain in DOMAINS))


@dataclass(frozen=True)
class Table:
    """The rows of a file, and what about it a reader should know."""

    name: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @property
    def rails(self) -> tuple[str, ...]:
        """Return the rails that were measured, in the order of the columns."""
        return tuple(dict.fromkeys(rail for row in self.rows for rail in row.power))

    def clocks(self, domain: str) -> tuple[float, ...]:
        """Return the clocks of a domain at which something ran, ascending, Hz."""
        return tuple(sorted({r.clocks[domain] for r in self.rows if domain in r.clocks}))


def read_table(path: Path) -> Table:
    """
    Read and check a table.

    :raises TableError: when it cannot be read, lacks a column, mixes up units, or contradicts
        itself
    """
    try:
        with path.open(encoding='utf-8-sig', newline='') as file:
            reader = csv.DictReader(file)
            names = [(name or '').strip() for name in reader.fieldnames or ()]
            reader.fieldnames = names
            notes = list(_checked_columns(path, names))
            rows = [_row(path, reader.line_num, each) for each in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TableError(path, f'cannot be read ({error})', 'Give a CSV file') from error
    return table_of(path.name, rows, notes)


def table_of(name: str, rows: Sequence[Row], notes: Iterable[str] = ()) -> Table:
    """
    Return a table of rows, checked as a whole.

    :raises TableError: for too few rows, mixed units, or rows that contradict each other
    """
    if len(rows) < 2:
        raise TableError(
            name,
            f'has {"one row" if rows else "no rows"}',
            'Give a row for each setting of the clocks that a network ran at, two or more',
        )
    _check_durations(name, rows)
    _check_clocks_given(name, rows)
    found = list(notes)
    found += _check_repetitions(name, rows)
    _check_spread(name, rows)
    return Table(name, tuple(rows), tuple(found))


def _checked_columns(path: Path, names: Sequence[str]) -> Iterator[str]:
    """Yield what to say of the columns; raise where they cannot be used."""
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise TableError(path, f'has column {doubled[0]!r} twice', 'Remove one of them')
    others = []
    for name in names:
        if name in COLUMNS or _RAIL.fullmatch(name) or _UTILISATION.fullmatch(name):
            continue
        meant, remedy = _meant(name)
        if meant and meant not in names:
            raise TableError(path, f'column {name!r} is not known', f'{remedy} or remove it')
        others.append(name)
    missing = 'network' if 'network' not in names else ''
    if not missing and not {'latency_s', 'throughput_ips'} & set(names):
        if 'energy_j' in names or any(map(_RAIL.fullmatch, names)):
            raise TableError(
                path,
                'has energy or power, but no time: neither latency_s nor throughput_ips',
                'Add one of the two columns: without it energy says nothing of the clocks',
            )
        missing = 'latency_s or throughput_ips'
    if missing:
        raise TableError(
            path,
            f'lacks the column {missing}',
            f'It has: {", ".join(names) or "none"}; known are {", ".join(COLUMNS)}, '
            'power_RAIL_w and utilisation_DOMAIN',
        )
    if others:
        yield f'columns that are not used: {", ".join(repr(name) for name in others)}'


def _meant(name: str) -> tuple[str, str]:
    """Return which column one was probably meant to be, and the remedy; or nothing twice."""
    plain = name.strip().lower().replace(' ', '_').replace('utilization', 'utilisation')
    known = {'device': 'processor', 'frequency_hz': 'gpu_hz', 'emc_hz': 'memory_hz'}
    if plain in known or plain.startswith('utilisation_') or plain in COLUMNS:
        meant = known.get(plain, plain)
        return meant, f'Call it {meant!r},'
    unit = _UNIT.fullmatch(plain)
    if unit is None:
        close = get_close_matches(plain, COLUMNS, 1, 0.85)
        return (close[0], f'Call it {close[0]!r},') if close else ('', '')
    stem = plain[: -len(unit[1]) - 1]
    if unit[1].endswith('hz'):
        domain = next((domain for domain in DOMAINS if domain[:3] in stem), 'gpu')
        domain = 'memory' if 'emc' in stem or 'ddr' in stem else domain
        return f'{domain}_hz', f"Give Hz in a column '{domain}_hz',"
    if unit[1] in ('ips', 'fps'):
        return 'throughput_ips', "Give frames a second in a column 'throughput_ips',"
    if unit[1].endswith('w'):
        rail = re.sub('_?POWER_?', '', stem.upper()) or 'MODULE'
        return f'power_{rail}_w', f"Give watts in a column 'power_{rail}_w',"
    if unit[1].endswith('j'):
        return 'energy_j', "Give joules a frame in a column 'energy_j',"
    return 'latency_s', "Give seconds a frame in a column 'latency_s',"


def _row(path: Path, line: int, fields: Mapping[str | None, object]) -> Row:
    where = f'{path}: line {line}'
    if None in fields:
        raise TableError(where, 'has more cells than there are columns', 'Remove what is too much')
    cells = {str(name): str(cell or '').strip() for name, cell in fields.items()}

    def number(name: str) -> float:
        text = cells.get(name, '')
        if text.lower() in _MISSING:
            return math.nan
        try:
            value = float(text)
        except ValueError:
            value = math.inf
        if not 0.0 <= value < math.inf:
            raise TableError(where, f'{name} is {text!r}', 'Give a number, or nothing if unknown')
        return value

    network = cells.get('network', '')
    if not network:
        raise TableError(where, 'names no network', 'Name it in column network')
    latency = _latency(where, number('latency_s'), number('throughput_ips'))
    energy = number('energy_j')
    power = {
        match[1]: watts
        for name in cells
        if (match := _RAIL.fullmatch(name)) and not math.isnan(watts := number(name))
    }
    for rail, watts in power.items():
        if not 0.0 < watts <= _HOTTEST:
            raise TableError(
                where,
                f'power_{rail}_w is {watts:g} W',
                'Give watts, not milliwatts, or nothing where it was not measured',
            )
    if not math.isnan(energy) and not 0.02 <= energy / latency <= _HOTTEST:
        raise TableError(
            where,
            f'energy_j of {energy:g} J in {latency:g} s is {energy / latency:.3g} W',
            'Give joules a frame and seconds, not millijoules or milliseconds',
        )
    utilisation = {
        match[1]: share
        for name in cells
        if (match := _UTILISATION.fullmatch(name)) and not math.isnan(share := number(name))
    }
    for domain, share in utilisation.items():
        if share > 1.0:
            raise TableError(
                where, f'utilisation_{domain} is {share:g}', 'Give shares of 1, not percent'
            )
    return Row(
        line=line,
        network=network,
        processor=cells.get('processor', '') or GPU,
        image_size=_whole(where, 'image_size', number('image_size')),
        cores=_whole(where, 'cores', number('cores')),
        clocks=dict(_clocks(where, number)),
        latency=latency,
        power=power,
        energy=energy,
        utilisation=utilisation,
    )


def _latency(where: str, latency: float, throughput: float) -> float:
    if math.isnan(latency) and throughput > 0.0:
        latency = 1.0 / throughput
    if math.isnan(latency) or latency <= 0.0:
        raise TableError(
            where,
            'has no latency above 0',
            'Give latency_s or throughput_ips in each row, or remove the row',
        )
    if latency > _LONGEST:
        raise TableError(
            where,
            f'a frame takes {latency:g} s',
            'Give seconds in latency_s, not milliseconds, and frames a second in throughput_ips',
        )
    return latency


def _clocks(where: str, number: object) -> Iterator[tuple[str, float]]:
    assert callable(number)
    for domain in DOMAINS:
        value = number(f'{domain}_hz')
        if math.isnan(value):
            continue
        if not 1e7 <= value <= 2e10:
            unit, factor = ('kHz', '1000') if 1e4 <= value < 1e7 else ('MHz', '1,000,000')
            guess = f'probably {unit}: multiply by {factor}' if 10 <= value < 1e7 else 'give Hz'
            raise TableError(
                where,
                f'{domain}_hz is {value:g} Hz, which is no clock of a board',
                guess[0].upper() + guess[1:],
            )
        yield domain, value


def _whole(where: str, name: str, value: float) -> int:
    if math.isnan(value):
        return 0
    if value != round(value) or value < 1:
        raise TableError(where, f'{name} is {value:g}', 'Give a whole number above 0')
    return round(value)


def _check_durations(name: str, rows: Sequence[Row]) -> None:
    middle = median_low(row.latency for row in rows)
    if middle > _LONG:
        raise TableError(
            name,
            f'half of the frames take more than {middle:.3g} s',
            'Give seconds in latency_s; these are probably milliseconds',
        )


def _check_clocks_given(name: str, rows: Sequence[Row]) -> None:
    """Refuse a clock that some rows of a network have and others lack."""
    given: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        first = given.setdefault((row.network, row.processor), {})
        for domain in DOMAINS:
            key = f'{domain} {domain in row.clocks}'
            first.setdefault(key, row)
            with_it, without = first.get(f'{domain} True'), first.get(f'{domain} False')
            if with_it and without:
                raise TableError(
                    name,
                    f'line {without.line} has no {domain}_hz, line {with_it.line} of the same '
                    'network has',
                    'Give it in all rows of a network, or in none',
                )


def _check_repetitions(name: str, rows: Sequence[Row]) -> list[str]:
    """Return what to say of settings that stand there more than once."""
    groups: dict[object, list[Row]] = {}
    for row in rows:
        groups.setdefault((row.subject, row.setting), []).append(row)
    repeated = [group for group in groups.values() if len(group) > 1]
    for group in repeated:
        fastest = min(group, key=lambda row: row.latency)
        slowest = max(group, key=lambda row: row.latency)
        if slowest.latency > _CONTRADICTION * fastest.latency:
            raise TableError(
                name,
                f'lines {fastest.line} and {slowest.line} are of {fastest.network} at the same '
                f'clocks, with {fastest.latency:.4g} and {slowest.latency:.4g} s',
                'Remove the wrong one, or tell the two apart by a column that is known',
            )
    if not repeated:
        return []
    return [f'{len(repeated)} settings stand there more than once; every row counts']


def _check_spread(name: str, rows: Sequence[Row]) -> None:
    """Refuse latencies that no clock explains: a unit that changes within the table."""
    groups: dict[object, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.subject, []).append(row)
    for group in groups.values():
        fastest = min(group, key=lambda row: row.latency)
        slowest = max(group, key=lambda row: row.latency)
        explained = 1.0
        for index in range(len(DOMAINS) + 1):
            values = [row.setting[index] for row in group]
            explained *= max(values) / min(values) if min(values) else 1.0
        if slowest.latency > _BEYOND_CLOCKS * explained * fastest.latency:
            raise TableError(
                name,
                f'line {slowest.line} says {slowest.latency:.4g} s of {fastest.network}, line '
                f'{fastest.line} {fastest.latency:.4g} s, and the clocks explain a factor of '
                f'{explained:.3g}',
                'Give seconds in all rows, and Hz',
            )
