# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Puts the tables of the kept results into the page that shows them."""

from __future__ import annotations

import json
from pathlib import Path
import re

from headlines import HEADLINES
from report import Figure, Report, table_of

PAGE = Path(__file__).resolve().parents[1] / 'docs' / 'benchmarks.md'


def renewed(page: str, results: Path) -> str:
    """
    Return the page with each suite's headlines between its marks, from the results that are kept.

    :raises KeyError: for a suite that the page has no place for, or that has no headlines.
    """
    for path in sorted(results.glob('*.json')):
        report = read_report(path)
        mark = f'<!-- figures of {report.suite} -->'
        if mark not in page:
            raise KeyError(f'{PAGE.name} has no {mark}: add it, and <!-- end --> below')
        parts = [
            _provenance(report),
            table_of(headlines_of(report)),
            *_missed(report),
            _rest(report),
            *report.not_measured(),
        ]
        if picture_of(report).exists():
            parts.insert(1, f'![Figures of {report.suite}](images/{picture_of(report).name})')
        block = '\n'.join([mark, '\n\n'.join(parts), '<!-- end -->'])
        pattern = f'{re.escape(mark)}.*?<!-- end -->'
        page = re.sub(pattern, lambda _, block=block: block, page, count=1, flags=re.DOTALL)
    return page


def read_report(path: Path) -> Report:
    """Return a report as it was written."""
    kept = json.loads(path.read_text())
    figures = [Figure(**row) for row in kept.pop('figures')]
    return Report(figures=figures, **kept)


def picture_of(report: Report) -> Path:
    """Return where the page has the picture of a suite that draws one."""
    return PAGE.parent / 'images' / f'{report.suite}.png'


def headlines_of(report: Report) -> list[Figure]:
    """
    Return the figures that the page shows, in its order.

    :raises KeyError: for a suite without headlines, or a headline that begins no figure's name.
    """
    found = []
    for beginning in HEADLINES[report.suite]:
        rows = [row for row in report.figures if row.name.startswith(beginning)]
        if not rows:
            raise KeyError(f'headlines.py: no figure of {report.suite} begins with "{beginning}"')
        found.append(rows[0])
    return found


def _missed(report: Report) -> list[str]:
    asked = [row for row in report.figures if row.bar is not None]
    missed = [row for row in asked if not row.met]
    if not missed:
        return []
    summary = f'{len(missed)} of {len(asked)} marks are missed'
    return [f'<details><summary>{summary}</summary>', table_of(missed), '</details>']


def _rest(report: Report) -> str:
    asked = [row for row in report.figures if row.bar is not None]
    met = f'{sum(bool(row.met) for row in asked)} of {len(asked)} marks are met. ' if asked else ''
    where = f'[{report.suite}.json](../benchmarks/results/{report.suite}.json)'
    return f'{met}All {len(report.figures)} figures: {where}.'


def _provenance(report: Report) -> str:
    host = report.host
    load = ', '.join(f'{value:g}' for value in host['load_average_before'])
    runs = report.configuration['runs']
    return (
        f'{report.kind.capitalize()} on {host["cores"]} cores of {host["cpu"]}, '
        f'{host["system"]}, Python {host["python"]}, ROS 2 {host["ros_distribution"]}, '
        f'{host["date"]}; {runs} {"run" if runs == 1 else "runs"}; load average before the first '
        f'one: {load}.'
    )
