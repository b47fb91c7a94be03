#!/usr/bin/env python3
# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Compute what config/platforms/orin_nano.yaml says is fitted, and the errors.

Usage: calibrate_orin_nano.py latency.csv, a table of latencies by board, framework, network and
image size, at the highest clocks. Latency = constant + multiply-adds x factor, by least relative
squares over YOLOv8 n, s and m.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from dynamic_dnn_ros.profiling.measurements import read_table

BOARD, FRAMEWORK = 'OrinNano-8GB', 'tensorrt'

# Multiply-adds of one picture of 640 x 640: half of the operations that the authors publish.
MULTIPLY_ADDS = {'yolov8n': 4.35e9, 'yolov8s': 14.3e9, 'yolov8m': 39.45e9}


def main() -> None:
    """Print the fitted entries and the errors."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    parser.add_argument('table', type=Path)
    table = read_table(parser.parse_args().table)
    rows = [
        row
        for row in table.rows
        if (row.board, row.framework) == (BOARD, FRAMEWORK) and row.network in MULTIPLY_ADDS
    ]
    work = np.array([MULTIPLY_ADDS[row.network] * (row.image_size / 640) ** 2 for row in rows])
    latency = np.array([row.latency_mean for row in rows])
    matrix = np.stack([np.ones(len(rows)), work], axis=1)
    fitted, *_ = np.linalg.lstsq(matrix / latency[:, None], np.ones(len(rows)), rcond=None)
    errors = np.abs(matrix @ fitted / latency - 1)
    print(f'latency.processors.gpu.rest: {{constant: {fitted[0]:.5g}}}')
    print(f'latency.processors.gpu.gpu: {{multiply_add: {fitted[1]:.5g}}}')
    print(f'# {len(rows)} latencies: mean error {errors.mean():.1%}, largest {errors.max():.1%}')


if __name__ == '__main__':
    main()
