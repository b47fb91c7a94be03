# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

"""Two processes that train together, started as torchrun starts them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest
import torch
from torch import nn

from dynamic_dnn_ros.training.processes import (
    average_statistics,
    average_tensors,
    from_first,
    process_count,
    process_group,
    process_rank,
)
from support.shared_data import REPOSITORY

_SCRIPT = """
import hashlib, json, sys
from pathlib import Path
import torch
from torch import nn
torch.set_num_threads(1)
from dynamic_dnn_ros.networks.registry import create
from dynamic_dnn_ros.training.processes import (
    average_tensors, from_first, process_count, process_group, process_rank,
)
from dynamic_dnn_ros.training.space import SuperNetworkSpace
from dynamic_dnn_ros.training.trainer import Trainer
from support.training import colour_pictures, small_network, training_configuration

LAYOUT = {'groups': 2, 'connections': 'earlier', 'resolution': 32, 'classes': 10,
          'layers': [{'width': 4, 'stride': 2}, {'width': 8, 'stride': 2}]}

def digest_of(network):
    # With the batch-norm statistics where these belong to the weights.
    return hashlib.sha256(
        b''.join(array.tobytes() for array in network.state().values())
    ).hexdigest()

inputs, targets = torch.randn((2, 8, 4), generator=torch.Generator().manual_seed(0))
torch.manual_seed(0)
layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(2, 1)])
with process_group():
    rank = process_rank()
    layers[0](inputs[rank::2]).sub(targets[rank::2]).square().mean().backward()
    average_tensors([p.grad for p in layers.parameters() if p.grad is not None])
    # Only the first of several machines has the work folder.
    folder = Path(sys.argv[1]) / str(rank)
    digests = []
    for _ in range(2):
        network = small_network()
        phases = [
            {'name': 'largest', 'rule': 'largest', 'epochs': 1, 'learning_rate': 0.02},
            {'name': 'all', 'rule': 'sampled', 'teacher': 'largest', 'epochs': 1,
             'learning_rate': 0.02},
        ]
        trainer = Trainer(
            SuperNetworkSpace(network), training_configuration(folder, phases=phases)
        )
        trainer.train(colour_pictures(33), quiet=True)
        digests.append(digest_of(network))
    groups, frozen = [], []
    for count in (1, 2):
        torch.manual_seed(0)
        network = create('incremental_group', LAYOUT)
        phases = [
            {'name': f'group {group}', 'rule': 'largest', 'epochs': 1, 'learning_rate': 0.02,
             'within': {'groups': [group]}, 'freeze': {'groups': group - 1} if group > 1 else {}}
            for group in (1, 2)
        ]
        configuration = training_configuration(folder / 'groups', phases=phases[:count])
        Trainer(SuperNetworkSpace(network), configuration).train(colour_pictures(33), quiet=True)
        groups.append(digest_of(network))
        frozen.append(network.extract(network.smallest())(torch.ones(1, 3, 32, 32)).tolist())
    print(json.dumps({
        'rank': rank,
        'count': process_count(),
        'gradient': layers[0].weight.grad.tolist(),
        'unused': layers[1].weight.grad,
        'first': from_first(10.0 + rank),
        'digests': digests,
        'groups': groups,
        'frozen': frozen,
        'epochs': trainer.epochs,
        'folder': folder.exists(),
    }))
"""


@pytest.fixture(scope='module')
def answers(tmp_path_factory):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        'WORLD_SIZE': '2',
        'MASTER_ADDR': '127.0.0.1',
        'MASTER_PORT': str(port),
        'PYTHONPATH': os.pathsep.join(
            [str(REPOSITORY / 'test'), os.environ.get('PYTHONPATH', '')]
        ),
        'CUDA_VISIBLE_DEVICES': '',
    }
    folder = tmp_path_factory.mktemp('processes')
    processes = [
        subprocess.Popen(
            [sys.executable, '-c', _SCRIPT, str(folder)],
            # The source tree must not come before the installed package.
            cwd=folder,
            env={**environment, 'RANK': str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        return [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_both_know_their_place(answers):
    assert [(answer['rank'], answer['count']) for answer in answers] == [(0, 2), (1, 2)]
    assert [answer['first'] for answer in answers] == [10.0, 10.0]


def test_the_mean_gradient_is_that_of_one_process_with_all_pictures(answers):
    inputs, targets = torch.randn((2, 8, 4), generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    layer = nn.Linear(4, 4)
    layer(inputs).sub(targets).square().mean().backward()
    for answer in answers:
        torch.testing.assert_close(torch.tensor(answer['gradient']), layer.weight.grad)
        assert answer['unused'] is None


def test_both_end_with_the_same_weights_and_resume_from_the_first_one_s_checkpoint(answers):
    first, second = answers
    assert first['digests'] == second['digests']
    # A finished training that is called again takes its weights from the checkpoint.
    assert len(set(first['digests'])) == 1
    assert first['epochs'] == second['epochs'] == 2
    assert (first['folder'], second['folder']) == (True, False)


def test_both_have_the_same_statistics_where_these_are_weights(answers):
    first, second = answers
    assert first['groups'] == second['groups']
    assert first['groups'][0] != first['groups'][1]
    # A group that was frozen is what it was, bit for bit.
    assert first['frozen'][0] == first['frozen'][1] == second['frozen'][0]


def test_alone_nothing_changes():
    network = nn.Linear(2, 1)
    network.weight.grad = torch.ones(1, 2)
    with process_group():
        assert (process_rank(), process_count()) == (0, 1)
        average_tensors([network.weight.grad])
        average_statistics(network)
        assert from_first(3.5) == 3.5
    assert network.weight.grad.tolist() == [[1.0, 1.0]]
