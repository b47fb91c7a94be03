# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A process that is lost in the middle of an epoch, and those that are left."""

from __future__ import annotations

import contextlib
import os

import pytest
import torch

from dynamic_dnn_ros.training.links.exchange import TopK, Whole
from dynamic_dnn_ros.training.processes import is_lost, process_rank
from dynamic_dnn_ros.training.space import SuperNetworkSpace
from dynamic_dnn_ros.training.trainer import Trainer
from support.process_group import together
from support.training import colour_pictures, small_network, training_configuration

STEPS = 4
"""Of an epoch of two processes."""


def _trained(folder, compression, lost_at=None):
    """Return a function that trains in one of two processes, the last of which is lost."""

    def train(rank):
        steps = 0
        for kind in (TopK, Whole):
            average = kind.average

            def counted(exchange, parameters, average=average):
                nonlocal steps
                if steps == lost_at and process_rank() == 1:
                    os._exit(1)
                steps += 1
                average(exchange, parameters)

            kind.average = counted
        network = small_network()
        # Each on a computer of its own.
        configuration = training_configuration(folder / str(rank), compression=compression)
        trainer = Trainer(SuperNetworkSpace(network), configuration)
        lost = pytest.raises(RuntimeError) if lost_at else contextlib.nullcontext()
        with lost as raised:
            trainer.train(colour_pictures(64), quiet=True)
        assert raised is None or is_lost(raised.value)
        return network.state_dict(), trainer.epochs, steps

    return train


def _run(tmp_path, name, *arguments):
    meeting = tmp_path / name
    meeting.mkdir()
    return together(meeting, _trained(*arguments))


@pytest.mark.parametrize(('compression', 'lost_at'), [('none', STEPS + 1), ('top_k', STEPS - 1)])
def test_a_lost_process_costs_its_step_and_nothing_else(tmp_path, compression, lost_at):
    work = tmp_path / 'work'
    (_, epochs, _), lost = _run(tmp_path, 'first', work, compression, lost_at)
    assert (epochs, lost) == (lost_at // STEPS, None)
    assert (work / '0' / 'work' / 'step_0.pt').exists()
    (first, epochs, steps), (second, _, _) = _run(tmp_path, 'again', work, compression)
    assert epochs == 2
    assert steps == 2 * STEPS - lost_at
    assert not list(work.rglob('step_*.pt'))
    expected = second
    if compression == 'none':
        # Of top_k, what the lost one had yet to send is lost.
        expected = _run(tmp_path, 'whole', tmp_path / 'whole work', compression)[0][0]
    for name, tensor in expected.items():
        # Statistics of batch norm are each process's own until an epoch ends.
        assert torch.equal(tensor, first[name]) or 'running' in name, name
