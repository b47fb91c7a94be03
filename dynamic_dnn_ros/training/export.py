# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a trained network and some of its sub-networks to a bundle with a model card."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork, SuperNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, Weights
from dynamic_dnn_ros.bundles.writer import MODEL_CARD_NAME, weights_content
from dynamic_dnn_ros.engines.verification import write_recorded_bundle
from dynamic_dnn_ros.networks.contract import (
    Arrays,
    Configuration,
    DynamicNetwork,
    statistics_of,
)
from dynamic_dnn_ros.training.batches import Normalisation, use_channels_last
from dynamic_dnn_ros.training.configuration import Precision, TrainingConfiguration
from dynamic_dnn_ros.training.evaluation import accuracy, recalibrate
from dynamic_dnn_ros.training.model_card import model_card
from dynamic_dnn_ros.training.paths import stages_of
from dynamic_dnn_ros.training.tasks.contract import TrainingData
from dynamic_dnn_ros.training.tasks.registry import training_task
from dynamic_dnn_ros.training.tested import accuracy_data


def write_trained_bundle(
    network: DynamicNetwork[Any],
    configurations: Sequence[Configuration],
    configuration: TrainingConfiguration,
    calibration: TrainingData,
    test: TrainingData,
    training_report: str,
    command: str = 'CONFIG',
    quiet: bool = False,
) -> Bundle:
    """
    Recalibrate sub-networks, measure them on the test pictures and write the bundle.

    :param configurations: the smallest first; they become s0, s1 and so on.
    :param calibration: training pictures that batch-norm statistics are averaged over.
    :param training_report: for the model card: how long was trained, on what.
    :param command: for the model card: what the user gave to `train`.
    """
    task = training_task(network.task)
    normalisation = Normalisation(configuration.mean, configuration.standard_deviation)
    half = configuration.stored_precision is Precision.FLOAT16
    if half:
        _round_to_half((*network.parameters(), *network.buffers()))
    sub_networks = []
    statistics: dict[str, Arrays] = {}
    for index, each in enumerate(tqdm(configurations, desc='testing', disable=quiet)):
        module = network.extract(each)
        use_channels_last(module)
        identifier = f's{index}'
        statistics[identifier] = {}
        if network.statistics_per_sub_network:
            recalibrate(module, calibration, each.size, normalisation)
            if half:
                _round_to_half(module.buffers())
            statistics[identifier] = statistics_of(module)
        entry = manifest_entry(
            network, each, identifier, accuracy(module, test, each.size, normalisation)
        )
        device = next(module.parameters()).device
        inputs = calibration.inputs(each.size, normalisation, device)
        sub_networks.append(replace(entry, stages=stages_of(network, each, inputs)))
    manifest = Manifest(
        name=configuration.name,
        source=SuperNetwork(configuration.family, network.layout_mapping()),
        labels=test.classes,
        preprocessing=task.preprocessing(configuration),
        task=task.choice(network.output_name),
        sub_networks=tuple(sub_networks),
        description=f'{configuration.family}, {_layout(configuration)}, '
        f'trained on {configuration.data_name}',
        accuracy_data=accuracy_data(configuration.data_name, len(test)),
    )
    card = model_card(manifest, configuration, training_report, [f'dynamic-dnn train {command}'])
    return write_recorded_bundle(
        configuration.output,
        manifest,
        weights_content(Weights(network.state(), statistics), np.float16 if half else np.float32),
        other_files={MODEL_CARD_NAME: card.encode()},
    )


def manifest_entry(
    network: DynamicNetwork[Any], configuration: Configuration, identifier: str, accuracy: float
) -> SubNetwork:
    """Return what a manifest says of a sub-network."""
    return SubNetwork(
        id=identifier,
        configuration=configuration.to_mapping(),
        size=configuration.size,
        accuracy=accuracy,
        multiply_adds=network.multiply_adds(configuration),
        parameters=network.parameter_count(configuration),
        layers=network.layer_count(configuration),
    )


@torch.no_grad()
def _round_to_half(tensors: Iterable[torch.Tensor]) -> None:
    """Give numbers the values that a file in float16 has, so that what is measured is stored."""
    for tensor in tensors:
        if tensor.is_floating_point():
            tensor.copy_(tensor.half())


def _layout(configuration: TrainingConfiguration) -> str:
    named = isinstance(configuration.layout, str)
    return f'layout {configuration.layout}' if named else 'a layout of its own'
