# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What a family says that a sub-network costs, against counters that know nothing of families.

Multiply-adds: torch.utils.flop_counter watches the operators of the extracted sub-network; it
counts a multiplication and an addition as two. Parameters: those that the module has.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import random
from typing import Any

from report import Figure, Report, figure
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import resnet18

from dynamic_dnn_ros.networks import (
    adaptive_layouts,
    detector_layouts,
    incremental_group,
    ofa_mobilenet_v3,
)
from dynamic_dnn_ros.networks.contract import Configuration, DynamicNetwork
from dynamic_dnn_ros.networks.registry import create
from dynamic_dnn_ros.networks.slimmable.capture import capture

RUNS = 1
CONFIGURATIONS = 20
"""Of each layout, random, the same in each run."""

_SIDE = 64


def layouts() -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Return family and layout, by name: of all that ship, and of a network made slimmable."""
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for name, ofa in ofa_mobilenet_v3.LAYOUTS.items():
        found[name] = 'ofa_mobilenet_v3', ofa.to_mapping()
    for name, detector in detector_layouts.LAYOUTS.items():
        found[name] = 'ofa_detector', detector.to_mapping()
    for name, groups in incremental_group.LAYOUTS.items():
        found[name] = 'incremental_group', groups.to_mapping()
        independent = dataclasses.replace(groups, connections='independent')
        found[f'{name}, independent'] = 'incremental_group', independent.to_mapping()
    for name, adaptive in adaptive_layouts.LAYOUTS.items():
        found[name] = 'adaptive_resnet', adaptive.to_mapping()
    captured = capture(resnet18(num_classes=10), 'torchvision:resnet18', (_SIDE,))
    found['torchvision:resnet18'] = 'slimmable', captured.network.layout_mapping()
    return found


def run(runs: int) -> Report:
    """Count once: a further run would count the same."""
    figures: list[Figure] = []
    different = {}
    for name, (family, layout) in layouts().items():
        network = create(family, layout).eval()
        generator = random.Random(0)
        configurations = [network.sample(generator) for _ in range(CONFIGURATIONS)]
        different[name] = len(set(configurations))
        figures += _compare(name, network, configurations)
    configuration = {
        'layouts': list(layouts()),
        'configurations_of_each_layout': CONFIGURATIONS,
        'different_configurations': different,
        'counter': 'torch.utils.flop_counter, half of its operations; sum of Parameter.numel()',
        'pytorch': torch.__version__,
    }
    return Report('counters', 'measured', configuration, figures)


def _compare(
    name: str, network: DynamicNetwork[Any], configurations: list[Configuration]
) -> list[Figure]:
    pairs: dict[str, list[tuple[float, float]]] = {'multiply-adds': [], 'parameters': []}
    for each in configurations:
        operations, parameters = counted(network.extract(each, share_weights=True), each)
        pairs['multiply-adds'].append((network.multiply_adds(each), operations / 2))
        pairs['parameters'].append((network.parameter_count(each), parameters))
    figures = []
    for what, values in pairs.items():
        figures += [
            figure(
                f'{name}: {what} equal, of {len(values)} configurations',
                sum(said == found for said, found in values),
                'configurations',
                f'>= {len(values)}',
            ),
            figure(
                f'{name}: {what}, largest relative difference',
                max(abs(said - found) / found for said, found in values),
                'ratio',
                '<= 0',
            ),
        ]
    return figures


def counted(module: torch.nn.Module, configuration: Configuration) -> tuple[int, int]:
    """Return operations for one picture, and parameters, of a static module."""
    parameters = sum(parameter.numel() for parameter in module.parameters())
    # Tensors without data: operators are counted, and nothing is computed.
    size = configuration.size
    picture = torch.empty(1, 3, size.height, size.width, device='meta')
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.to('meta')(picture)
    return counter.get_total_flops(), parameters
