#!/usr/bin/env python3
# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Compute what config/platforms/orin_nx.yaml says is fitted, and the errors.

Usage: calibrate_orin_nx.py FOLDER, where FOLDER holds standalone.csv (networks that ran alone:
throughput and three rails against the GPU clock) and gpu_contention.csv (what two take from each
other). Prints the entries of the file; docs/simulation.md explains the steps. Needs SciPy.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

import yaml

from dynamic_dnn_ros.files import share_folder
from dynamic_dnn_ros.platforms.board_model import BoardModel, MeasuredNetwork, NetworkCost
from dynamic_dnn_ros.platforms.calibration.refit import (
    contention_errors,
    fit_contention,
    fit_costs,
    fit_power,
    prediction_errors,
    read_losses,
    read_measurements,
    with_networks,
)

# Convolutions and linear layers, multiply-adds and parameters, counted on torchvision's networks
# and on the published configuration of YOLOv3-tiny. Assumed: EfficientNet-B5 for 224 x 224, which
# is what the published loop makes of each picture unless told otherwise.
COSTS = {
    'efficientnet_b5': NetworkCost(2_356_493_184, 195, 30_389_784),
    'resnet50': NetworkCost(4_089_184_256, 54, 25_557_032),
    'yolov3_tiny_416': NetworkCost(2_782_480_896, 13, 8_849_182),
}
CONTENTION_CLOCK = 612e6
"""Hz, of the table of pairs: it does not say, but equals the published logs at that clock."""
SAME_PICTURES = ('efficientnet_b5', 'resnet50')


def rounded(value: Any) -> Any:
    """Return numbers with five digits, at any depth."""
    if isinstance(value, Mapping):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return float(f'{value:.5g}') if isinstance(value, float) else value


def times(network: MeasuredNetwork) -> dict[str, dict[str, float]]:
    """Return a network as the file has it: fields that are not the default, by processor."""
    result = {}
    for each in network.times:
        fields = {name: value for name, value in vars(each).items() if name != 'processor'}
        if not each.accelerator:
            del fields['accelerator'], fields['accelerator_intensity']
        result[each.processor] = fields
    return result


def main() -> None:
    """Print the fitted entries and the errors."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    parser.add_argument('folder', type=Path, help='folder of the two tables')
    folder = parser.parse_args().folder
    path = share_folder() / 'config/platforms/orin_nx.yaml'
    mapping = yaml.safe_load(path.read_text(encoding='utf-8'))
    measurements = read_measurements(folder / 'standalone.csv', BoardModel(mapping, path))
    losses = read_losses(folder / 'gpu_contention.csv')

    fitted = fit_power(mapping, measurements)
    networks = with_networks(fitted, measurements)
    fitted = fit_contention(fitted, networks, losses, CONTENTION_CLOCK)
    fitted = fit_costs(fitted, networks, COSTS, SAME_PICTURES)
    for name, processor in fitted['latency']['processors'].items():
        for part in ('gpu', 'rest'):
            show(f'latency.processors.{name}.{part}', processor[part]['value'])
    for domain, field in (
        ('gpu', 'capacitance'),
        ('gpu', 'idle_share'),
        ('gpu', 'voltage'),
        ('memory', 'capacitance'),
    ):
        show(f'domains.{domain}.{field}', fitted['domains'][domain][field]['value'])
    for field in ('idle', 'remainder', 'overhead'):
        show(f'power.{field}', fitted['power'][field]['value'])
    for name, accelerator in fitted['power']['accelerators'].items():
        show(f'power.accelerators.{name}.power', accelerator['power']['value'])
    for field in ('processor_delay', 'other_delay'):
        show(f'contention.{field}', fitted['contention'][field]['value'])
    for name, network in networks.items():
        show(f'networks.{name}', times(network))
    for name, errors in prediction_errors(fitted, networks, measurements).items():
        shares = [abs(error) for error in errors]
        print(f'# error of {name}: mean {mean(shares):.2%}, largest {max(shares):.2%}')
    errors = contention_errors(fitted, networks, losses, CONTENTION_CLOCK)
    sizes = [abs(error) * 100 for error in errors]
    print(f'# contention: mean {mean(sizes):.1f}, largest {max(sizes):.1f} points')


def show(name: str, value: Any) -> None:
    """Print an entry."""
    print(f'{name}: {yaml.safe_dump(rounded(value), default_flow_style=True, width=999).strip()}')


if __name__ == '__main__':
    main()
