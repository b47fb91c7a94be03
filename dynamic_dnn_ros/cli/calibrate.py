# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn calibrate`: a simulated board from a table of measurements."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
import json
from pathlib import Path
import re
from statistics import mean

from dynamic_dnn_ros.cli.tables import aligned
from dynamic_dnn_ros.files import share_folder
from dynamic_dnn_ros.platforms.board_model import SIMULATED_SUFFIX
from dynamic_dnn_ros.platforms.calibration.from_table import (
    Calibration,
    calibrate,
    reference_of,
)
from dynamic_dnn_ros.platforms.calibration.row_choice import well_chosen
from dynamic_dnn_ros.platforms.calibration.row_list import named_rows
from dynamic_dnn_ros.platforms.calibration.table import Row, Table, TableError, read_table
from dynamic_dnn_ros.platforms.contract import PlatformError
from dynamic_dnn_ros.profiling.journal_table import SUFFIX, journal_table
from dynamic_dnn_ros.storage import write_whole
from dynamic_dnn_ros.yaml_files import read_yaml

ERRORS = (PlatformError, TableError)

_NETWORKS_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument(
        'table',
        type=Path,
        metavar='MEASUREMENTS.csv',
        help='a row for each network and setting, SI units; columns: network, processor, '
        'image_size, cores, cpu_hz, gpu_hz, memory_hz, latency_s or throughput_ips, energy_j or '
        'power_RAIL_w for any rails, utilisation_DOMAIN; what is missing is missing; or the '
        'journal (.jsonl) of a measurement by `dynamic-dnn profile`',
    )
    parser.add_argument(
        '--board', required=True, metavar='NAME', type=_name, help='what to call the board'
    )
    rows = parser.add_mutually_exclusive_group()
    rows.add_argument(
        '--from',
        dest='count',
        type=_count,
        metavar='N',
        help='fit to N well-chosen rows of each network, at each size of its pictures and on each '
        'processor; the others test it',
    )
    rows.add_argument(
        '--from-rows',
        type=Path,
        metavar='FILE',
        help='fit to the rows that a file names: their numbers, one a line, 0 for the first row '
        'below the header; or a CSV file with the same columns, of which network, processor, '
        'image_size, cores and clocks tell which rows are meant; the others test it',
    )
    parser.add_argument(
        '--like',
        default='orin_nx',
        metavar='BOARD',
        help='the board that gives what the table does not say, default %(default)s',
    )
    parser.add_argument(
        '--output', type=Path, metavar='FILE', help='the file to write, default NAME.yaml'
    )
    parser.add_argument('--json', action='store_true', help='print the errors as JSON')


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    like = _known_board(arguments.like)
    read = journal_table if arguments.table.suffix == SUFFIX else read_table
    table = read(arguments.table)
    used = _used(arguments, table, like)
    found = calibrate(arguments.board, table, used, like)
    path = arguments.output or Path(f'{arguments.board}.yaml')
    try:
        write_whole(path, found.text.encode())
    except OSError as error:
        raise TableError(path, f'cannot be written ({error})', 'Name another --output') from error
    print(
        json.dumps(_summary(found, table, path), indent=1)
        if arguments.json
        else _text(found, table, path)
    )
    return 0


def _used(
    arguments: argparse.Namespace, table: Table, like: Mapping[str, object]
) -> Sequence[Row] | None:
    if arguments.count is not None:
        return well_chosen(table.rows, arguments.count, reference_of(table, like))
    if arguments.from_rows is not None:
        return named_rows(arguments.from_rows, table)
    return None


def _known_board(name: str) -> Mapping[str, object]:
    plain = name.removesuffix(SIMULATED_SUFFIX)
    folder = share_folder() / 'config' / 'platforms'
    path = folder / f'{plain}.yaml'
    known = sorted(each.stem for each in folder.glob('*.yaml'))
    if plain not in known:
        raise PlatformError(f'board {name!r}', 'is not known', f'Choose of: {", ".join(known)}')
    mapping: Mapping[str, object] = read_yaml(path)
    return mapping


def _figures(errors: Sequence[float]) -> dict[str, float]:
    sizes = [abs(error) for error in errors]
    return {'mean': round(mean(sizes), 6), 'largest': round(max(sizes), 6)}


def _summary(found: Calibration, table: Table, path: Path) -> dict[str, object]:
    return {
        'board': str(found.mapping['name']),
        'file': str(path),
        'rows': {'used': found.used, 'tested': found.tested, 'left_out_in_turn': found.left_out},
        'errors': {name: _figures(errors) for name, errors in found.errors.items()},
        'networks': {name: _figures(errors) for name, errors in found.by_network.items()},
        'undetermined': list(found.undetermined),
        'notes': list(table.notes),
    }


def _text(found: Calibration, table: Table, path: Path) -> str:
    lines = [f'note: {note}' for note in table.notes]
    networks = len(found.mapping['networks'])
    how = (
        f'all {found.used} rows; errors are those of each fifth of them, from the other four'
        if found.left_out
        else f'{found.used} rows; errors are those on the {found.tested} others'
    )
    lines += [f'{path}: {networks} networks, fitted to {how}', '']
    rows = [_line(name, errors) for name, errors in found.errors.items()]
    shown = list(found.by_network.items())
    if len(shown) > 1:
        worst = sorted(shown, key=lambda item: -mean(map(abs, item[1])))
        rows += [_line(f'latency of {name}', errors) for name, errors in worst[:_NETWORKS_SHOWN]]
    if rows:
        lines += [aligned(('error', 'mean', 'largest', 'rows'), rows), '']
    lines.append('Not determined by these rows:')
    lines += [f'- {each}' for each in found.undetermined]
    return '\n'.join(lines)


def _line(name: str, errors: Sequence[float]) -> tuple[str, str, str, str]:
    figures = _figures(errors)
    return name, f'{figures["mean"]:.1%}', f'{figures["largest"]:.1%}', str(len(errors))


def _name(text: str) -> str:
    if not re.fullmatch(r'[a-z][a-z0-9_]*', text) or text.endswith(SIMULATED_SUFFIX):
        raise argparse.ArgumentTypeError(
            f'{text!r} is no name of a board: small letters, digits and _, without '
            f'{SIMULATED_SUFFIX} at the end'
        )
    return text


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'{value} is below 1')
    return value
