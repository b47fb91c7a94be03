# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Small scenarios on a simulated Xavier NX, and what is needed to run them; no ROS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dynamic_dnn_ros.cli.simulate import levels
from dynamic_dnn_ros.simulation.runner import Job, boards_of, run
from dynamic_dnn_ros.simulation.runs import Run
from dynamic_dnn_ros.simulation.scenario import Scenario
from dynamic_dnn_ros.simulation.workloads import workloads

FRONT = '/front/inference_node'
REAR = '/rear/inference_node'

NETWORK = {
    'sub_networks': [
        {
            'id': f's{index}',
            'accuracy': 0.70 + 0.03 * index,
            'multiply_adds': 240_000_000 + 120_000_000 * index,
            'layers': 54 + 9 * index,
            'parameters': 5_400_000 + 1_000_000 * index,
        }
        for index in range(4)
    ]
}
"""A network inside what the model of the board was calibrated on: 34 to 56 ms."""


def application(name: str = FRONT, rate: float = 12.0, **fields: Any) -> dict[str, Any]:
    """Return one application of a scenario file."""
    target = {'at': 0.5, 'latency': 0.075, 'accuracy': 0.72, 'rate': rate}
    return {
        'id': name,
        'network': NETWORK,
        'camera': {'rate': rate, 'jitter': 0.02},
        'targets': [target],
        **fields,
    }


def mapping(*applications: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return the data of a scenario file: one application, 20 s, unless told otherwise."""
    return {
        'name': 'test',
        'platform': {'board': 'xavier_nx_simulated'},
        'duration': 20.0,
        'measured_from': 5.0,
        'seed': 3,
        'applications': list(applications) or [application()],
        **fields,
    }


def job(data: dict[str, Any], manager: str = 'dynamic_dnn', **fields: Any) -> Job:
    """Return a run to be made."""
    scenario = Scenario.from_mapping(data)
    board = boards_of(scenario)(scenario.power_mode)
    return Job(scenario, workloads(scenario, board, Path('.'), levels), manager, **fields)


def simulated(data: dict[str, Any], manager: str = 'dynamic_dnn', **fields: Any) -> Run:
    """Return the run of a scenario."""
    return run(job(data, manager, **fields))
