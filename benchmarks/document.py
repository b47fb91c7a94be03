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
        block = f'{mark}\n{_provenance(report)}\n\n{report.table()}\n<!-- end -->'
        pattern = f'{re.escape(mark)}.*?<!-- end -->'
        page = re.sub(pattern, lambda _, block=block: block, page, count=1, flags=re.DOTALL)
    return page


def read_report(path: Path) -> Report:
    """Return a report as it was written."""
    kept = json.loads(path.read_text())
    figures = [Figure(**row) for row in kept.pop('figures')]
    return Report(figures=figures, **kept)


def _provenance(report: Report) -> str:
    host = report.host
    load = ', '.join(f'{value:g}' for value in host['load_average_before'])
    return (
        f'{report.kind.capitalize()} on {host["cores"]} cores of {host["cpu"]}, '
        f'{host["system"]}, Python {host["python"]}, ROS 2 {host["ros_distribution"]}, '
        f'{host["date"]}; {report.configuration["runs"]} runs; load average before the first '
        f'one: {load}.'
    )
