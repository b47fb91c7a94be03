# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn granularity`: how blocks are to decide by the picture, before they are trained."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from dynamic_dnn_ros.cli.tables import print_table
from dynamic_dnn_ros.networks.adaptive_layouts import LAYOUTS, AdaptiveLayout
from dynamic_dnn_ros.networks.checks import ConfigurationError, one_of
from dynamic_dnn_ros.platforms.board_model import load_board
from dynamic_dnn_ros.platforms.contract import PlatformError
from dynamic_dnn_ros.search.block_latency import fitted, mean_error, on_board
from dynamic_dnn_ros.search.granularity import Latency, chosen, ways
from dynamic_dnn_ros.yaml_files import read_yaml

ERRORS = (ConfigurationError, PlatformError, OSError)

#: Of the blocks that are measured, every so manieth tells the error of the others' fit.
_TESTED = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument(
        'layout',
        metavar='LAYOUT',
        help='of family adaptive_resnet: its name, or a YAML file with its fields',
    )
    parser.add_argument(
        '--work',
        type=float,
        default=0.5,
        metavar='SHARE',
        help='of the multiply-adds of blocks that is to run, 0..1 (default 0.5)',
    )
    parser.add_argument(
        '--platform',
        default='',
        metavar='BOARD',
        help='id of a simulated board, for example orin_nx_simulated; default: this computer, '
        'whose blocks are measured with ONNX Runtime',
    )
    parser.add_argument('--processor', default='gpu', help='of the board (default gpu)')
    parser.add_argument(
        '--clocks',
        nargs='+',
        default=[],
        metavar='DOMAIN=HZ',
        help='of the board; default: the clocks that its model was made at',
    )
    parser.add_argument(
        '--blocks', type=int, default=40, help='to measure of each way of running (default 40)'
    )
    parser.add_argument(
        '--turns', type=int, default=10, help='that measure all of them (default 10)'
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the ways of each group and the layout with the best ones; return the exit code."""
    if not 0 < arguments.work < 1:
        raise ConfigurationError('--work', arguments.work, 'a share above 0 and below 1')
    layout = _layout(arguments.layout)
    found = ways(layout, arguments.work, _latency(arguments))
    rows = [
        [
            str(way.group),
            way.case.mode,
            str(way.case.granularity or '-'),
            f'{way.case.rate:.2f}',
            f'{way.seconds * 1e3:.3f} ms',
            f'{way.share:.0%}',
        ]
        for group in found
        for way in group
    ]
    print_table(['group', 'mode', 'granularity', 'rate', 'a block takes', 'of undivided'], rows)
    best = chosen(layout, found)
    print('\nthe layout with the fastest of each group:')
    for stage in best.stages:
        print(f'  {dict(vars(stage))}')
    return 0


def _layout(given: str) -> AdaptiveLayout:
    if given in LAYOUTS:
        return LAYOUTS[given]
    if Path(given).suffix not in ('.yaml', '.yml'):
        raise ConfigurationError('layout', given, f'a YAML file, or {one_of(tuple(LAYOUTS))}')
    return AdaptiveLayout.from_mapping(read_yaml(Path(given)))


def _latency(arguments: argparse.Namespace) -> Latency:
    if arguments.platform:
        board = load_board(arguments.platform)
        clocks = dict(board.reference_frequencies)
        for entry in arguments.clocks:
            domain, equals, hertz = entry.partition('=')
            if domain not in clocks or not equals:
                raise ConfigurationError('--clocks', entry, f'DOMAIN=HZ, {one_of(tuple(clocks))}')
            clocks[domain] = float(hertz)
        return partial(on_board, board, processor=arguments.processor, frequencies=clocks)
    from dynamic_dnn_ros.search.block_times import cases, measured

    blocks = cases(arguments.blocks)
    seconds = measured(blocks, arguments.turns)
    known = [index for index in range(len(blocks)) if index % _TESTED]
    tested = [index for index in range(len(blocks)) if index % _TESTED == 0]
    latencies = fitted([blocks[i] for i in known], [seconds[i] for i in known])
    error = mean_error(latencies, [blocks[i] for i in tested], [seconds[i] for i in tested])
    print(f'{len(known)} blocks measured; mean error on {len(tested)} others: {error:.1%}\n')
    return latencies.latency
