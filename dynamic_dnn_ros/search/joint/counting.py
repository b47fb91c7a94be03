# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the parts of a network cost, counted while a picture runs through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from dynamic_dnn_ros.networks.contract import Step
from dynamic_dnn_ros.networks.cutting import as_tuple
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.platforms.board_model import NetworkCost

NOTHING = NetworkCost(0, 0, 0)


def total(costs: Sequence[NetworkCost]) -> NetworkCost:
    """Return what several parts cost together."""
    return NetworkCost(
        sum(each.multiply_adds for each in costs),
        sum(each.layers for each in costs),
        sum(each.parameters for each in costs),
    )


@torch.inference_mode()
def trunk_costs(
    steps: Sequence[Step], places: Sequence[str], size: Size
) -> tuple[NetworkCost, ...]:
    """
    Return what static steps cost up to each place, then all of them.

    As families count them: convolutions and linear layers, and the parameters of all modules.

    :param places: of the steps, in their order
    """
    reached = [NOTHING]
    found = {}
    values: tuple[torch.Tensor, ...] = (torch.zeros(1, 3, *size),)
    for step in steps:
        layers: list[NetworkCost] = []
        hooks = [
            each.register_forward_hook(_counter(layers))
            for each in step.module.modules()
            if isinstance(each, (nn.Conv2d, nn.Linear))
        ]
        values = as_tuple(step.module(*values))
        for hook in hooks:
            hook.remove()
        parameters = sum(each.numel() for each in step.module.parameters())
        own = total(layers)
        reached.append(
            total([reached[-1], NetworkCost(own.multiply_adds, own.layers, parameters)])
        )
        if step.place:
            found[step.place] = reached[-1]
    return (*(found[place] for place in places), reached[-1])


def _counter(layers: list[NetworkCost]) -> Any:
    def count(module: nn.Module, _: Any, output: torch.Tensor) -> None:
        weight = module.weight
        assert isinstance(weight, torch.Tensor)
        places = output[0, 0].numel() if isinstance(module, nn.Conv2d) else 1
        layers.append(NetworkCost(weight.numel() * places, 1, 0))

    return count
