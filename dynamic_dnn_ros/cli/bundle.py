# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn bundle`: look into a bundle, and check it."""

from __future__ import annotations

import argparse
import sys

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.bundles.shipped import find_bundle
from dynamic_dnn_ros.engines.contract import EngineError
from dynamic_dnn_ros.engines.registry import ENGINE_NAMES, create_engine


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    actions = parser.add_subparsers(dest='action', required=True, metavar='ACTION')
    show = actions.add_parser('show', help='print sub-networks and profiles')
    check = actions.add_parser(
        'check', help='check every file, and prepare every sub-network with an engine'
    )
    for action in (show, check):
        action.add_argument('bundle', help='name of a bundle that ships, or a path')
    check.add_argument(
        '--engine', default=ENGINE_NAMES[0], choices=ENGINE_NAMES, help='default: %(default)s'
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    try:
        bundle = read_bundle(find_bundle(arguments.bundle))
        if arguments.action == 'check':
            _check(bundle, arguments.engine)
        else:
            print(_description(bundle), end='')
    except (BundleError, EngineError) as error:
        print(f'dynamic-dnn bundle: {error}', file=sys.stderr)
        return 1
    return 0


def _check(bundle: Bundle, engine_name: str) -> None:
    engine = create_engine(engine_name, bundle, threads=1)
    for entry in bundle.manifest.sub_networks:
        engine.prepare(entry, engine.processors[0])
        print(f'{entry.id}: ready on {engine.processors[0]!r} with {engine.name}')
    print(f'{bundle.folder}: whole, {len(bundle.manifest.files)} files, sha256 {bundle.sha256}')


def _description(bundle: Bundle) -> str:
    manifest = bundle.manifest
    lines = [
        f'{manifest.name}: {manifest.description or "no description"}',
        f'folder         {bundle.folder}',
        f'family         {manifest.family}',
        f'classes        {len(manifest.classes)}: {", ".join(manifest.classes[:10])}'
        + (', ...' if len(manifest.classes) > 10 else ''),
        f'accuracy of    {manifest.accuracy_data or "not said"}',
        f'weights        {len(bundle.weights_content) / 1e6:.2f} MB',
        '',
        f'{"sub-network":12} {"accuracy":>8} {"input":>7} {"multiply-adds":>14} '
        f'{"parameters":>11} {"layers":>7}',
    ]
    for entry in manifest.sub_networks:
        side = f'{entry.resolution}x{entry.resolution}'
        lines.append(
            f'{entry.id:12} {entry.accuracy:8.1%} {side:>7} {entry.multiply_adds:14,} '
            f'{entry.parameters:11,} {entry.layers:7}'
        )
    lines.append('')
    for profile in bundle.profiles:
        extrapolated = ', extrapolated' if profile.extrapolated else ''
        lines.append(
            f'profile        {profile.platform} ({profile.kind.name.lower()}{extrapolated}): '
            f'{len(profile)} operating points over {", ".join(profile.domains) or "no domain"}'
        )
    if not bundle.profiles:
        lines.append('profile        none: latencies are measured when a node starts')
    return '\n'.join(lines) + '\n'
