# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Puts the tables of the kept results into the page that shows them."""

from __future__ import annotations

import json
from pathlib import Path
import re

from report import Figure, Report

PAGE = Path(__file__).resolve().parents[1] / 'docs' / 'benchmarks.md'


def renewed(page: str, results: Path) -> str:
    """
    Return the page with each suite's table between its marks, from the results that are kept.

    :raises KeyError: for a suite that the page has no place for.
    """
    for path in sorted(results.glob('*.json')):
        report = read_report(path)
        mark = f'<!-- figures of {report.suite} -->'
        if mark not in page:
            raise KeyError(f'{PAGE.name} has no {mark}: add it, and <!-- end --> below')
        parts = [_provenance(report), report.table()]
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
