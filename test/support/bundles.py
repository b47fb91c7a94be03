# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A small bundle with random weights, for tests of what does not depend on training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork, SuperNetwork
from dynamic_dnn_ros.bundles.profile import OperatingPoints
from dynamic_dnn_ros.bundles.reader import Bundle, Weights
from dynamic_dnn_ros.bundles.writer import weights_content, write_bundle
from dynamic_dnn_ros.networks.contract import Configuration, DynamicNetwork
from dynamic_dnn_ros.networks.elastic_layouts import StageLayout
from dynamic_dnn_ros.networks.ofa_layouts import MobileNetV3Layout
from dynamic_dnn_ros.networks.ofa_mobilenet_v3 import OfaMobileNetV3
from dynamic_dnn_ros.pictures.input import Preprocessing, Resize

LAYOUT = MobileNetV3Layout(
    stem_width=8,
    stem_stride=2,
    first_block_width=8,
    first_block_stride=1,
    first_block_activation='relu',
    stages=(
        StageLayout(8, 1, 'relu', False),
        StageLayout(16, 2, 'h_swish', True),
    ),
    final_expand_width=32,
    feature_width=48,
    kernel_sizes=(3, 5),
    expand_ratios=(2, 3),
    depths=(1, 2),
    resolutions=(24, 32),
    classes=10,
)
"""The least that has all of the family's choices."""

PREPROCESSING = Preprocessing(Resize.STRETCH, (0.49, 0.48, 0.45), (0.25, 0.24, 0.26))


def _default_network() -> tuple[OfaMobileNetV3, list[Configuration]]:
    network = OfaMobileNetV3(LAYOUT)
    with torch.no_grad():
        # Wide logits: scores far enough apart to tell one sub-network from another.
        network.classifier.weight.mul_(20.0)
    smallest, largest = network.smallest(), network.largest()
    middle = network.configuration({**smallest.to_mapping(), 'resolution': largest.resolution})
    return network, [smallest, middle, largest]


def _sub_networks(
    network: DynamicNetwork[Any], configurations: Sequence[Configuration]
) -> list[SubNetwork]:
    return [
        SubNetwork(
            id=f's{index}',
            configuration=configuration.to_mapping(),
            size=configuration.size,
            accuracy=0.5 + 0.1 * index,  # Random weights: a number to choose by, no more.
            multiply_adds=network.multiply_adds(configuration),
            parameters=network.parameter_count(configuration),
            layers=network.layer_count(configuration),
        )
        for index, configuration in enumerate(configurations)
    ]


def make_bundle(
    folder: Path,
    name: str = 'synthetic',
    seed: int = 0,
    profiles: Callable[[Manifest], Iterable[OperatingPoints]] = lambda manifest: (),
    network: DynamicNetwork[Any] | None = None,
    configurations: Sequence[Configuration] = (),
) -> Bundle:
    """
    Write a bundle of three sub-networks, ``s0`` to ``s2``, or of the landmarks of a network.

    Their outputs all differ.

    :param folder: of the bundle; replaced when it exists.
    :param profiles: makes the profiles of the bundle from its manifest.
    :param network: of ten classes; by default one of the family ofa_mobilenet_v3.
    :param configurations: of that network, in place of its landmarks.
    """
    torch.manual_seed(seed)
    if network is None:
        network, configurations = _default_network()
    else:
        configurations = list(configurations or network.landmarks())
    sub_networks = _sub_networks(network, configurations)
    statistics = {}
    for sub_network in sub_networks:
        network.activate(network.configuration(sub_network.configuration))
        if network.statistics_per_sub_network:
            statistics[sub_network.id] = _calibrated(network, sub_network.size.height, seed)
    manifest = Manifest(
        name=name,
        source=SuperNetwork(network.family, network.layout_mapping()),
        labels=tuple(f'class_{index}' for index in range(LAYOUT.classes)),
        preprocessing=PREPROCESSING,
        sub_networks=tuple(sub_networks),
        description='Random weights, for tests.',
        accuracy_data='none: the accuracies are made up',
    )
    content = weights_content(Weights(network.state(), statistics))
    return write_bundle(folder, manifest, content, profiles(manifest))


@torch.no_grad()
def _calibrated(network: DynamicNetwork[Any], resolution: int, seed: int) -> dict[str, np.ndarray]:
    """Return batch-norm statistics of the active sub-network on noise of several scales."""
    generator = torch.Generator().manual_seed(seed)
    pictures = torch.zeros(32, 3, resolution, resolution)
    for side in (1, 4, resolution):
        pictures += nn.functional.interpolate(
            torch.randn(32, 3, side, side, generator=generator), size=resolution
        )
    for _, module, _ in network.active_batch_norms():
        module.reset_running_stats()
        module.momentum = 1.0
    network.train()
    network(pictures)
    network.eval()
    return network.batch_norm_statistics()
