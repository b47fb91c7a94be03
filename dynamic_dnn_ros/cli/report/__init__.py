# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn report`: one page on what happened in recorded or simulated runs."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
import importlib.util
import json
import math
from pathlib import Path
from typing import Any

from dynamic_dnn_ros.cli.report.record import ReportError, RunRecord, read_run
from dynamic_dnn_ros.files import PACKAGE
from dynamic_dnn_ros.storage import write_whole

ERRORS = (ReportError,)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument(
        'runs',
        metavar='RUN',
        nargs='+',
        type=Path,
        help='folder of a recording (mcap or sqlite3), or a file of `dynamic-dnn simulate '
        '--record`; several are shown side by side, differences are to the first',
    )
    parser.add_argument(
        '--output',
        type=Path,
        default=Path('report.html'),
        help='the page to write; default: %(default)s',
    )
    parser.add_argument(
        '--json', action='store_true', help='print the figures as JSON too, in SI units'
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    if importlib.util.find_spec('matplotlib') is None:
        # Said now, rather than when all is read.
        raise ModuleNotFoundError("No module named 'matplotlib'", name='matplotlib')
    output: Path = arguments.output
    if output.is_dir() or not output.absolute().parent.is_dir():
        raise ReportError(f'--output {output}: is no file that can be written. Name a file.html')
    records = [read(path, name) for path, name in zip(arguments.runs, _names(arguments.runs))]

    from dynamic_dnn_ros.cli.report.figures import run_figures
    from dynamic_dnn_ros.cli.report.page import page
    from dynamic_dnn_ros.cli.report.words import sentences

    figures = [run_figures(record) for record in records]
    write_whole(output, page(records, figures, version(PACKAGE)).encode())
    if arguments.json:
        print(json.dumps([_plain(asdict(one)) for one in figures], indent=2, ensure_ascii=False))
        return 0
    for record, one in zip(records, figures):
        print(f'{record.name}: {" ".join([*sentences(record, one), *record.notes])}')
    print(f'page: {output}')
    return 0


def read(path: Path, name: str) -> RunRecord:
    """
    Return a run from a recording, or from a file that `simulate` wrote.

    :raises ReportError: when it is neither
    """
    if path.suffix == '.json' and path.is_file():
        return read_run(path)
    from dynamic_dnn_ros.cli.report.recording import read_bag

    return read_bag(path, name)


def _names(paths: Sequence[Path]) -> list[str]:
    """Return what runs are called: by their folders, those of one name with that above."""
    names = [path.absolute().name for path in paths]
    times = Counter(names)
    return [
        name if times[name] == 1 else f'{path.absolute().parent.name}/{name}'
        for path, name in zip(paths, names)
    ]


def _plain(value: Any) -> Any:
    """Return a value for JSON, null for what is not known."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
