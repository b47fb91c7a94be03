# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import torch
from torch import nn

from dynamic_dnn_ros.training.processes import (
    average_gradients,
    process_count,
    process_group,
    process_rank,
)

_SCRIPT = """
import json, sys
import torch
from torch import nn
from dynamic_dnn_ros.training.processes import (
    average_gradients, process_count, process_group, process_rank,
)
network, unused = nn.Linear(2, 1), nn.Linear(2, 1)
with process_group():
    rank = process_rank()
    network.weight.grad = torch.full((1, 2), float(rank))
    network.bias.grad = torch.full((1,), 4.0 * rank)
    clock = average_gradients(nn.ModuleList([network, unused]), 10.0 + rank)
    answer = [rank, process_count(), clock, network.weight.grad.tolist()]
    print(json.dumps([*answer, network.bias.grad.tolist(), unused.weight.grad]))
"""


def test_two_processes_get_the_mean_gradient_and_one_clock():
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        'WORLD_SIZE': '2',
        'MASTER_ADDR': '127.0.0.1',
        'MASTER_PORT': str(port),
    }
    processes = [
        subprocess.Popen(
            [sys.executable, '-c', _SCRIPT],
            env={**environment, 'RANK': str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        rows = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert rows == [[rank, 2, 10.0, [[0.5, 0.5]], [2.0], None] for rank in range(2)]


def test_alone_nothing_changes():
    network = nn.Linear(2, 1)
    network.weight.grad = torch.ones(1, 2)
    with process_group():
        assert (process_rank(), process_count()) == (0, 1)
        assert average_gradients(network, 3.5) == 3.5
    assert network.weight.grad.tolist() == [[1.0, 1.0]]
