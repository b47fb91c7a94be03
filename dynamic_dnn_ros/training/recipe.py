# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The whole way from pictures to a bundle, or to the figures of one sub-network trained alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import contextlib
import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.bundles.writer import check_place
from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.networks.contract import Configuration, ConfigurationError, DynamicNetwork
from dynamic_dnn_ros.networks.exit_heads import HeadLayout
from dynamic_dnn_ros.networks.exits import EXITS, ExitNetwork
from dynamic_dnn_ros.networks.given_weights import take_weights
from dynamic_dnn_ros.networks.initial_weights import load_initial_weights
from dynamic_dnn_ros.networks.registry import create, family_class
from dynamic_dnn_ros.platforms.hardware import hardware_name
from dynamic_dnn_ros.storage import write_whole
from dynamic_dnn_ros.training.arithmetic import Arithmetic, choose_device
from dynamic_dnn_ros.training.batches import Normalisation
from dynamic_dnn_ros.training.configuration import Phase, Rule, TrainingConfiguration
from dynamic_dnn_ros.training.evaluation import accuracy, recalibrate
from dynamic_dnn_ros.training.export import write_trained_bundle
from dynamic_dnn_ros.training.links.agreement import check_alike
from dynamic_dnn_ros.training.links.placement import Placement
from dynamic_dnn_ros.training.links.planning import measured_placements
from dynamic_dnn_ros.training.memory import keep_freed_memory
from dynamic_dnn_ros.training.processes import (
    from_first,
    process_group,
    process_rank,
)
from dynamic_dnn_ros.training.space import AloneSpace, SuperNetworkSpace
from dynamic_dnn_ros.training.tasks.contract import TrainingData
from dynamic_dnn_ros.training.tasks.registry import training_task
from dynamic_dnn_ros.training.tested import accuracy_data
from dynamic_dnn_ros.training.trainer import Trainer

_LOGGER = logging.getLogger(__name__)


def train_bundle(
    configuration: TrainingConfiguration, command: str = 'CONFIG', quiet: bool = False
) -> Bundle | None:
    """
    Train, recalibrate and test the family's landmarks, and write the bundle.

    Killed at any moment and called again, it continues after the last whole epoch. A bundle that
    has the weights already is left alone: a search may have chosen its sub-networks since.

    :param command: what the user gave to `train`, for the model card.
    :return: the bundle; None in all processes but the first where several train together.
    :raises DataError: if the pictures cannot be used.
    :raises ConfigurationError: for an unknown family or layout, or other classes than it has.
    :raises GivenWeightsError: if a fine-tuning cannot go on from the weights that are given.
    :raises TrainingConfigurationError: if a phase trains nothing, or the device cannot be used.
    :raises CheckpointError: if the work folder holds a checkpoint of something else, or is in use.
    :raises DivergenceError: if the weights are no finite numbers any more.
    :raises WorkerError: if a process has another version, training file or data, or is lost.
    :raises BundleError: at once, if the folder of the bundle holds something else.
    """
    check_place(configuration.output)
    with _prepared(configuration, quiet) as (network, data):
        task = training_task(network.task)
        trainer = Trainer(SuperNetworkSpace(network), configuration, task=task)
        trainer.train(data.training, data.held_out, quiet)
        if process_rank() > 0:
            return None
        network.eval()
        written = _bundle_of(network, configuration.output)
        if written is not None:
            _LOGGER.info(
                '%s has these weights already: left as it is; remove it to have it written anew',
                written.folder,
            )
            return written
        return write_trained_bundle(
            network,
            _landmarks(network),
            configuration,
            data.calibration,
            data.test,
            _report(trainer),
            command,
            quiet,
        )


def train_alone(
    configuration: TrainingConfiguration, which: str, quiet: bool = False
) -> Path | None:
    """
    Train one sub-network's architecture alone, as long as the super-network was, and test it.

    Epochs, learning rates and batches are those of all phases together; it learns from labels
    only, at its own resolution. Resumable as the whole is.

    :param which: `largest`, `smallest`, or the id of a sub-network of the bundle `output`.
    :return: the file with the result; None in all processes but the first.
    :raises BundleError: if there is no such bundle or sub-network.
    """
    with _prepared(configuration, quiet) as (network, data):
        alone = _configuration_named(network, configuration, which)
        space = AloneSpace(network, alone)
        folder = configuration.work / f'alone_{which}'
        trainer = Trainer(
            space,
            configuration,
            _on_labels_only(configuration.phases),
            folder,
            training_task(network.task),
        )
        trainer.train(data.training, data.held_out, quiet)
        if process_rank() > 0:
            return None
        normalisation = Normalisation(configuration.mean, configuration.standard_deviation)
        module = space.extract(alone)
        recalibrate(module, data.calibration, alone.size, normalisation)
        result = {
            'sub_network': which,
            'configuration': alone.to_mapping(),
            'accuracy': accuracy(module, data.test, alone.size, normalisation),
            'accuracy_data': accuracy_data(configuration.data_name, len(data.test)),
            'training': _report(trainer),
        }
        path = folder / 'result.json'
        write_whole(path, (json.dumps(result, indent=1) + '\n').encode())
        return path


def _landmarks(network: DynamicNetwork[Any]) -> tuple[Configuration, ...]:
    """Return the sub-networks to write: exits have no thresholds yet, so these have none."""
    if isinstance(network, ExitNetwork):
        return tuple(map(network.whole, network.landmarks()))
    return network.landmarks()


def plan_training(
    configuration: TrainingConfiguration, quiet: bool = False
) -> tuple[Placement, ...] | None:
    """
    Measure network and links, and return the ways to train, the fastest first; trains nothing.

    :return: None in all processes but the first.
    """
    with _prepared(configuration, quiet) as (network, data):
        task = training_task(network.task)
        space = SuperNetworkSpace(network)
        arithmetic = Arithmetic(choose_device(configuration.device), configuration.precision)
        space.module.to(arithmetic.device)
        # Later phases may need what earlier ones leave.
        phase = dataclasses.replace(configuration.phases[0], teacher='')
        ratio = configuration.compression.ratio
        return measured_placements(
            space, phase, configuration, arithmetic, data.training, task, ratio
        )


@dataclasses.dataclass(frozen=True)
class _Data:
    training: TrainingData
    held_out: TrainingData
    calibration: TrainingData
    test: TrainingData


@contextlib.contextmanager
def _prepared(
    configuration: TrainingConfiguration, quiet: bool
) -> Iterator[tuple[DynamicNetwork[Any], _Data]]:
    """Join the other processes, make the network with fresh weights, and read the pictures."""
    keep_freed_memory()
    if configuration.threads:
        torch.set_num_threads(configuration.threads)
    with process_group():
        # Made before the pictures are read, so that a bad layout is refused at once.
        layout = create(configuration.family, configuration.layout).layout_mapping()
        data = _read(configuration, quiet or process_rank() > 0)
        check_alike(configuration, data.training)
        classes = len(data.training.classes)
        if isinstance(configuration.layout, str):
            layout['classes'] = classes
        elif layout['classes'] != classes:
            raise ConfigurationError('classes', layout['classes'], f'the {classes} of the data')
        torch.manual_seed(configuration.seed)
        network = create(configuration.family, with_heads(layout, configuration))
        if configuration.initial_weights:
            taken = load_initial_weights(network, configuration.initial_weights)
            _LOGGER.info('%d tensors taken from %s', taken, configuration.initial_weights)
        if configuration.fine_tune:
            given = take_weights(network, configuration.fine_tune, data.training.classes)
            if process_rank() == 0:
                _LOGGER.info('fine-tuning %s: %s', configuration.fine_tune, given)
        yield network, data


def with_heads(
    layout: Mapping[str, Any], configuration: TrainingConfiguration
) -> Mapping[str, Any]:
    """
    Return a layout with the heads that a training file gives the largest sub-network.

    :raises ConfigurationError: for a head without a place, or at one that is not there.
    """
    if not configuration.exits:
        return layout
    network = create(configuration.family, layout)
    places = network.places(network.largest())
    heads = []
    for index, given in enumerate(configuration.exits):
        if set(given) - {'after', 'widths'} or given.get('after') not in places:
            known = f'of {", ".join(places)}' if places else 'that this family has: it has none'
            raise ConfigurationError(
                f'exits[{index}]', dict(given), f'`after`, a place {known}, and `widths`'
            )
        place = given['after']
        heads.append(HeadLayout.at(place, places[place], given.get('widths', ())).to_mapping())
    return {**layout, EXITS: heads}


def _read(configuration: TrainingConfiguration, quiet: bool) -> _Data:
    task = training_task(family_class(configuration.family).task)
    pictures, test = task.read(configuration, task.preprocessing(configuration), quiet)
    if pictures.classes != test.classes:
        raise DataError(
            f'{_only(configuration.training_data, pictures, test)}; '
            f'{_only(configuration.test_data, test, pictures)}: give data of the same classes'
        )
    training, held_out = pictures.split(configuration.held_out, configuration.seed)
    if process_rank() == 0:
        _LOGGER.info('%d pictures to train on, %d held out', len(training), len(held_out))
    calibration = training.first(configuration.recalibration_pictures)
    return _Data(training, held_out, calibration, test)


def _bundle_of(network: DynamicNetwork[Any], folder: Path) -> Bundle | None:
    """Return the bundle in a folder if it has the weights of a network."""
    try:
        bundle = read_bundle(folder)
        found = bundle.weights().network
    except BundleError:
        return None
    expected = network.state()
    alike = found.keys() == expected.keys() and all(
        found[name].shape == array.shape and np.allclose(found[name], array, rtol=1e-3, atol=1e-5)
        for name, array in expected.items()
    )
    return bundle if alike else None


def _only(path: Path, pictures: TrainingData, others: TrainingData) -> str:
    """Say which classes one of two sets of pictures has alone."""
    names = [name for name in pictures.classes if name not in others.classes]
    listed = ', '.join(names[:10]) + (f' and {len(names) - 10} more' if len(names) > 10 else '')
    return f'only {path} has the classes {listed or "(none)"}'


def _configuration_named(
    network: DynamicNetwork[Any], configuration: TrainingConfiguration, which: str
) -> Configuration:
    if which == 'largest':
        return network.largest()
    if which == 'smallest':
        return network.smallest()
    mapping: Mapping[str, Any] = {}
    if process_rank() == 0:
        mapping = read_bundle(configuration.output).manifest.sub_network(which).configuration
    return network.configuration(from_first(mapping))


def _on_labels_only(phases: tuple[Phase, ...]) -> tuple[Phase, ...]:
    return tuple(
        dataclasses.replace(
            phase,
            rule=Rule.LARGEST,
            within={},
            teacher='',
            sort_channels=False,
            freeze={},
            only=(),
        )
        for phase in phases
    )


def _report(trainer: Trainer) -> str:
    return (
        f'{trainer.epochs} epochs in {trainer.seconds / 60:.0f} minutes, '
        f'{trainer.processes} process(es) on {trainer.hardware or hardware_name()}'
    )
