# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn profile`: compute a bundle's profile on a simulated board and put it in."""

from __future__ import annotations

import argparse
import sys

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.profile import OperatingPoints
from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.bundles.shipped import find_bundle
from dynamic_dnn_ros.bundles.writer import with_profile
from dynamic_dnn_ros.platforms.board_model import load_board
from dynamic_dnn_ros.platforms.contract import PlatformError
from dynamic_dnn_ros.profiling.simulated import simulated_profile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('bundle', metavar='BUNDLE', help='name of a shipped bundle, or its folder')
    parser.add_argument(
        '--platform',
        required=True,
        help='a simulated board, e.g. xavier_nx_simulated',
    )
    parser.add_argument(
        '--power-mode', default='', help="the board's power mode, e.g. 15W_6CORE; its default else"
    )
    parser.add_argument(
        '--dry-run', action='store_true', help='show the profile, leave the bundle as it is'
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    try:
        bundle = read_bundle(find_bundle(arguments.bundle))
        board = load_board(arguments.platform, arguments.power_mode)
        profile = simulated_profile(board, arguments.platform, bundle.manifest.sub_networks)
        print(summary(profile))
        if not arguments.dry_run:
            with_profile(bundle, profile)
            print(f'written into {bundle.folder}')
    except (BundleError, PlatformError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def summary(profile: OperatingPoints) -> str:
    """Return a table: each sub-network at the lowest and the highest clocks."""
    kind = profile.kind.name.lower() + (', extrapolated' if profile.extrapolated else '')
    lines = [
        f'{len(profile)} operating points on {profile.platform} ({kind})',
        'sub-network  processor  latency at the highest ... lowest clocks  energy',
    ]
    for index, name in enumerate(profile.sub_networks):
        for number, processor in enumerate(profile.processors):
            rows = (profile.sub_network == index) & (profile.processor == number)
            latency, energy = profile.latency_mean[rows], profile.energy[rows]
            lines.append(
                f'{name:<12} {processor:<10} {latency[-1] * 1e3:7.1f} ... '
                f'{latency[0] * 1e3:7.1f} ms  {energy[-1]:7.3f} ... {energy[0]:7.3f} J'
            )
    return '\n'.join(lines)
