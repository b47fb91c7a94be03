# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A small bundle of a family with a gate; random weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.bundles.stages import Stage
from dynamic_dnn_ros.bundles.writer import weights_content, write_bundle
from dynamic_dnn_ros.networks.gates import GateNetwork
from dynamic_dnn_ros.networks.registry import create
from support.bundles import LAYOUT, PREPROCESSING, make_bundle

#: Of the pictures that take both branches.
SEEDS = range(12)

#: Of the sub-network behind the gate.
STAGES = (
    Stage('early', work=0.2, choices=('narrow', 'wide')),
    Stage('narrow', work=0.5, taken=0.6, last=True),
    Stage('wide', work=1.0, taken=0.4),
)

_NARROW = {
    'kernel_size': [3, 3, 3, 3],
    'expand_ratio': [2, 2, 2, 2],
    'depth': [1, 1],
    'resolution': 32,
}
_WIDE = {**_NARROW, 'kernel_size': [3, 3, 5, 5], 'expand_ratio': [2, 2, 3, 3], 'depth': [1, 2]}


def gated_layout(first: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """
    Return the layout of a network with a gate after its first place.

    :param first: changes of the first choice
    :param changes: of the gate
    """
    gate = {'after': 0, 'squeeze': 4, 'choices': [{**_NARROW, **(first or {})}, _WIDE]}
    return {**LAYOUT.to_mapping(), 'gates': [{**gate, **changes}]}


def make_gated_bundle(folder: Path) -> Bundle:
    """Write a bundle of ``s0``, of one piece, and ``s1``, which is behind the gate."""
    torch.manual_seed(0)
    # Behind the first place, so that the beginning hands on more than one branch takes.
    network = create('ofa_mobilenet_v3', gated_layout(after=1))
    assert isinstance(network, GateNetwork)
    with torch.no_grad():
        for name in ('classifier.weight', 'gates.0.score.weight'):
            network.get_parameter(name).mul_(20.0)
    configurations = [network.smallest(), network.gated(0)]
    plain = make_bundle(folder, 'gated', network=network, configurations=configurations)
    first, second = plain.manifest.sub_networks
    manifest = replace(plain.manifest, sub_networks=(first, replace(second, stages=STAGES)))
    weights = plain.weights()
    network.activate(network.gated(0))
    network.load_batch_norm_statistics(weights.batch_norm_statistics[second.id])
    with torch.inference_mode():
        beginning = network.extract_stages(network.gated(0))[0]
        scores = beginning(torch.cat([_shown(picture(seed)) for seed in SEEDS]))[0]
    # So that half of the pictures take each branch.
    weights.network['gates.0.score.bias'][0] -= (
        float((scores[:, 0] - scores[:, 1]).median()) + 1e-3
    )
    return write_bundle(folder, manifest, weights_content(weights))


def picture(seed: int) -> np.ndarray:
    """Return a picture of noise, of a brightness of its own."""
    generator = np.random.default_rng(seed)
    scale = generator.uniform(0.1, 1.0)
    return (generator.integers(0, 256, (32, 32, 3)) * scale).astype(np.uint8)


def _shown(pixels: np.ndarray) -> torch.Tensor:
    mean, deviation = (
        np.array(each) for each in (PREPROCESSING.mean, PREPROCESSING.standard_deviation)
    )
    planes = ((pixels / 255 - mean) / deviation).transpose(2, 0, 1)[None]
    return torch.from_numpy(planes.astype(np.float32))
