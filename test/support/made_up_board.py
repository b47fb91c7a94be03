# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tables of boards that are made up, by the laws that boards follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from dynamic_dnn_ros.platforms.board_model import overlapped
from dynamic_dnn_ros.platforms.calibration.table import Row
from dynamic_dnn_ros.yaml_files import read_yaml

CPU = (0.4e9, 0.8e9, 1.2e9, 1.6e9, 2.0e9)
GPU = tuple(float(clock) for clock in np.linspace(0.115e9, 1.3e9, 13))
MEMORY = (0.408e9, 0.8e9, 1.331e9, 1.866e9)
ROOT = Path(__file__).resolve().parents[2]


def known_board() -> Mapping[str, Any]:
    """Return the file of the board that gives what a table does not say."""
    mapping: Mapping[str, Any] = read_yaml(ROOT / 'config' / 'platforms' / 'orin_nx.yaml')
    return mapping


def gpu_and_memory(exponent: float = 3.0, network: str = 'net', noise: float = 0.0) -> list[Row]:
    """Return a network over the clocks of GPU and memory, with the power of the module."""
    generator = np.random.default_rng(1)
    rows = []
    for gpu, memory in product(GPU, MEMORY):
        compute = overlapped(0.03 * GPU[-1] / gpu, 0.018 * MEMORY[-1] / memory, exponent)
        latency = (compute + 0.006) * float(np.exp(noise * generator.standard_normal()))
        busy = compute / latency
        volts = 1.0 + 0.3 * max(gpu / GPU[-1] - 0.5, 0.0) / 0.5
        watts = 2.0 + 5.0 * gpu / GPU[-1] * volts**2 * (0.2 + 0.8 * busy) + memory / MEMORY[-1]
        clocks = {'gpu': gpu, 'memory': memory}
        rows.append(Row(len(rows), network, 'gpu', 0, 0, clocks, latency, power={'VDD_IN': watts}))
    return rows


def cpu_and_gpu_at_one_memory_clock(noise: float = 0.0) -> list[Row]:
    """Return a network that waits for GPU or memory, and whose CPU time adds."""
    generator = np.random.default_rng(3)
    rows = []
    for cpu, gpu in product(CPU, GPU):
        compute = overlapped(0.015 * GPU[-1] / gpu, 0.02, 3.0)
        latency = compute + 0.004 * CPU[-1] / cpu + 0.002
        latency *= float(np.exp(noise * generator.standard_normal()))
        rows.append(Row(len(rows), 'net', 'gpu', 0, 0, {'cpu': cpu, 'gpu': gpu}, latency))
    return rows


def cpu_and_gpu(noise: float = 0.0) -> list[Row]:
    """Return a network whose kernels are launched while the GPU works."""
    generator = np.random.default_rng(2)
    rows = []
    for cpu, gpu in product(CPU, GPU):
        working = overlapped(0.02 * GPU[-1] / gpu, 0.015 * CPU[-1] / cpu, 6.0)
        latency = working + 0.004 * CPU[-1] / cpu + 0.002
        latency *= float(np.exp(noise * generator.standard_normal()))
        rows.append(Row(len(rows), 'net', 'gpu', 0, 0, {'cpu': cpu, 'gpu': gpu}, latency))
    return rows


def write(path: Path, rows: Sequence[Row]) -> Path:
    """Write rows as a table of latency and the power of the module."""
    domains = [d for d in ('cpu', 'gpu', 'memory') if d in rows[0].clocks]
    columns = ['network', *(f'{domain}_hz' for domain in domains), 'latency_s', 'power_VDD_IN_w']
    lines = [','.join(columns)]
    for row in rows:
        cells = [row.network, *(row.clocks[d] for d in domains), row.latency]
        lines.append(','.join(map(str, [*cells, row.power.get('VDD_IN', '')])))
    path.write_text('\n'.join(lines) + '\n', encoding='utf-8')
    return path
