# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The whole way from pictures to a bundle."""

from __future__ import annotations

import numpy as np
import torch

from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.networks.contract import ConfigurationError
from dynamic_dnn_ros.networks.registry import create
from dynamic_dnn_ros.training.batches import Normalisation, use_channels_last
from dynamic_dnn_ros.training.configuration import TrainingConfiguration
from dynamic_dnn_ros.training.export import processor_name, write_trained_bundle
from dynamic_dnn_ros.training.memory import keep_freed_memory
from dynamic_dnn_ros.training.pictures import PictureError, read_pictures
from dynamic_dnn_ros.training.processes import process_count, process_group, process_rank
from dynamic_dnn_ros.training.selection import draw_candidates, select
from dynamic_dnn_ros.training.trainer import Trainer


def train_bundle(configuration: TrainingConfiguration, quiet: bool = False) -> Bundle | None:
    """
    Train, choose sub-networks, test them, and write the bundle.

    Killed at any moment and called again, it continues after the last whole epoch.

    :return: the bundle; None in all processes but the first where several train together.
    :raises PictureError: if the pictures cannot be used.
    :raises ConfigurationError: for an unknown family or layout, or other classes than it has.
    :raises CheckpointError: if the work folder holds a checkpoint of something else.
    """
    keep_freed_memory()
    if configuration.threads:
        torch.set_num_threads(configuration.threads)
    pictures = read_pictures(configuration.training_data, quiet)
    test = read_pictures(configuration.test_data, quiet)
    if pictures.classes != test.classes:
        raise PictureError(
            f'{configuration.training_data} has the classes {", ".join(pictures.classes)}, '
            f'{configuration.test_data} has {", ".join(test.classes)}: give matching data'
        )
    training, held_out = pictures.split(configuration.held_out, configuration.seed)
    torch.manual_seed(configuration.seed)
    network = create(configuration.family, configuration.layout)
    outputs = network.layout_mapping()['classes']
    if outputs != len(pictures.classes):
        raise ConfigurationError('classes', outputs, f'the {len(pictures.classes)} of the data')
    use_channels_last(network)
    with process_group():
        trainer = Trainer(network, configuration)
        trainer.train(training, quiet)
        if process_rank() > 0:
            return None
        cut = ', the last one cut short by the clock,' if configuration.seconds else ''
        report = (
            f'{trainer.epoch} epochs{cut} in {trainer.seconds / 60:.0f} minutes, '
            f'{process_count()} process(es) on {processor_name()}'
        )
    network.eval()
    calibrated = min(configuration.recalibration_pictures, len(training))
    chosen = select(
        network,
        draw_candidates(network, configuration.candidates, configuration.seed),
        configuration.sub_networks,
        training.take(np.arange(calibrated)),
        held_out,
        Normalisation(configuration.mean, configuration.standard_deviation),
        quiet,
    )
    return write_trained_bundle(network, chosen, configuration, test, report, quiet)
