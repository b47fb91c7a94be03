# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn import-model`: a bundle from models of torchvision or timm."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from dynamic_dnn_ros.cli.import_options import (
    ERRORS as ERRORS,
)
from dynamic_dnn_ros.cli.import_options import (
    add_import_arguments,
    default_output,
    order_of,
    report,
)
from dynamic_dnn_ros.importing.bundle_import import write_imported_bundle
from dynamic_dnn_ros.importing.errors import ImportingError
from dynamic_dnn_ros.importing.identifiers import size_text
from dynamic_dnn_ros.importing.library_models import LibraryModel, exported, parse_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        'models',
        metavar='LIBRARY:NAME',
        nargs='+',
        help='torchvision:ssdlite320_mobilenet_v3_large or timm:mobilenetv3_small_100',
    )
    weights = parser.add_mutually_exclusive_group(required=True)
    weights.add_argument(
        '--weights',
        metavar='FILE',
        type=Path,
        nargs='+',
        help='of each model, in their order: .pth, .pt or .safetensors; nothing is downloaded',
    )
    weights.add_argument(
        '--random-weights',
        action='store_true',
        help='untrained weights, for tests and measurements of time',
    )
    add_import_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    names = [parse_name(text) for text in arguments.models]
    files: list[Path | None] = [None] * len(names)
    if not arguments.random_weights:
        files = list(arguments.weights)
        if len(files) != len(names):
            raise ImportingError(
                '--weights',
                f'names {len(files)} files, and there are {len(names)} models',
                'Give one file of each model, in their order',
            )
    command = ['dynamic-dnn', 'import-model', *arguments.models]
    if arguments.random_weights:
        command.append('--random-weights')
    else:
        command += ['--weights', *(path.name for path in arguments.weights)]
    description = ', '.join(arguments.models)
    if arguments.random_weights:
        description += ', with random weights: their answers mean nothing'
    order = order_of(arguments, command, default_output([name for _, name in names]), description)
    given = []
    # The size is fixed in an exported graph: one for each resolution.
    for (library, name), file in zip(names, files):
        for size in arguments.resolutions or (None,):
            model = exported(LibraryModel(library, name, file, size), order.labels, print)
            if size is not None:
                model = replace(model, stem=f'{name}_{size_text(size)}')
            given.append(model)
    report(write_imported_bundle(given, order, print))
    return 0
