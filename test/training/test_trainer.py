# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json

import pytest
import torch

from dynamic_dnn_ros.training.batches import Normalisation
from dynamic_dnn_ros.training.evaluation import accuracy, recalibrate
from dynamic_dnn_ros.training.trainer import CheckpointError, Trainer
from support.training import colour_pictures, small_network, training_configuration


class _KilledError(Exception):
    """Stands for the kill, which no code of the trainer sees coming."""


def _train(configuration, kill_at_step=None):
    network = small_network()
    trainer = Trainer(network, configuration)
    if kill_at_step is not None:
        steps = iter(range(kill_at_step))
        backward = trainer._sandwich.backward

        def killed(*arguments):
            if next(steps, None) is None:
                raise _KilledError
            return backward(*arguments)

        trainer._sandwich.backward = killed
    trainer.train(colour_pictures(100), quiet=True)
    return network


@pytest.mark.parametrize('kill_at_step', [2, 7, 14])
def test_resumed_after_a_kill_ends_with_the_same_weights(tmp_path, kill_at_step):
    whole = _train(training_configuration(tmp_path / 'whole', epochs=4))
    configuration = training_configuration(tmp_path / 'killed', epochs=4)
    with pytest.raises(_KilledError):
        _train(configuration, kill_at_step)
    resumed = _train(configuration)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_a_kill_while_writing_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    configuration = training_configuration(tmp_path, epochs=1)
    _train(configuration)
    before = (configuration.work / 'checkpoint.pt').read_bytes()

    def killed(state, stream):
        stream.write(b'half a checkpoint')
        raise _KilledError

    monkeypatch.setattr(torch, 'save', killed)
    with pytest.raises(_KilledError):
        _train(training_configuration(tmp_path, epochs=2))
    assert (configuration.work / 'checkpoint.pt').read_bytes() == before


def test_a_finished_training_is_not_continued(tmp_path):
    configuration = training_configuration(tmp_path)
    first = _train(configuration)
    again = _train(configuration, kill_at_step=0)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters()))


def test_training_learns_and_logs(tmp_path):
    configuration = training_configuration(tmp_path, epochs=6)
    pictures = colour_pictures(300)
    network = small_network()
    Trainer(network, configuration).train(pictures, quiet=True)
    rows = [json.loads(row) for row in (configuration.work / 'training.jsonl').open()]
    assert [row['epoch'] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[-1]['loss'] < 0.7 * rows[0]['loss']
    normalisation = Normalisation(configuration.mean, configuration.standard_deviation)
    for configured in (network.smallest(), network.largest()):
        module = network.extract(configured)
        recalibrate(module, pictures, configured.resolution, normalisation)
        unseen = colour_pictures(100, seed=1)
        assert accuracy(module, unseen, configured.resolution, normalisation) > 0.7


def test_a_budget_of_time_ends_the_training_within_an_epoch(tmp_path):
    configuration = training_configuration(tmp_path, epochs=0, seconds=0.5)
    trainer = Trainer(small_network(), configuration)
    trainer.train(colour_pictures(2000), quiet=True)
    assert trainer.seconds >= 0.5
    assert Trainer(small_network(), configuration)._progress(0.0) == 0.0


def test_learning_rate_rises_then_falls_to_nothing(tmp_path):
    trainer = Trainer(small_network(), training_configuration(tmp_path, warm_up=0.1))
    rates = [trainer._schedule(step / 100) for step in range(101)]
    assert rates[0] < 0.05
    assert max(rates) == rates[10] == 1.0
    assert rates[100] < 1e-6
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    configuration = training_configuration(tmp_path, epochs=1)
    _train(configuration)
    with pytest.raises(CheckpointError, match='another network'):
        Trainer(small_network(), training_configuration(tmp_path, family='nonesuch')).train(
            colour_pictures(40), quiet=True
        )


@pytest.mark.parametrize('content', [b'', b'garbage', b'cos\nsystem\n(S"false"\ntR.'])
def test_a_broken_checkpoint_is_refused_and_runs_nothing(tmp_path, content):
    configuration = training_configuration(tmp_path)
    configuration.work.mkdir(parents=True)
    (configuration.work / 'checkpoint.pt').write_bytes(content)
    with pytest.raises(CheckpointError, match='cannot be read'):
        _train(configuration)
