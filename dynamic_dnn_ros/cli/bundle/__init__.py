# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn bundle`: look into a bundle, check it, or export its sub-networks as ONNX."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.graphs import GRAPH_SUFFIX, QUANTISED_SUFFIX
from dynamic_dnn_ros.bundles.locking import exclusive
from dynamic_dnn_ros.bundles.manifest import SeparateModels
from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.bundles.shipped import find_bundle
from dynamic_dnn_ros.cli.bundle.check import Findings, check
from dynamic_dnn_ros.cli.bundle.quantise import quantise
from dynamic_dnn_ros.cli.bundle.show import description, text
from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.engines.contract import EngineError, Precision
from dynamic_dnn_ros.engines.registry import BY_BUNDLE, engine_choices
from dynamic_dnn_ros.storage import write_whole


class RequestError(ValueError):
    """What was asked for cannot be done. The text says why, and what to do."""


ERRORS = (BundleError, DataError, EngineError, RequestError)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    actions = parser.add_subparsers(dest='action', required=True, metavar='ACTION')
    show_action = actions.add_parser('show', help='print sub-networks, profiles and model card')
    check_action = actions.add_parser(
        'check', help='check every file, run every sub-network, and measure accuracy again'
    )
    export_action = actions.add_parser(
        'export',
        help='put the graphs for ONNX Runtime and OpenVINO into the bundle, or write each '
        'sub-network as an ONNX file for any other program (with --output)',
    )
    for action in (show_action, check_action, export_action):
        action.add_argument(
            'bundle', metavar='BUNDLE', help='name of a bundle that ships, or a path'
        )
    show_action.add_argument('--json', action='store_true', help='print it as JSON data')
    check_action.add_argument(
        '--data',
        type=Path,
        metavar='FOLDER_OR_ARCHIVE',
        help='measure accuracy on these pictures: any layout of docs/datasets.md',
    )
    check_action.add_argument(
        '--record',
        action='store_true',
        help='where nothing is wrong, record anew what the sub-networks answer to generated '
        'pictures, by which a node knows them again (with --data)',
    )
    check_action.add_argument(
        '--engine',
        default=BY_BUNDLE,
        choices=engine_choices(),
        help='check with this one alone; default: with all that are installed and run it',
    )
    export_action.add_argument(
        '--output',
        type=Path,
        metavar='FOLDER',
        help='write ONNX files there, with all weights, and leave the bundle as it is',
    )
    export_action.add_argument(
        '--sub-networks',
        default='',
        metavar='S0,S3',
        help='with --output: ids, separated by commas; default: all',
    )
    export_action.add_argument(
        '--precision',
        default=Precision.FLOAT32.value,
        choices=[Precision.FLOAT32.value, Precision.INT8.value],
        help='int8: put graphs in int8 into the bundle besides (with --data); default '
        '%(default)s, of which bfloat16 and float16 are made too',
    )
    export_action.add_argument(
        '--data',
        type=Path,
        metavar='FOLDER_OR_ARCHIVE',
        help='with --precision int8: pictures to calibrate with and to measure accuracy on, one '
        'folder in any layout of docs/datasets.md',
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    folder = find_bundle(arguments.bundle)
    if arguments.action == 'check':
        _check(folder, arguments)
        return 0
    bundle = read_bundle(folder)
    if arguments.action == 'show':
        shown = description(bundle)
        print(json.dumps(shown, indent=1) if arguments.json else text(shown).rstrip('\n'))
    elif arguments.precision == Precision.INT8.value:
        _quantise(bundle, arguments)
    elif arguments.data is not None:
        raise RequestError('--data needs --precision int8: nothing else is calibrated.')
    else:
        _export(bundle, arguments.output, arguments.sub_networks)
    return 0


def _check(folder: Path, arguments: argparse.Namespace) -> None:
    if arguments.record and arguments.data is None:
        raise RequestError(
            '--record needs --data: only accuracy that was measured is vouched for.'
        )
    findings = Findings()
    check(folder, arguments.engine, arguments.data, arguments.record, findings)
    if findings.problems:
        raise RequestError(
            f'{len(findings.problems)} problems in {folder}:\n' + '\n'.join(findings.problems)
        )
    print('nothing is wrong')


def _export(bundle: Bundle, folder: Path | None, identifiers: str) -> None:
    if isinstance(bundle.manifest.source, SeparateModels):
        _copy_models(bundle, bundle.manifest.source, folder, identifiers)
        return
    # Here, since these need PyTorch.
    from dynamic_dnn_ros.networks.graph_export import export_into
    from dynamic_dnn_ros.networks.onnx_export import ExportError, export_bundle

    chosen = [name.strip() for name in identifiers.split(',') if name.strip()]
    try:
        if folder is None:
            if chosen:
                raise RequestError(
                    '--sub-networks needs --output: a bundle has the graphs of all.'
                )
            with exclusive(bundle.folder):
                written = export_into(bundle)
            graphs = [
                name
                for name in written.other_files
                if name.endswith(GRAPH_SUFFIX) and not name.endswith(QUANTISED_SUFFIX)
            ]
            size = sum(len(written.other_files[name]) for name in graphs)
            print(f'{written.folder}: {len(graphs)} graphs, {size / 1e6:.2f} MB together')
            return
        for file in export_bundle(bundle, folder, chosen):
            print(
                f'{file.path}: {file.size / 1e6:.2f} MB, outputs differ by at most '
                f'{file.difference:.1e} ({file.evaluator})'
            )
    except ModuleNotFoundError as error:
        raise _lacks(error) from error
    except ExportError as error:
        raise RequestError(str(error)) from error


def _copy_models(
    bundle: Bundle, source: SeparateModels, folder: Path | None, identifiers: str
) -> None:
    """Write the files of separate models, which are ONNX and have their preparation in them."""
    if folder is None:
        print(f'{bundle.folder}: its models are ONNX files already, nothing is to be exported')
        return
    if identifiers:
        raise RequestError(
            '--sub-networks is for super-networks: a model has all of its sub-networks in it.'
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in source.files:
            content = bundle.models[file]
            write_whole(folder / file, content)
            print(f'{folder / file}: {len(content) / 1e6:.2f} MB, as it is in the bundle')
    except OSError as error:
        raise RequestError(
            f'{folder}: cannot be written ({error.strerror}). Free space, mend the rights, or '
            'name another folder.'
        ) from error


def _quantise(bundle: Bundle, arguments: argparse.Namespace) -> None:
    # Here, since it needs PyTorch.
    from dynamic_dnn_ros.networks.onnx_export import ExportError

    if isinstance(bundle.manifest.source, SeparateModels):
        raise RequestError(
            f'bundle {bundle.manifest.name!r} holds separate models, which run as they are: '
            'quantise them before they are imported.'
        )
    if arguments.data is None:
        raise RequestError('--precision int8 needs --data: it is calibrated with pictures.')
    if arguments.output is not None:
        raise RequestError('--precision int8 goes into the bundle: leave --output out.')
    if arguments.sub_networks:
        raise RequestError('--sub-networks needs --output: a bundle has the graphs of all.')
    try:
        with exclusive(bundle.folder):
            quantise(bundle, arguments.data)
    except ModuleNotFoundError as error:
        raise _lacks(error) from error
    except ExportError as error:
        raise RequestError(str(error)) from error


def _lacks(error: ModuleNotFoundError) -> Exception:
    if error.name not in ('onnx', 'onnxruntime'):
        return error
    return RequestError(
        f'the export needs {error.name}, which is not installed. Install it: pip install '
        "'dynamic_dnn_ros[onnx]' (or pip install '.[onnx]' in the sources)."
    )
