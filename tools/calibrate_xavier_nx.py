#!/usr/bin/env python3
# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Compute coefficients of config/platforms/xavier_nx.yaml from published figures.

Usage: calibrate_xavier_nx.py LEVELS.json [POWER_MODES.csv], where LEVELS.json holds the thirteen
sub-networks that were published with Dynamic-OFA: configuration, session and latency on the GPU
of a Xavier NX. POWER_MODES.csv holds the power of the module in its modes, under one to three
instances of one network, with the load of CPU and GPU. Prints the coefficients and their errors;
docs/simulation.md explains the steps.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from dynamic_dnn_ros.networks.ofa_mobilenet_v3 import OfaMobileNetV3
from dynamic_dnn_ros.platforms.board_model import load_board
from dynamic_dnn_ros.platforms.calibration.power_fit import ALL, FittedPower, Load, fit_power
from dynamic_dnn_ros.platforms.calibration.table import DOMAINS, Row

CPU, GPU, LOW_GPU, MEMORY = 1420.8e6, 1109.25e6, 803.25e6, 1600e6
BANDWIDTH = 2 * 16 * MEMORY * 0.6  # bytes/s: 128-bit LPDDR4x, two transfers a clock, 60 % assumed
# Assumed: no latency was published against the CPU clock or the memory clock.
REMAINDER = {'host': 0.60, 'memory': 0.15, 'fixed': 0.25}  # of what the GPU clock does not touch
MEMORY_SHARE_OF_MULTIPLY_ADDS = 0.5  # reading and writing activations grows with them
CORES = 6

# Read off the motivation figure of Dynamic-OFA (to about 2 %), seconds.
ALONE, ALONE_LOW, SHARED, SHARED_LOW = 0.043, 0.050, 0.050, 0.069
CPU_LATENCY, CPU_LATENCY_LOW, CPU_LOW = 0.570, 0.830, 1190.4e6


def costs(levels: list[dict[str, Any]]) -> np.ndarray:
    """Return 1, layers, multiply-adds and parameters of each level, a row each."""
    network = OfaMobileNetV3.from_layout('ofa_mbv3_d234_e346_k357_w1.2')
    rows = []
    for level in levels:
        configuration = network.configuration(
            {key: level[key] for key in ('kernel_size', 'expand_ratio', 'depth', 'resolution')}
        )
        rows.append(
            (
                1.0,
                network.layer_count(configuration),
                network.multiply_adds(configuration),
                network.parameter_count(configuration),
            )
        )
    return np.array(rows, dtype=float)


def fit(cost: np.ndarray, latency: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, float]:
    """
    Fit latency = session factor * (constant + layers + multiply-adds) + weights read.

    :param second: whether a level was measured in the second session
    :return: the three coefficients in seconds, and the ratio of the two sessions
    """
    best = (np.inf, np.zeros(3), 1.0)
    memory = cost[:, 3] * 4 / BANDWIDTH
    for ratio in np.linspace(1.0, 1.3, 301):
        factor = np.where(second, ratio**-0.5, ratio**0.5)
        matrix = cost[:, :3] * (factor / latency)[:, None]
        scale = matrix.max(axis=0)
        coefficients = np.linalg.lstsq(matrix / scale, 1 - memory / latency, rcond=None)[0] / scale
        residual = float(np.sum((matrix @ coefficients - 1 + memory / latency) ** 2))
        if residual < best[0]:
            best = (residual, coefficients, float(ratio))
    return best[1], best[2]


HIGHEST = {'cpu': 1907.2e6, 'gpu': 1109.25e6, 'memory': 1866e6}
MODULE = 'VDD_IN'
MEMORY_LOAD = 0.3
"""Share of the GPU's load that memory has, assumed: it was not measured."""

OUTLIER = ('20W_4CORE', 1)
"""Power mode and instances of a row that is 3 W below those beside it."""


def power_loads(path: Path) -> list[Load]:
    """Return what each row kept busy, at the highest clocks of its power mode."""
    modes = load_board('xavier_nx_simulated').power_modes
    loads = []
    with path.open(encoding='utf-8', newline='') as file:
        for line, row in enumerate(csv.DictReader(file)):
            mode = row['power_mode'].removeprefix('MODE_')
            clocks = {domain: modes[mode].limits[domain][1] for domain in DOMAINS}
            on_gpu = float(row['gpu_percent']) / 100
            busy = {
                'cpu': float(row['cpu_percent']) / 100,
                'gpu': on_gpu,
                'memory': on_gpu * MEMORY_LOAD,
            }
            instances = int(row['instances'])
            # The mode stands for the network, the instances for its size.
            power = {MODULE: float(row['module_power_w'])}
            latency = 1.0 / float(row['throughput_ips'])
            loads.append(Load(Row(line, mode, 'gpu', instances, 0, clocks, latency, power), busy))
    return loads


def is_outlier(load: Load) -> bool:
    """Tell whether a row does not go with the others."""
    return (load.row.network, load.row.image_size) == OUTLIER


def power_fit(loads: Sequence[Load]) -> FittedPower:
    """Return the fit of the module's power, all rows as one network."""
    one = [
        Load(
            Row(r.line, 'frcnn', 'gpu', 0, 0, r.clocks, r.latency, r.power),
            load.activity,
        )
        for load in loads
        for r in (load.row,)
    ]
    return fit_power(one, HIGHEST, [])


def module_power(power: FittedPower, load: Load) -> float:
    """Return the power of the module by a fit, W."""
    watts = power.static[ALL]
    for domain in DOMAINS:
        clock = load.row.clocks[domain]
        knee, rise = power.knee[domain], power.rise[domain]
        volts = 1.0 + rise * max(clock - knee, 0.0) / (HIGHEST[domain] - knee)
        scale = clock / HIGHEST[domain] * (volts / (1.0 + rise)) ** 2
        idle = power.idle_share[domain]
        watts += power.full[domain][ALL] * scale * (idle + (1.0 - idle) * load.activity[domain])
    return watts


def power_left_out(fitted: Sequence[Load], tested: Sequence[Load]) -> list[float]:
    """Return the errors of each row from the rows of all other power modes."""
    errors = []
    for mode in sorted({load.row.network for load in tested}):
        power = power_fit([load for load in fitted if load.row.network != mode])
        errors += [
            module_power(power, load) / load.row.power[MODULE] - 1.0
            for load in tested
            if load.row.network == mode
        ]
    return errors


def main() -> None:
    """Print coefficients and errors."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    parser.add_argument('levels', type=Path, help='JSON file of the published levels')
    parser.add_argument('power', type=Path, nargs='?', help='table of the power modes')
    arguments = parser.parse_args()
    levels = json.loads(arguments.levels.read_text())['levels']
    cost = costs(levels)
    latency = np.array([level['gpu_latency_s'] for level in levels])
    second = np.array([level['set'] == 'nets_7' for level in levels])
    memory = cost[:, 3] * 4 / BANDWIDTH

    def errors(coefficients: np.ndarray, ratio: float) -> np.ndarray:
        factor = np.where(second, ratio**-0.5, ratio**0.5)
        return np.asarray((cost[:, :3] @ coefficients * factor + memory) / latency - 1)

    def report(name: str, error: np.ndarray) -> None:
        print(f'{name}: mean {np.abs(error).mean():.1%}, largest {np.abs(error).max():.1%}')

    coefficients, ratio = fit(cost, latency, second)
    constant, layer, multiply_add = coefficients
    print(f'constant {constant:.5g} s, layer {layer:.5g} s, multiply-add {multiply_add:.5g} s')
    print(f'ratio of the two sessions {ratio:.3f}')
    report('error, session known', errors(coefficients, ratio))
    report('error, session unknown', errors(coefficients, 1.0))
    left_out, left_out_unknown = [], []
    configurations = [json.dumps([level['kernel_size'], level['depth']]) for level in levels]
    for index, configuration in enumerate(configurations):
        keep = np.array([other != configuration for other in configurations])
        fitted, fitted_ratio = fit(cost[keep], latency[keep], second[keep])
        left_out.append(errors(fitted, fitted_ratio)[index])
        left_out_unknown.append(errors(fitted, 1.0)[index])
    report('error, network left out, session known', np.array(left_out))
    report('error, network left out, session unknown', np.array(left_out_unknown))

    # The share that follows the GPU clock, from the two clocks of the motivation figure, for the
    # cost at which the fitted line gives the latency of that figure.
    layers, multiply_adds, parameters = (
        np.interp(ALONE, np.sort(cost[:, :3] @ coefficients + memory), np.sort(column))
        for column in (cost[:, 1], cost[:, 2], cost[:, 3])
    )
    gpu = (ALONE_LOW - ALONE) / (GPU / LOW_GPU - 1)
    launched = constant + layer * layers
    computed = multiply_add * multiply_adds * (1 - MEMORY_SHARE_OF_MULTIPLY_ADDS)
    share = (gpu - computed) / launched
    rest = {part: (1 - share) * value for part, value in REMAINDER.items()}
    print(f'network of {ALONE} s: {layers:.0f} layers, {multiply_adds / 1e6:.0f} M multiply-adds')
    print(f'GPU share of launched work {share:.3f}')
    for name, value in (('constant', constant), ('layer', layer)):
        print(f'{name}: gpu {value * share:.4g} s, rest {value * (1 - share):.4g} s')
    print(f'multiply-add: gpu {multiply_add:.5g} s, of which activation_share goes to memory')
    memory_part = multiply_add * MEMORY_SHARE_OF_MULTIPLY_ADDS
    print(f'parameter: memory {4 / BANDWIDTH:.4g} s')

    # One co-runner, processor sharing of the GPU, which is busy while it waits for memory; the
    # co-runner's load is proportional to 1 / clock. Least relative error.
    waiting = launched * rest['memory'] + memory_part * multiply_adds + parameters * 4 / BANDWIDTH

    def shared(load: float) -> tuple[float, float]:
        errors = []
        for alone, published, ratio in (
            (ALONE, SHARED, 1.0),
            (ALONE_LOW, SHARED_LOW, GPU / LOW_GPU),
        ):
            busy = gpu * ratio + waiting
            errors.append((alone - busy + busy / (1 - load * ratio)) / published - 1)
        return errors[0], errors[1]

    load = min(np.linspace(0.1, 0.5, 401), key=lambda value: sum(e * e for e in shared(value)))
    high, low = shared(load)
    print(f'co-runner load {load:.3f}: error {high:+.1%} at 1109 MHz, {low:+.1%} at 803 MHz')

    compute = (CPU_LATENCY - launched * (1 - share) - parameters * 4 / BANDWIDTH) / multiply_adds
    scaling = launched * rest['host'] + compute * multiply_adds
    slower = CPU_LATENCY + scaling * (CPU / CPU_LOW - 1)
    print(
        f'on the CPU: multiply-add {compute:.4g} s on {CORES} cores; at {CPU_LOW / 1e6:.0f} MHz '
        f'{slower:.3f} s, error {slower / CPU_LATENCY_LOW - 1:+.1%}'
    )
    if arguments.power is not None:
        show_power(arguments.power)


def show_power(path: Path) -> None:
    """Print what the table of power modes comes to."""
    loads = [load for load in power_loads(path) if not is_outlier(load)]
    power = power_fit(loads)
    print(f'static {power.static[ALL]:.4g} W')
    for domain in DOMAINS:
        print(
            f'{domain}: {power.full[domain][ALL]:.4g} W at {HIGHEST[domain] / 1e6:g} MHz, idle '
            f'share {power.idle_share[domain]:.3f}, voltage up {power.rise[domain]:.3f} from '
            f'{power.knee[domain] / 1e6:.0f} MHz'
        )
    errors = np.abs(power_left_out(loads, loads))
    print(f'error, power mode left out: mean {errors.mean():.1%}, largest {errors.max():.1%}')


if __name__ == '__main__':
    main()
