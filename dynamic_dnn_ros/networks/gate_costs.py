# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the largest path behind a gate costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from torch import nn

from dynamic_dnn_ros.networks.contract import DynamicNetwork
from dynamic_dnn_ros.networks.cutting import PartCost, costs_at
from dynamic_dnn_ros.networks.gate_layouts import GateConfiguration


def cost_behind(
    backbone: DynamicNetwork[Any],
    configuration: GateConfiguration,
    departures: Sequence[int],
    after: int,
    layers: Sequence[nn.Linear],
) -> PartCost:
    """
    Return what the beginning, the gate and the rest of the last choice cost.

    :param departures: the place from which each choice goes on
    :param after: the place of the gate
    :param layers: of the gate
    """
    gate = PartCost(
        sum(layer.weight.numel() for layer in layers),
        sum(each.numel() for layer in layers for each in layer.parameters()),
        len(layers),
    )
    # Where the largest choice departs before the gate, the first one has run on up to it.
    beginning = list(costs_at(backbone, configuration.choices[0]).values())[after]
    *_, rest = _costs_of_stages(backbone, configuration, departures)
    return _sum([beginning, gate, rest])


def cost_of_all(
    backbone: DynamicNetwork[Any], configuration: GateConfiguration, departures: Sequence[int]
) -> PartCost:
    """Return what all choices cost, one after the other, each from where it departs."""
    return _sum(_costs_of_stages(backbone, configuration, departures))


def whole_cost(backbone: DynamicNetwork[Any], configuration: Any) -> PartCost:
    """Return what a sub-network of the family costs."""
    return PartCost(
        backbone.multiply_adds(configuration),
        backbone.parameter_count(configuration),
        backbone.layer_count(configuration),
    )


def _costs_of_stages(
    backbone: DynamicNetwork[Any], configuration: GateConfiguration, departures: Sequence[int]
) -> Iterator[PartCost]:
    """Yield what the first choice costs, then each other one from where it departs."""
    for index, choice in enumerate(configuration.choices):
        whole = whole_cost(backbone, choice)
        if index == 0:
            yield whole
            continue
        before = list(costs_at(backbone, choice).values())[departures[index]]
        yield PartCost(*(one - other for one, other in zip(whole, before)))


def _sum(costs: Iterable[PartCost]) -> PartCost:
    return PartCost(*map(sum, zip(*costs)))
