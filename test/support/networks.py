# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What tests of several families do with a network."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from dynamic_dnn_ros.networks.contract import Configuration, DynamicNetwork


def train_on_noise(
    network: DynamicNetwork[Any], configuration: Configuration, steps: int = 3
) -> None:
    """Move every trainable number of a sub-network of ten classes or more, statistics too."""
    network.train()
    network.activate(configuration)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
    side = configuration.resolution
    for step in range(steps):
        images = torch.randn(16, 3, side, side, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        functional.cross_entropy(network(images), torch.arange(16) % 10).backward()
        optimizer.step()
    network.eval()
