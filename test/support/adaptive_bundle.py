# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A small bundle of family adaptive_resnet, untrained, whose pictures take different paths."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from dynamic_dnn_ros.bundles.manifest import Manifest, SuperNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, Weights
from dynamic_dnn_ros.bundles.writer import weights_content
from dynamic_dnn_ros.engines.verification import write_recorded_bundle
from dynamic_dnn_ros.networks.adaptive_resnet import AdaptiveResNet
from dynamic_dnn_ros.pictures.input import Preprocessing, Resize
from dynamic_dnn_ros.training.export import manifest_entry
from dynamic_dnn_ros.training.paths import stages_of

SIDE = 32
"""Of the input, pixels."""

LABELS = ('a', 'b', 'c')

LAYOUT: dict[str, Any] = {
    'resolution': SIDE,
    'stem': 8,
    'classes': len(LABELS),
    'stages': [
        {'width': 8, 'middle': 8, 'blocks': 1, 'mode': 'patches', 'granularity': 4},
        {'width': 16, 'middle': 8, 'blocks': 1, 'mode': 'channels', 'granularity': 2},
        {'width': 16, 'middle': 16, 'blocks': 2, 'mode': 'layers', 'granularity': 0},
    ],
}
"""Each mode in one group of blocks."""

#: Pictures whose paths are in the manifest, by their seeds.
SEEDS = range(12)

_MEAN, _DEVIATION = 0.5, 0.25

#: With which these pictures take four ways through the last group.
SEED = 52


def adaptive_network(seed: int = SEED) -> AdaptiveResNet:
    """Return a network whose decisions differ between pictures."""
    torch.manual_seed(seed)
    network = AdaptiveResNet.from_layout(LAYOUT).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None and module.running_var is not None
                module.running_mean.uniform_(-0.2, 0.2)
                module.running_var.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.2, 0.2)
        for name, parameter in network.named_parameters():
            if '.masker.' in name:
                parameter.normal_(0, 1.0 if name.endswith('weight') else 0.1)
    return network


def make_adaptive_bundle(folder: Path) -> Bundle:
    """Write a bundle of ``undivided``, of one piece, and ``adaptive``, which decides."""
    network = adaptive_network()
    undivided, adaptive = network.landmarks()
    images = torch.cat([shown(picture(seed)) for seed in SEEDS])
    stages = stages_of(network, adaptive, [images])
    manifest = Manifest(
        name='adaptive',
        source=SuperNetwork(network.family, network.layout_mapping()),
        labels=LABELS,
        preprocessing=Preprocessing(Resize.STRETCH, (_MEAN,) * 3, (_DEVIATION,) * 3),
        sub_networks=(
            replace(manifest_entry(network, adaptive, 'adaptive', 0.5), stages=stages),
            manifest_entry(network, undivided, 'undivided', 0.6),
        ),
        description='Random weights, for tests.',
        accuracy_data='none: the accuracies are made up',
    )
    content = weights_content(Weights(network.state(), {}))
    return write_recorded_bundle(folder, manifest, content)


def picture(seed: int) -> np.ndarray:
    """Return a picture of noise, height x width x 3, of a shade of its own."""
    generator = np.random.default_rng(seed)
    shade = generator.integers(0, 256, (1, 1, 3))
    noise = generator.integers(-60, 61, (SIDE, SIDE, 3))
    return (shade + noise).clip(0, 255).astype(np.uint8)


def shown(pixels: np.ndarray) -> torch.Tensor:
    """Return the input of the network that a picture becomes, 1 x 3 x height x width."""
    planes = (pixels / 255 - _MEAN) / _DEVIATION
    return torch.from_numpy(planes.transpose(2, 0, 1)[None].astype(np.float32))
