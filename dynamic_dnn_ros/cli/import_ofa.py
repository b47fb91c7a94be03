# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn import-ofa`: a bundle from a checkpoint of the authors of Once-for-All."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
import hashlib
from pathlib import Path
import re
import sys

import numpy as np
from tqdm import tqdm

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork, SuperNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, Weights
from dynamic_dnn_ros.bundles.writer import MODEL_CARD_NAME, weights_content
from dynamic_dnn_ros.cli.ofa_choices import Choice, InputError, read_choices, text_of
from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.datasets.labels import numbered
from dynamic_dnn_ros.engines.contract import EngineError
from dynamic_dnn_ros.engines.verification import write_recorded_bundle
from dynamic_dnn_ros.networks.contract import Arrays, ConfigurationError, statistics_of
from dynamic_dnn_ros.networks.ofa_checkpoint import (
    PUBLISHED_LAYOUTS,
    OfaCheckpointError,
    network_from_checkpoint,
    read_state_dict,
)
from dynamic_dnn_ros.networks.ofa_mobilenet_v3 import OfaMobileNetV3
from dynamic_dnn_ros.pictures.input import Preprocessing, Resize
from dynamic_dnn_ros.training.batches import CAMERA_INTERPOLATION, Normalisation
from dynamic_dnn_ros.training.evaluation import accuracy, recalibrate
from dynamic_dnn_ros.training.export import manifest_entry
from dynamic_dnn_ros.training.pictures import Pictures, read_pictures

ERRORS = (
    BundleError,
    ConfigurationError,
    EngineError,
    InputError,
    OfaCheckpointError,
    DataError,
)

_PREPROCESSING = Preprocessing(
    Resize.CENTER_CROP, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), CAMERA_INTERPOLATION
)
_RECALIBRATION_PICTURES = 2000
"""As the authors take (elastic_nn/utils.py, set_running_statistics)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        'checkpoint', metavar='CHECKPOINT', type=Path, help="the authors' file, already on disk"
    )
    parser.add_argument('--output', type=Path, required=True, help='folder of the bundle')
    parser.add_argument(
        '--layout',
        choices=PUBLISHED_LAYOUTS,
        help='layout that the checkpoint has to be of; default: the one that it fits',
    )
    parser.add_argument(
        '--sub-networks',
        metavar='FILE',
        type=Path,
        help="JSON: a list of configurations, the fastest first, in our fields or in the authors' "
        "ks, e, d, r, each with its 'accuracy' (0..1) where that is known; or an object with such "
        "a list under 'levels'; default: the smallest and the largest",
    )
    parser.add_argument('--set', help="take the entries whose 'set' has this name")
    parser.add_argument(
        '--data',
        type=Path,
        help='pictures that batch-norm statistics are recalibrated on: a folder or a tar archive '
        'with one folder a class, at best 2,000 of the training pictures',
    )
    parser.add_argument(
        '--test-data', type=Path, help='pictures that the accuracy is measured on, likewise'
    )
    parser.add_argument(
        '--uncalibrated',
        action='store_true',
        help="keep the checkpoint's batch-norm statistics; accuracy is near zero with them",
    )
    parser.add_argument(
        '--classes',
        type=Path,
        help='text file, one class name a line; default: the names of the folders of the data '
        'where there is one for each class, otherwise class_0, class_1, ...',
    )
    parser.add_argument('--quiet', action='store_true', help='show no progress bars')


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    bundle = _import(arguments)
    print(f'accuracy: {bundle.manifest.accuracy_data}')
    for entry in bundle.manifest.sub_networks:
        print(
            f'{entry.id}: accuracy {entry.accuracy:.2%}, '
            f'{entry.multiply_adds / 1e6:.1f} M multiply-adds, {entry.size} pixels'
        )
    print(f'written: {bundle.folder}')
    return 0


def _import(arguments: argparse.Namespace) -> Bundle:
    _check(arguments)
    tensors = read_state_dict(arguments.checkpoint, print)
    layout, network = network_from_checkpoint(tensors, arguments.checkpoint, arguments.layout)
    counters = sum(name.endswith('num_batches_tracked') for name in tensors)
    print(
        f'{arguments.checkpoint}: layout {layout}, {len(tensors) - counters} tensors fit, none is '
        f'missing; left over are {counters} counters of batches, which nothing needs'
    )
    if arguments.sub_networks is None:
        choices = [Choice(configuration) for configuration in network.landmarks()]
    else:
        choices = read_choices(arguments.sub_networks, arguments.set, network, layout)
    published = all(choice.published_accuracy is not None for choice in choices)
    if arguments.test_data is None and not arguments.uncalibrated and not published:
        raise InputError(
            'the accuracy of the sub-networks is not known: give --test-data, or a file of '
            "--sub-networks whose entries all have an 'accuracy'"
        )
    pictures = _read(arguments.data, arguments.quiet)
    test = _read(arguments.test_data, arguments.quiet)
    classes = _class_names(arguments.classes, (test, pictures), network.layout.classes)
    if pictures is not None and len(pictures) > _RECALIBRATION_PICTURES:
        # They are sorted by class: of each its share.
        spread = np.linspace(0, len(pictures) - 1, _RECALIBRATION_PICTURES)
        pictures = pictures.take(spread.round().astype(np.int64))
    elif pictures is not None and len(pictures) < _RECALIBRATION_PICTURES:
        print(
            f'{arguments.data}: {len(pictures)} pictures are few for batch-norm statistics: the '
            f'published accuracy was reached with {_RECALIBRATION_PICTURES}',
            file=sys.stderr,
        )
    if test is not None:
        test = with_labels_of(test, classes, arguments.test_data)
    sub_networks, statistics = _measured(network, choices, pictures, test, arguments.quiet)
    manifest = Manifest(
        name=arguments.output.resolve().name,
        source=SuperNetwork(network.family, network.layout_mapping()),
        labels=classes,
        preprocessing=_PREPROCESSING,
        sub_networks=tuple(sub_networks),
        description=f'{network.family}, layout {layout}, weights of the authors of Once-for-All '
        f'from {arguments.checkpoint.name}',
        accuracy_data=_accuracy_data(arguments, test),
    )
    card = _model_card(manifest, layout, arguments, pictures)
    return write_recorded_bundle(
        arguments.output,
        manifest,
        weights_content(Weights(network.state(), statistics)),
        other_files={MODEL_CARD_NAME: card.encode()},
    )


def _check(arguments: argparse.Namespace) -> None:
    """Refuse what cannot end well, before anything is read."""
    if arguments.data is None and not arguments.uncalibrated:
        raise InputError(
            'pictures for recalibration are needed: a checkpoint holds one set of batch-norm '
            'statistics for all sub-networks, which fits none of them, and with it accuracy is '
            'near zero. Give --data with about 2,000 of the training pictures; or '
            '--uncalibrated if you recalibrate the bundle later'
        )
    if arguments.data is not None and arguments.uncalibrated:
        raise InputError('--data and --uncalibrated exclude each other: leave one away')
    if arguments.set is not None and arguments.sub_networks is None:
        raise InputError('--set chooses from a file: give that with --sub-networks')
    name = arguments.output.resolve().name
    if not re.fullmatch('[a-z0-9_]+', name):
        raise InputError(
            f'--output {arguments.output}: the name of the folder is that of the bundle, so it '
            f'may have lower-case letters, digits and _ only. Give another one than {name!r}'
        )


def _measured(
    network: OfaMobileNetV3,
    choices: Sequence[Choice],
    pictures: Pictures | None,
    test: Pictures | None,
    quiet: bool,
) -> tuple[list[SubNetwork], dict[str, Arrays]]:
    """Return the sub-networks, recalibrated and measured where there are pictures for it."""
    normalisation = Normalisation(_PREPROCESSING.mean, _PREPROCESSING.standard_deviation)
    sub_networks = []
    statistics = {}
    for index, choice in enumerate(tqdm(choices, desc='sub-networks', disable=quiet)):
        configuration = choice.configuration
        size = configuration.size
        module = network.extract(configuration, share_weights=True)
        # What was published holds for recalibrated statistics: promise nothing without.
        reached = 0.0
        if pictures is not None:
            recalibrate(module, pictures, size, normalisation)
            reached = choice.published_accuracy or 0.0
        if test is not None:
            reached = accuracy(module, test, size, normalisation)
        statistics[f's{index}'] = statistics_of(module)
        sub_networks.append(manifest_entry(network, configuration, f's{index}', reached))
    return sub_networks, statistics


def _read(path: Path | None, quiet: bool) -> Pictures | None:
    return None if path is None else read_pictures(path, quiet, _PREPROCESSING.resize)


def _class_names(
    path: Path | None, data: Sequence[Pictures | None], count: int
) -> tuple[str, ...]:
    if path is not None:
        names = tuple(line.strip() for line in text_of(path).splitlines() if line.strip())
        if len(names) != count:
            raise InputError(f'{path}: has {len(names)} names, the network {count} classes')
        return names
    for pictures in data:
        if pictures is not None and len(pictures.classes) == count:
            return pictures.classes
    return tuple(f'class_{index}' for index in range(count))


def with_labels_of(pictures: Pictures, classes: tuple[str, ...], where: Path) -> Pictures:
    """
    Return pictures with labels that are indices into the network's classes.

    Folders are classes by name, the second of two alike with a number ('crane (2)'); or by
    number; or, where there is one for each class, in alphabetical order, as ImageNet's are.

    :raises InputError: naming a folder that is none of the classes.
    """
    folders = pictures.classes
    index = {name: number for number, name in enumerate(numbered(classes))}
    if all(name in index for name in folders):
        labels = [index[name] for name in folders]
    elif all(name.isdecimal() and int(name) < len(classes) for name in folders):
        labels = [int(name) for name in folders]
    elif len(folders) == len(classes):
        labels = list(range(len(classes)))
    else:
        unknown = next(name for name in folders if name not in index)
        raise InputError(
            f'{where}: its folder {unknown!r} is none of the {len(classes)} classes: give the '
            'names of the classes, in the order of the network, with --classes'
        )
    labels_of_network = np.array(labels, np.int64)[pictures.labels]
    return replace(pictures, labels=labels_of_network, classes=classes)


def _accuracy_data(arguments: argparse.Namespace, test: Pictures | None) -> str:
    calibration = 'not recalibrated' if arguments.uncalibrated else 'recalibrated'
    if test is not None:
        return f'measured on {len(test)} pictures of {arguments.test_data.name}, {calibration}'
    if arguments.uncalibrated:
        return 'not measured, and given as 0: batch-norm statistics are not recalibrated'
    chosen = f', {arguments.set}' if arguments.set else ''
    return f'published figures ({arguments.sub_networks.name}{chosen}), not measured here'


def _model_card(
    manifest: Manifest, layout: str, arguments: argparse.Namespace, pictures: Pictures | None
) -> str:
    with open(arguments.checkpoint, 'rb') as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    rows = [
        f'| {entry.id} | {entry.accuracy * 100:.2f} % | {entry.multiply_adds / 1e6:.1f} M '
        f'| {entry.parameters / 1e6:.2f} M | {entry.layers} | {entry.size} |'
        for entry in manifest.sub_networks
    ]
    header = '| id | accuracy | multiply-adds | parameters | layers | input |'
    table = '\n'.join([header, '| --- ' * 6 + '|', *rows])
    calibration = (
        "Batch-norm statistics are the checkpoint's, which fit no sub-network: recalibrate before "
        'use.'
        if pictures is None
        else f'Batch-norm statistics: those of each sub-network, averaged over {len(pictures)} '
        f'pictures of {arguments.data.name}.'
    )
    crop = (
        'Camera pictures are cropped to their central square and scaled; the authors scale to '
        '8/7 of the resolution first and crop then, so they see a little less of the picture.'
    )
    return (
        f'# {manifest.name}\n\n{manifest.description}. {len(manifest.sub_networks)} sub-networks '
        'share one set of weights.\n\n'
        f'## Sub-networks\n\n{table}\n\nAccuracy: top-1, {manifest.accuracy_data}.\n\n'
        f'## Recipe\n\nCai et al., Once-for-All, ICLR 2020: progressive shrinking on ImageNet. '
        f'Imported from `{arguments.checkpoint.name}`, SHA-256 `{digest}`. {calibration}\n\n'
        f'## Command\n\n`{_command(arguments, layout)}`\n\n'
        f'## Limits\n\nThe licence of the weights is that of their source. {crop}\n'
    )


def _command(arguments: argparse.Namespace, layout: str) -> str:
    """Return the command with the names of files, which say more to others than their places."""
    words = [
        f'dynamic-dnn import-ofa {arguments.checkpoint.name}',
        f'--output {arguments.output.resolve().name}',
        f'--layout {layout}',
    ]
    if arguments.set is not None:
        words.append(f'--set {arguments.set}')
    for option in ('sub_networks', 'data', 'test_data', 'classes'):
        path = getattr(arguments, option)
        if path is not None:
            words.append(f'--{option.replace("_", "-")} {path.name}')
    if arguments.uncalibrated:
        words.append('--uncalibrated')
    return ' '.join(words)
