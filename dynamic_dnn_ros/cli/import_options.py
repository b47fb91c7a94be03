# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the commands that import models share: their options, and what they print at the end."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
import re
import shlex

import onnxruntime  # noqa: F401 - a missing package is told before any work

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.cli.next_steps import serving
from dynamic_dnn_ros.cli.tables import options_text
from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.engines.contract import EngineError
from dynamic_dnn_ros.importing.bundle_import import Order
from dynamic_dnn_ros.importing.errors import ImportingError
from dynamic_dnn_ros.importing.known_labels import LABEL_SETS, known_labels
from dynamic_dnn_ros.importing.labels import parse_labels, read_labels
from dynamic_dnn_ros.importing.model import Choices
from dynamic_dnn_ros.importing.presets import Overrides
from dynamic_dnn_ros.importing.trial import TIME_LIMIT
from dynamic_dnn_ros.pictures.errors import PictureError
from dynamic_dnn_ros.pictures.input import Alignment, ChannelOrder, Interpolation, Resize
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import TaskError
from dynamic_dnn_ros.tasks.registry import task_names

ERRORS = (BundleError, DataError, EngineError, ImportingError, PictureError, TaskError)

_OPTIONS = (
    *('output', 'name', 'labels', 'resolutions', 'data', 'accuracy', 'task', 'decoder', 'resize'),
    *('interpolation', 'alignment', 'padding', 'channels', 'mean', 'std', 'input_scale'),
    'time_limit',
)


def add_import_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of an import."""
    parser.add_argument(
        '--output',
        type=Path,
        help='folder of the bundle; default: the common part of the names, in this folder',
    )
    parser.add_argument('--name', help='of the bundle; default: that of its folder')
    parser.add_argument(
        '--labels',
        metavar='FILE',
        help='names of the classes in the order of the outputs: text with one a line, JSON, or '
        'YAML with `names:`; a list as person,car; or one of '
        f'{", ".join(LABEL_SETS)}; default: those in the model',
    )
    parser.add_argument(
        '--resolutions',
        type=resolutions,
        default=(),
        metavar='SIZES',
        help='where height and width of the input are free: 320,416 or 640x384 (width x height); '
        'each becomes a sub-network',
    )
    accuracy = parser.add_mutually_exclusive_group()
    accuracy.add_argument(
        '--data',
        type=Path,
        help='labelled pictures that the accuracy is measured on: COCO, YOLO or VOC annotations, '
        'a folder a class, or label images',
    )
    accuracy.add_argument(
        '--accuracy',
        '--quality',
        type=_accuracies,
        metavar='FIGURES',
        help='accuracy of each sub-network, 0..1, if nothing is measured: 0.37,0.45',
    )
    parser.add_argument('--task', choices=task_names(), help='default: told by the outputs')
    parser.add_argument('--decoder', metavar='NAME', help='of detections; default: likewise')
    fitting = parser.add_argument_group(
        'how the network takes its pictures; default: as networks of its kind do, which is said'
    )
    fitting.add_argument('--resize', choices=[each.value for each in Resize])
    fitting.add_argument('--interpolation', choices=[each.value for each in Interpolation])
    fitting.add_argument('--alignment', choices=[each.value for each in Alignment])
    fitting.add_argument('--padding', type=_grey, metavar='0..255', help='grey of a letterbox')
    fitting.add_argument('--channels', choices=[each.value for each in ChannelOrder])
    fitting.add_argument(
        '--mean', type=_three, metavar='R,G,B', help='in the units of --input-scale; one or three'
    )
    fitting.add_argument('--std', type=_three_above_0, metavar='R,G,B', help='likewise')
    fitting.add_argument(
        '--input-scale',
        type=float,
        choices=(1.0, 255.0),
        help='what white is before mean and std: 1, or 255 where it takes bytes as they are',
    )
    parser.add_argument(
        '--time-limit',
        type=_seconds,
        default=TIME_LIMIT,
        metavar='SECONDS',
        help=f'of loading a model and running it, default {TIME_LIMIT:g}',
    )
    parser.add_argument('--quiet', action='store_true', help='show no progress bars')


def order_of(
    arguments: argparse.Namespace, command: Sequence[str], output: Path, description: str = ''
) -> Order:
    """
    Return what the options say.

    :param command: for the model card
    :param output: of the bundle, where none was given
    :raises ImportingError: when the file of labels cannot be read
    """
    overrides = Overrides(
        resize=arguments.resize and Resize(arguments.resize),
        interpolation=arguments.interpolation and Interpolation(arguments.interpolation),
        channels=arguments.channels and ChannelOrder(arguments.channels),
        alignment=arguments.alignment and Alignment(arguments.alignment),
        padding=arguments.padding,
        mean=arguments.mean,
        standard_deviation=arguments.std,
        input_scale=arguments.input_scale,
    )
    if arguments.name is not None and not re.fullmatch('[a-z0-9_]+', arguments.name):
        raise ImportingError(
            f'--name {arguments.name}',
            'is no name for a bundle',
            'Small letters, digits and _ are allowed',
        )
    return Order(
        output=arguments.output or output,
        choices=Choices(
            arguments.task,
            arguments.decoder,
            overrides,
            arguments.resolutions,
            arguments.time_limit,
        ),
        name=arguments.name,
        labels=_labels(arguments.labels),
        accuracy=arguments.accuracy,
        data=arguments.data,
        description=description,
        command=shlex.join([*command, *_given_words(arguments)]),
        quiet=arguments.quiet,
    )


def _given_words(arguments: argparse.Namespace) -> list[str]:
    """Return the options that were given; of files the names, which say more to others."""
    words = []
    for name in _OPTIONS:
        value = getattr(arguments, name)
        if value is None or value == () or (name, value) == ('time_limit', TIME_LIMIT):
            continue
        if name in ('labels', 'data', 'output'):
            value = Path(value).name
        text = ','.join(map(str, value)) if isinstance(value, tuple) else str(value)
        words += [f'--{name.replace("_", "-")}', text]
    return words


def default_output(stems: Sequence[str]) -> Path:
    """Return a folder named by the words that all names begin with, or the first name."""
    words = [re.findall('[a-z0-9]+', stem.lower()) for stem in stems]
    common = []
    for parts in zip(*words):
        if len(set(parts)) > 1:
            break
        common.append(parts[0])
    return Path('_'.join(common or words[0]) or 'model')


def report(bundle: Bundle) -> None:
    """Print what was made, and what comes next."""
    manifest = bundle.manifest
    metric = manifest.make_task().metric.title
    options = options_text(manifest.task.options)
    print(f'task: {manifest.task.name}{f" ({options})" if options else ""}')
    print(f'labels: {len(manifest.labels)}, {", ".join(manifest.labels[:4])} ...')
    print(f'accuracy: {metric} on {manifest.accuracy_data}')
    for entry in manifest.sub_networks:
        known = f'{entry.accuracy:.3f}' if entry.accuracy_is_known else 'not known'
        print(
            f'{entry.id}: {entry.size}, {metric} {known}, '
            f'{entry.multiply_adds / 1e6:.1f} M multiply-adds, '
            f'{entry.parameters / 1e6:.2f} M parameters'
        )
    if not all(entry.accuracy_is_known for entry in manifest.sub_networks):
        print(
            'Without accuracies no target of accuracy can be met: import again with --data or '
            '--accuracy to have them'
        )
    folder = shlex.quote(str(bundle.folder))
    print(f'written: {bundle.folder}')
    print('next:')
    print(f'  dynamic-dnn bundle check {folder}')
    print(f'  dynamic-dnn profile {folder}')
    print(f'  {serving(bundle.folder)}')


def resolutions(text: str) -> tuple[Size, ...]:
    """Read sizes between commas: 320, or 640x384 as width x height."""
    sizes = []
    for part in text.split(','):
        found = re.fullmatch(r'\s*(\d{1,4})(?:x(\d{1,4}))?\s*', part)
        if found is None:
            raise argparse.ArgumentTypeError(
                f'{part!r} is no size: 320, or 640x384 as width x height, between commas'
            )
        width = int(found[1])
        height = int(found[2] or width)
        if not (8 <= width <= 4096 and 8 <= height <= 4096):
            raise argparse.ArgumentTypeError(f'{part.strip()}: 8 to 4096 pixels are allowed')
        sizes.append(Size(height, width))
    return tuple(dict.fromkeys(sizes))


def _labels(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    path = Path(text)
    if not path.exists() and text in LABEL_SETS:
        return known_labels(text)
    if not path.exists() and ',' in text:
        return parse_labels(text, '--labels')
    try:
        return read_labels(path)
    except ImportingError as error:
        if path.exists():
            raise
        known = f'{error.remedy}; or one of {", ".join(LABEL_SETS)}'
        raise ImportingError(error.where, error.problem, known) from error


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(','))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'{text!r}: numbers between commas, please') from error


def _accuracies(text: str) -> tuple[float, ...]:
    numbers = _numbers(text)
    if not all(0 <= number <= 1 for number in numbers):
        raise argparse.ArgumentTypeError(f'{text}: an accuracy is 0 to 1, 0.37 for example')
    return numbers


def _three(text: str) -> tuple[float, float, float]:
    numbers = _numbers(text)
    if len(numbers) == 1:
        numbers *= 3
    if len(numbers) != 3:
        raise argparse.ArgumentTypeError(f'{text}: one number, or three for red, green, blue')
    return numbers[0], numbers[1], numbers[2]


def _three_above_0(text: str) -> tuple[float, float, float]:
    numbers = _three(text)
    if min(numbers) <= 0:
        raise argparse.ArgumentTypeError(f'{text}: a standard deviation is more than 0')
    return numbers


def _grey(text: str) -> int:
    if not text.isdecimal() or int(text) > 255:
        raise argparse.ArgumentTypeError(f'{text!r}: a whole number from 0 to 255')
    return int(text)


def _seconds(text: str) -> float:
    (number, *more) = _numbers(text)
    if more or not 0 < number < 86400:
        raise argparse.ArgumentTypeError(f'{text!r}: seconds, more than 0')
    return number
