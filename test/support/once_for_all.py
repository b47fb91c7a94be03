# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The code of the authors of Once-for-All, where a checkout of it lies on this machine."""

from __future__ import annotations

from dataclasses import dataclass
import importlib
import os
from pathlib import Path
import random
import sys
from types import ModuleType
from typing import Any

import torch
from torch import nn

from dynamic_dnn_ros.networks.ofa_checkpoint import network_from_checkpoint
from dynamic_dnn_ros.networks.ofa_layouts import MobileNetV3Configuration
from dynamic_dnn_ros.networks.ofa_mobilenet_v3 import OfaMobileNetV3

VARIABLE = 'DYNAMIC_DNN_OFA_SOURCE'
"""Environment variable with the folder that holds the package `ofa`."""

WIDTHS = {'ofa_mbv3_d234_e346_k357_w1.0': 1.0, 'ofa_mbv3_d234_e346_k357_w1.2': 1.2}
"""Width multiplier of each published layout."""


def missing_code() -> str | None:
    """Return why the authors' code cannot be used, None where it can."""
    folder = os.environ.get(VARIABLE)
    if folder is None:
        return f'{VARIABLE} is not set: it names a checkout of github.com/mit-han-lab/once-for-all'
    if not (Path(folder) / 'ofa' / 'imagenet_classification').is_dir():
        return f'{VARIABLE}: {folder} does not hold the package ofa'
    return None


def authors_network(width: float, seed: int) -> Any:
    """Return their super-network with every weight random, the kernel transforms too."""
    network_class = _authors_module().OFAMobileNetV3
    torch.manual_seed(seed)
    network = network_class(
        dropout_rate=0.1,
        width_mult=width,
        ks_list=[3, 5, 7],
        expand_ratio_list=[3, 4, 6],
        depth_list=[2, 3, 4],
    )
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith('_matrix'):
                parameter.add_(0.1 * torch.randn_like(parameter))
            elif parameter.ndim == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
            else:
                nn.init.kaiming_normal_(parameter)
        # Pooled features of random layers differ little: make of that a difference of order 1.
        network.classifier.linear.weight.mul_(50.0)
    return network.eval()


def activate(network: Any, configuration: MobileNetV3Configuration) -> None:
    """Activate a configuration of ours in their network."""
    network.set_active_subnet(
        ks=list(configuration.kernel_size),
        e=list(configuration.expand_ratio),
        d=list(configuration.depth),
    )


@dataclass(frozen=True)
class Comparison:
    """
    Logits of their code against ours.

    :param difference: the largest, of any of their ways to run a configuration (active,
        extracted) and any of ours.
    :param spread: standard deviation of their logits over pictures, the mean over classes. Were
        it tiny, equal logits would prove little.
    """

    difference: float
    spread: float


@torch.no_grad()
def compare(
    theirs: Any, layout: str, configuration: MobileNetV3Configuration, seed: int
) -> Comparison:
    """
    Run one configuration with their code and, its checkpoint imported, with ours.

    Their batch-norm statistics are made for it before: those of pictures, then disturbed. With
    statistics of something else the signal of random weights vanishes or grows beyond measure.
    """
    generator = torch.Generator().manual_seed(seed)
    activate(theirs, configuration)
    batch_norms = [module for module in theirs.modules() if isinstance(module, nn.BatchNorm2d)]
    for batch_norm in batch_norms:
        batch_norm.reset_running_stats()
        batch_norm.momentum = 1.0
    theirs.train()(_pictures(8, configuration.resolution, generator))
    theirs.eval()
    for batch_norm in batch_norms:
        mean, variance = batch_norm.running_mean, batch_norm.running_var
        assert mean is not None and variance is not None
        mean.add_(0.05 * variance.sqrt() * torch.randn(mean.shape, generator=generator))
        variance.mul_(1.0 + 0.2 * torch.rand(variance.shape, generator=generator))
    _, ours = network_from_checkpoint(theirs.state_dict(), "the authors' network", layout)
    ours.activate(configuration)
    pictures = _pictures(2, configuration.resolution, generator)
    expected = (theirs(pictures), theirs.get_active_subnet().eval()(pictures))
    found = (ours(pictures), ours.extract(configuration)(pictures))
    return Comparison(
        difference=max(float((one - other).abs().max()) for one in expected for other in found),
        spread=float(expected[0].std(0).mean()),
    )


def _pictures(count: int, side: int, generator: torch.Generator) -> torch.Tensor:
    """Return noise with detail of every size, which tells one picture from another."""
    return sum(
        nn.functional.interpolate(
            torch.randn(count, 3, detail, detail, generator=generator), size=side, mode='bilinear'
        )
        for detail in (1, 3, 12, side)
    )


def configurations(network: OfaMobileNetV3, count: int) -> list[MobileNetV3Configuration]:
    """Return random configurations, the same at each call."""
    generator = random.Random(count)
    return [network.sample(generator) for _ in range(count)]


def _authors_module() -> Any:
    folder = os.environ[VARIABLE]
    if folder not in sys.path:
        sys.path.append(folder)
    # Their loader of pictures needs parts of old PyTorch releases; their networks do not need it.
    name = 'ofa.utils.my_dataloader'
    sys.modules.setdefault(name, ModuleType(name))
    return importlib.import_module('ofa.imagenet_classification.elastic_nn.networks')
