#!/usr/bin/env python3
# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Run a suite of benchmarks, print its figures, and keep them.

They go to results/<suite>.json and into the table of docs/benchmarks.md; the picture that some
suites draw goes to docs/images/<suite>.png.
"""

from __future__ import annotations

import argparse
import importlib
import os
from pathlib import Path
import sys
import time

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parent / 'test')]


def suites() -> list[str]:
    """Return the names of all suites."""
    return sorted(path.stem for path in (FOLDER / 'suites').glob('[a-z]*.py'))


def main() -> int:
    """Run the suite that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('suite', choices=suites())
    parser.add_argument('--output', type=Path, help='JSON file; default: results/<suite>.json')
    parser.add_argument('--runs', type=int, help='how often; default: as the suite says')
    parser.add_argument(
        '--pictures', type=int, help='how many to test on, for a trial; needs --output'
    )
    arguments = parser.parse_args()
    suite = importlib.import_module(f'suites.{arguments.suite}')
    runs = arguments.runs or suite.RUNS
    if arguments.pictures is not None:
        if arguments.output is None or not hasattr(suite, 'PICTURES'):
            parser.error('--pictures is for trials of suites that test on pictures: give --output')
        suite.PICTURES = arguments.pictures
    load = os.getloadavg()
    begun = time.monotonic()
    report = suite.run(runs)
    report.configuration['runs'] = runs
    report.configuration['duration'] = round(time.monotonic() - begun)
    # What others took of the machine is seen before the suite, not after it.
    report.host['load_average_before'] = [round(value, 2) for value in load]
    path = arguments.output or FOLDER / 'results' / f'{arguments.suite}.json'
    report.write(path)
    document = importlib.import_module('document')
    if hasattr(suite, 'draw'):
        kept = arguments.output is None
        suite.draw(report, document.picture_of(report) if kept else path.with_suffix('.png'))
    if arguments.output is None:
        document.PAGE.write_text(document.renewed(document.PAGE.read_text(), path.parent))
    print(report.table())
    print(f'\n{report.kind}, {runs} runs; written to {os.path.relpath(path)}')
    missed = [row.name for row in report.figures if row.met is False]
    if missed:
        print(f'missed: {", ".join(missed)}', file=sys.stderr)
    return 1 if missed else 0


if __name__ == '__main__':
    sys.exit(main())
