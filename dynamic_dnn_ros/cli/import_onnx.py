# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn import-onnx`: a bundle from ONNX files."""

from __future__ import annotations

import argparse
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
from dynamic_dnn_ros.importing.model import Given
from dynamic_dnn_ros.importing.onnx_file import read_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        'models',
        metavar='MODEL.onnx',
        type=Path,
        nargs='+',
        help='models of one task with the same labels, yolo_n.onnx yolo_s.onnx for example',
    )
    add_import_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    paths: list[Path] = arguments.models
    command = ['dynamic-dnn', 'import-onnx', *(path.name for path in paths)]
    order = order_of(arguments, command, default_output([path.stem for path in paths]))
    given = []
    for path in paths:
        model = read_model(path)
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        given.append(Given(path.stem, str(path), model, metadata=metadata))
    report(write_imported_bundle(given, order, print))
    return 0
