# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn make-dynamic`: from somebody's network and your pictures to a dynamic one."""

from __future__ import annotations

import argparse
import json
import logging
import os
from pathlib import Path
import re
import shlex
import sys

from safetensors.numpy import save
import torch

from dynamic_dnn_ros.cli.train import ERRORS as TRAINING_ERRORS
from dynamic_dnn_ros.importing.errors import ImportingError
from dynamic_dnn_ros.importing.modules import named_module
from dynamic_dnn_ros.networks.slimmable.capture import DEPTHS, WIDTHS, Captured, capture, reasons
from dynamic_dnn_ros.networks.slimmable.reading import CaptureError
from dynamic_dnn_ros.storage import write_whole
from dynamic_dnn_ros.training.configuration import (
    TrainingConfiguration,
    TrainingConfigurationError,
)
from dynamic_dnn_ros.training.model_card import describe
from dynamic_dnn_ros.training.proposal import Computer, warnings
from dynamic_dnn_ros.training.recipe import train_bundle
from dynamic_dnn_ros.training.slimming import proposed_side, slimming_fields
from dynamic_dnn_ros.training.starting_file import starting_text
from dynamic_dnn_ros.training.survey import survey

ERRORS = (*TRAINING_ERRORS, CaptureError, ImportingError)

_LAYOUT = 'network.json'
_WEIGHTS = 'initial.safetensors'
_MOST_LETTERS = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument(
        'source',
        metavar='NETWORK',
        help='torchvision:resnet18, timm:deit_tiny_patch16_224, or FILE.py:FUNCTION, a function '
        'of yours that returns a torch.nn.Module: a classifier',
    )
    parser.add_argument(
        '--data',
        metavar='PICTURES',
        type=Path,
        required=True,
        help='folder or archive with one folder of pictures for each class',
    )
    parser.add_argument(
        '--weights',
        metavar='FILE',
        type=Path,
        help='.pth, .pt or .safetensors; nothing is downloaded. Default: those that the function '
        'gives it, or random ones',
    )
    parser.add_argument(
        '--name', help='of the bundle; default: that of the network. NAME.yaml is written here'
    )
    parser.add_argument(
        '--resolutions',
        metavar='PIXELS',
        type=int,
        nargs='+',
        help='sides of the input; default: one, of the network or of smaller pictures',
    )
    parser.add_argument(
        '--widths',
        metavar='PERCENT',
        type=int,
        nargs='+',
        default=list(WIDTHS),
        help='shares of the channels that layers can have; default: 50 75 100',
    )
    parser.add_argument(
        '--depths',
        metavar='PERCENT',
        type=int,
        nargs='+',
        default=list(DEPTHS),
        help='shares of the blocks that stages can have; default: 50 100',
    )
    parser.add_argument(
        '--patches',
        metavar='PERCENT',
        type=int,
        nargs='+',
        help='of a transformer: shares of its patches that can go on behind its first third, as '
        '25 100; default: all of them',
    )
    parser.add_argument(
        '--epochs', type=int, help='of the training of all sub-networks; default: by the pictures'
    )
    parser.add_argument(
        '--file-only', action='store_true', help='write the training file, and do not train'
    )
    parser.add_argument('--quiet', action='store_true', help='show no progress bars')


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    logging.basicConfig(level=logging.INFO, format='%(message)s')
    name = _name(arguments)
    path = Path(f'{name}.yaml')
    title = f'Written by {_command(arguments)}. docs/training.md has every field.'
    if os.path.lexists(path):
        _check_same(path, title)
        print(f'{path} is here already: going on with it as it is')
    else:
        _write_file(arguments, name, path, title)
    if arguments.file_only:
        print(f'next: dynamic-dnn train {path}')
        return 0
    bundle = train_bundle(TrainingConfiguration.from_file(path), str(path), arguments.quiet)
    if bundle is not None:
        for entry in bundle.manifest.sub_networks:
            print(describe(entry))
        print(f'written: {bundle.folder}')
        print(f'next: dynamic-dnn search {path}')
    return 0


def _name(arguments: argparse.Namespace) -> str:
    last = arguments.source.rpartition(':')[2].partition('.')[0]
    name: str = arguments.name or re.sub('[^a-z0-9_]+', '_', last.lower())
    if not re.fullmatch('[a-z0-9_]+', name) or len(name) > _MOST_LETTERS:
        raise TrainingConfigurationError(
            f'--name is {name!r}: small letters, digits and underscores are needed, at most '
            f'{_MOST_LETTERS}'
        )
    return name


def _command(arguments: argparse.Namespace) -> str:
    words = ['dynamic-dnn', 'make-dynamic', arguments.source, '--data', str(arguments.data)]
    for option in ('weights', 'name', 'resolutions', 'widths', 'depths', 'patches', 'epochs'):
        value = getattr(arguments, option)
        if value is not None and (option, value) not in (
            ('widths', list(WIDTHS)),
            ('depths', list(DEPTHS)),
        ):
            values = value if isinstance(value, list) else [value]
            words += [f'--{option}', *map(str, values)]
    return shlex.join(words)


def _check_same(path: Path, title: str) -> None:
    """Refuse a file that another command wrote, or that was not written by this one at all."""
    head = path.read_text(encoding='utf-8').partition('\n\n')[0]
    found = ' '.join(line.removeprefix('#').strip() for line in head.splitlines())
    if found != ' '.join(title.split()):
        raise TrainingConfigurationError(
            f'{path} is here already, and not of this command: it is not written over. Give '
            'another --name, or remove it'
        )


def _write_file(arguments: argparse.Namespace, name: str, path: Path, title: str) -> None:
    found = survey(arguments.data, say=lambda text: print(text, file=sys.stderr))
    if found.detection:
        raise TrainingConfigurationError(
            f'{arguments.data} holds pictures with boxes: a classifier is made dynamic here, give '
            'pictures with one folder for each class'
        )
    given = named_module(arguments.source, arguments.weights, print)
    sides = sorted(set(arguments.resolutions or [proposed_side(given.side, found)]))
    captured = capture(
        given.module,
        arguments.source,
        sides,
        sorted(set(arguments.widths)),
        sorted(set(arguments.depths)),
        sorted(set(arguments.patches or [])),
    )
    network = captured.network
    computer = Computer(
        cores=len(os.sched_getaffinity(0)), gpu=torch.cuda.is_available(), backbone=False
    )
    work = Path('build/training') / name
    fields = slimming_fields(
        name,
        found,
        computer,
        network,
        given.preprocessing,
        (work / _LAYOUT, work / _WEIGHTS),
        given.trained,
        arguments.epochs,
    )
    for field in fields:
        if field.name == 'output' and os.path.lexists(field.value):
            raise TrainingConfigurationError(
                f'{field.value} is here already and is not written over: give another --name, or '
                'remove it'
            )
    text = starting_text(fields, title)
    work.mkdir(parents=True, exist_ok=True)
    write_whole(work / _LAYOUT, json.dumps(network.layout_mapping()).encode())
    write_whole(work / _WEIGHTS, save(network.state()))
    _say(captured, len(found.classes), given.trained)
    for warning in warnings(found):
        print(f'WARNING: {warning}')
    write_whole(path, text.encode())
    print(f'written: {path}')


def _say(captured: Captured, classes: int, trained: bool) -> None:
    network, layout = captured.network, captured.network.layout
    blocks = sum(len(stage.blocks) for stage in layout.stages)
    smallest, largest = (
        network.multiply_adds(each) / 1e6 for each in (network.smallest(), network.largest())
    )
    print(
        f'{layout.origin}: {len(layout.knobs)} widths and {len(layout.stages)} depths '
        f'({blocks} blocks can be left out), {smallest:.1f} to {largest:.1f} million multiply-adds'
    )
    for reason in reasons(captured.kept):
        print(f'as wide as it is: {reason}')
    if not trained:
        print('weights: random ones, none were given (--weights)')
    if classes != layout.classes:
        print(
            f'classes: {layout.classes} of the network, {classes} of the data: the last layer '
            f'begins anew ({", ".join(layout.last_layers)})'
        )
