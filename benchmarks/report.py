# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a benchmark found: rows of figures, with what was asked for and on which machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
import datetime
import json
import os
from pathlib import Path
import platform
import re
import statistics
from typing import Any

import psutil

_COMPARISONS = {
    '<=': lambda value, bar: value <= bar,
    '>=': lambda value, bar: value >= bar,
    '>': lambda value, bar: value > bar,
}


@dataclass(frozen=True)
class Figure:
    """
    One row.

    `low` and `high` are the extremes over the runs, equal to `value` where there was one run;
    `bar` is what was asked for, with its sense, as ``<= 0.5``.
    """

    name: str
    value: float
    unit: str
    low: float
    high: float
    bar: str | None = None

    @property
    def met(self) -> bool | None:
        """Whether the figure meets its bar in every run; None without one."""
        if self.bar is None:
            return None
        match = re.fullmatch(r'(<=|>=|>) (\S+)', self.bar)
        assert match is not None, self.bar
        worst = self.high if match[1] == '<=' else self.low
        return bool(_COMPARISONS[match[1]](worst, float(match[2])))


def figure(
    name: str, values: Sequence[float] | float, unit: str, bar: str | None = None
) -> Figure:
    """Return the row of a figure: the median and the extremes of its values, one a run."""
    runs = [float(values)] if isinstance(values, (int, float)) else [float(v) for v in values]
    rounded = [float(f'{run:.5g}') for run in (statistics.median(runs), min(runs), max(runs))]
    return Figure(name, rounded[0], unit, rounded[1], rounded[2], bar)


@dataclass(frozen=True)
class Report:
    """
    The figures of one suite; `kind` is ``measured`` or ``simulated``.

    What could not be measured stands in `configuration` under `not_measured`, a text each that
    says why, and what would help.
    """

    suite: str
    kind: str
    configuration: dict[str, Any]
    figures: list[Figure]
    host: dict[str, Any] = field(default_factory=lambda: host())

    def write(self, path: Path) -> None:
        """Write the report as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + '\n')

    def rows(self) -> dict[str, Figure]:
        """Return the figures by name."""
        return {row.name: row for row in self.figures}

    def table(self) -> str:
        """Return the figures as a table of Markdown, and what was not measured below it."""
        return '\n\n'.join([table_of(self.figures), *self.not_measured()])

    def not_measured(self) -> list[str]:
        """Return a paragraph and a list of Markdown of what was not measured; empty if all was."""
        missing = self.configuration.get('not_measured', [])
        return ['Not measured:', '\n'.join(f'- {text}' for text in missing)] if missing else []


def table_of(figures: Sequence[Figure]) -> str:
    """Return figures as a table of Markdown, rounded to three digits."""
    lines = ['| figure | value | lowest to highest | unit | asked for |', '| --- ' * 5 + '|']
    for row in figures:
        spread = '' if row.low == row.high else f'{_short(row.low)} to {_short(row.high)}'
        asked = '' if row.bar is None else f'{row.bar}: {"met" if row.met else "**missed**"}'
        lines.append(f'| {row.name} | {_short(row.value)} | {spread} | {row.unit} | {asked} |')
    return '\n'.join(lines)


def _short(value: float) -> str:
    return f'{value:.0f}' if abs(value) >= 1000 else f'{value:.3g}'


def host() -> dict[str, Any]:
    """Return what the figures depend on of this machine; its load is that of the last minutes."""
    model = platform.processor() or platform.machine()
    for line in Path('/proc/cpuinfo').read_text().splitlines():
        if line.startswith('model name'):
            model = line.partition(':')[2].strip()
            break
    return {
        'date': datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%d %H:%M UTC'),
        'cpu': model,
        'cores': psutil.cpu_count(),
        'memory': psutil.virtual_memory().total,
        'system': f'{platform.system()} {platform.release()}',
        'python': platform.python_version(),
        'ros_distribution': os.environ.get('ROS_DISTRO', 'jazzy (wheels)'),
        'middleware': os.environ.get('RMW_IMPLEMENTATION', 'default'),
        'load_average': [round(value, 2) for value in os.getloadavg()],
    }
