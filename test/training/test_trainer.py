# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import os
from pathlib import Path
import resource
import signal
import subprocess
import sys
import time

import pytest
import torch
import yaml

from dynamic_dnn_ros.datasets.contract import DataError
from dynamic_dnn_ros.networks.contract import ConfigurationError
from dynamic_dnn_ros.networks.registry import create
from dynamic_dnn_ros.training.checkpoint import CheckpointError, locked, read_state
from dynamic_dnn_ros.training.configuration import (
    TrainingConfiguration,
    TrainingConfigurationError,
)
from dynamic_dnn_ros.training.links.exchange import Whole
from dynamic_dnn_ros.training.pictures import read_pictures
from dynamic_dnn_ros.training.space import AloneSpace, SuperNetworkSpace
from dynamic_dnn_ros.training.trainer import DivergenceError, Trainer
from support.training import (
    colour_pictures,
    small_network,
    training_configuration,
    training_mapping,
    write_folder,
)

#: Every rule, a teacher, a space that grows, channels sorted in between: five epochs.
PHASES = [
    {
        'name': 'largest',
        'rule': 'largest',
        'epochs': 2,
        'warm_up': 0.5,
        'learning_rate': 0.02,
        'within': {'resolution': [24]},
    },
    {
        'name': 'depth',
        'rule': 'sampled',
        'epochs': 2,
        'learning_rate': 0.02,
        'within': {'expand_ratio': [3]},
        'teacher': 'largest',
        'sort_channels': True,
    },
    {'name': 'all', 'rule': 'sandwich', 'epochs': 1, 'learning_rate': 0.02, 'sampled': 0},
]
STEPS = 2
PICTURES = colour_pictures(16)


class _KilledError(Exception):
    """Stands for the kill, which no code of the trainer sees coming."""


@pytest.fixture
def configuration(tmp_path):
    return training_configuration(
        tmp_path, phases=PHASES, augmentation=[{'RandomCrop': {'size': 32, 'padding': 2}}]
    )


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp('uninterrupted')
    configuration = training_configuration(
        folder, phases=PHASES, augmentation=[{'RandomCrop': {'size': 32, 'padding': 2}}]
    )
    return _train(configuration).state_dict()


def _train(configuration, pictures=PICTURES, **arguments):
    network = small_network()
    Trainer(SuperNetworkSpace(network), configuration).train(pictures, quiet=True, **arguments)
    return network


def _assert_same(state, expected):
    for name, tensor in expected.items():
        assert torch.equal(state[name], tensor), name


def _kill_at(monkeypatch, step):
    steps = iter(range(step))

    def killed(_exchange, _parameters):
        if next(steps, None) is None:
            raise _KilledError

    monkeypatch.setattr(Whole, 'average', killed)


@pytest.mark.parametrize('step', [1, 2 * STEPS, 3 * STEPS + 1, 4 * STEPS, 5 * STEPS - 1])
def test_resumed_after_a_kill_ends_with_the_same_weights(
    configuration, uninterrupted, monkeypatch, step
):
    with monkeypatch.context() as context:
        _kill_at(context, step)
        with pytest.raises(_KilledError):
            _train(configuration)
    _assert_same(_train(configuration).state_dict(), uninterrupted)
    rows = [json.loads(row) for row in (configuration.work / 'training.jsonl').open()]
    assert [row['epoch'] for row in rows] == [1, 2, 3, 4, 5]


@pytest.fixture
def one_thread():
    """Compute as the command does with one thread: sums of two come out otherwise."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures('one_thread')
def test_a_killed_process_is_resumed_by_another(tmp_path):
    """The real thing: SIGKILL somewhere in an epoch."""
    write_folder(tmp_path / 'train', colour_pictures(40))
    write_folder(tmp_path / 'test', colour_pictures(10, seed=1))
    mapping = training_mapping(
        tmp_path, held_out=16, phases=[{**PHASES[0], 'epochs': 6}, PHASES[1]]
    )
    path = tmp_path / 'colours.yaml'
    path.write_text(yaml.safe_dump(mapping))
    log = tmp_path / 'work' / 'training.jsonl'
    process = subprocess.Popen(
        [sys.executable, '-m', 'dynamic_dnn_ros.cli.main', 'train', str(path), '--quiet'],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while not (log.exists() and len(log.read_text().splitlines()) >= 2):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    assert not (tmp_path / 'bundle').exists()
    trained = len(log.read_text().splitlines())
    states = []
    for work in (mapping['work'], str(tmp_path / 'whole')):
        configuration = TrainingConfiguration.from_mapping({**mapping, 'work': work})
        torch.manual_seed(configuration.seed)
        network = create(configuration.family, configuration.layout)
        pictures, _ = read_pictures(configuration.training_data, quiet=True).split(16, 0)
        trainer = Trainer(SuperNetworkSpace(network), configuration)
        trainer.train(pictures, quiet=True)
        assert trainer.epochs == 8
        states.append(network.state_dict())
    _assert_same(*states)
    assert trained < len(log.read_text().splitlines()) == 8


def test_a_disk_that_fills_costs_one_epoch(configuration, uninterrupted, monkeypatch):
    with monkeypatch.context() as context:
        _kill_at(context, 3 * STEPS)
        with pytest.raises(_KilledError):
            _train(configuration)
    path = configuration.work / 'checkpoint.pt'
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(CheckpointError, match=r'checkpoint.pt cannot be written'):
            _train(configuration)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    _assert_same(_train(configuration).state_dict(), uninterrupted)


def test_a_finished_training_is_not_continued(configuration, uninterrupted, monkeypatch):
    _train(configuration)
    _kill_at(monkeypatch, 0)
    _assert_same(_train(configuration).state_dict(), uninterrupted)


def test_phases_that_have_not_begun_may_be_changed(tmp_path, monkeypatch):
    configuration = training_configuration(tmp_path, phases=PHASES)
    with monkeypatch.context() as context:
        _kill_at(context, 2 * STEPS + 1)
        with pytest.raises(_KilledError):
            _train(configuration)
    begun, *later = PHASES
    changed = [begun, {**later[0], 'epochs': 1}, later[1]]
    trainer = Trainer(
        SuperNetworkSpace(small_network()), training_configuration(tmp_path, phases=changed)
    )
    trainer.train(PICTURES, quiet=True)
    assert trainer.epochs == 4


def test_what_was_trained_otherwise_is_refused(tmp_path, monkeypatch):
    configuration = training_configuration(tmp_path, phases=PHASES)
    _kill_at(monkeypatch, STEPS + 1)
    with pytest.raises(_KilledError):
        _train(configuration)
    changed = [{**PHASES[0], 'learning_rate': 0.3}, *PHASES[1:]]
    with pytest.raises(CheckpointError, match="phase 'largest' was given otherwise.*remove it"):
        _train(training_configuration(tmp_path, phases=changed))
    network = small_network()
    alone = Trainer(AloneSpace(network, network.smallest()), configuration)
    with pytest.raises(CheckpointError, match='another network'):
        alone.train(PICTURES, quiet=True)


@pytest.mark.parametrize('name', ['seed', 'pictures'])
def test_pictures_that_were_held_out_before_are_not_mixed_with_others(tmp_path, name):
    _train(training_configuration(tmp_path))
    changes = {'seed': 1} if name == 'seed' else {}
    pictures = colour_pictures(24) if name == 'pictures' else PICTURES
    with pytest.raises(CheckpointError, match=f'was trained with {name}'):
        _train(training_configuration(tmp_path, **changes), pictures)


def test_a_training_with_fewer_phases_is_refused(tmp_path):
    _train(training_configuration(tmp_path))
    fewer = training_configuration(tmp_path).phases[:1]
    trainer = Trainer(SuperNetworkSpace(small_network()), training_configuration(tmp_path), fewer)
    with pytest.raises(CheckpointError, match='more phases'):
        trainer.train(PICTURES, quiet=True)


def test_a_lost_teacher_is_named(tmp_path, monkeypatch):
    configuration = training_configuration(tmp_path, phases=PHASES)
    _kill_at(monkeypatch, 3 * STEPS)
    with pytest.raises(_KilledError):
        _train(configuration)
    (configuration.work / 'teacher_0.pt').unlink()
    with pytest.raises(CheckpointError, match=r'teacher_0.pt is missing'):
        _train(configuration)


def test_a_broken_checkpoint_is_refused(configuration):
    configuration.work.mkdir(parents=True)
    (configuration.work / 'checkpoint.pt').write_bytes(b'garbage')
    with pytest.raises(CheckpointError, match='cannot be read'):
        _train(configuration)


def test_two_trainings_in_one_folder_are_refused(configuration):
    with locked(configuration.work), pytest.raises(CheckpointError, match='another training'):
        _train(configuration)


@pytest.mark.parametrize('name', ['within', 'freeze'])
def test_values_that_the_network_does_not_have_are_refused_at_once(tmp_path, name):
    value = {'within': {'depth': [7]}, 'freeze': {'depth': 7}}[name]
    configuration = training_configuration(tmp_path, phases=[{**PHASES[0], name: value}])
    with pytest.raises(ConfigurationError, match='depth is 7'):
        Trainer(SuperNetworkSpace(small_network()), configuration)


def test_a_phase_that_freezes_what_cannot_be_frozen_is_refused_at_once(tmp_path):
    phases = [PHASES[0], {**PHASES[2], 'freeze': {'depth': 1}}]
    configuration = training_configuration(tmp_path, phases=phases)
    with pytest.raises(ConfigurationError, match='freeze is'):
        Trainer(SuperNetworkSpace(small_network()), configuration)


@pytest.mark.parametrize('rule', ['largest', 'sampled', 'sandwich'])
def test_a_phase_that_freezes_all_that_it_should_train_is_refused_at_once(tmp_path, rule):
    phase = {'name': 'group 2', 'rule': rule, 'epochs': 1, 'learning_rate': 0.02}
    for groups, refused in (([1, 2], rule != 'largest'), ([2], False), ([1], True)):
        network = create('incremental_group', 'incremental_group_32x32')
        phases = [{**phase, 'within': {'groups': groups}, 'freeze': {'groups': 1}}]
        configuration = training_configuration(tmp_path, phases=phases)
        space = SuperNetworkSpace(network)
        if refused:
            message = "phase 'group 2': freeze is .* nothing to train .*'groups': 1"
            with pytest.raises(TrainingConfigurationError, match=message):
                Trainer(space, configuration)
        else:
            Trainer(space, configuration)
            assert network.training


def test_a_training_that_diverges_ends_with_the_checkpoint_of_the_epoch_before(tmp_path):
    phases = [
        {'name': 'largest', 'rule': 'largest', 'epochs': 1, 'learning_rate': 0.02},
        {'name': 'wild', 'rule': 'largest', 'epochs': 2, 'learning_rate': 1e38},
    ]
    configuration = training_configuration(tmp_path, phases=phases, gradient_limit=1e30)
    with pytest.raises(DivergenceError, match="phase 'wild' diverged in epoch 1: .*learning_rate"):
        _train(configuration)
    state = read_state(configuration.work / 'checkpoint.pt')
    assert (state['epochs'], state['phase'], state['epoch']) == (1, 1, 0)
    assert all(tensor.isfinite().all() for tensor in state['network'].values())


def test_pictures_that_differ_in_size_are_refused_before_training(configuration, monkeypatch):
    _kill_at(monkeypatch, 0)
    monkeypatch.setattr(type(PICTURES), 'sizes', lambda _: [(32, 32, 0), (64, 32, 1)])
    configuration = training_configuration(configuration.work.parent)
    with pytest.raises(DataError, match='add RandomResizedCrop'):
        _train(configuration)
    assert not Path(configuration.work).exists()


def test_frozen_groups_stay_what_they_are_bit_for_bit(tmp_path):
    phases = [
        {
            'name': f'group {group}',
            'rule': 'largest',
            'epochs': 1,
            'learning_rate': 0.02,
            'within': {'groups': [group]},
            'freeze': {'groups': group - 1} if group > 1 else {},
        }
        for group in (1, 2)
    ]
    images = torch.randn(4, 3, 32, 32)
    outputs = []
    for count in (1, 2):
        torch.manual_seed(0)
        network = create('incremental_group', 'incremental_group_32x32')
        configuration = training_configuration(tmp_path, phases=phases[:count])
        Trainer(SuperNetworkSpace(network), configuration).train(PICTURES, quiet=True)
        outputs.append([network.extract(each)(images) for each in network.landmarks()[:2]])
    assert torch.equal(outputs[0][0], outputs[1][0])
    assert not torch.allclose(outputs[0][1], outputs[1][1])


def test_training_learns_and_the_log_says_so(tmp_path):
    phases = [
        {'name': 'largest', 'rule': 'largest', 'epochs': 2, 'learning_rate': 0.05},
        {'name': 'all', 'rule': 'sandwich', 'epochs': 4, 'learning_rate': 0.05, 'sampled': 0},
    ]
    configuration = training_configuration(
        tmp_path, phases=phases, evaluation_pictures=100, batch_size=20
    )
    pictures = colour_pictures(240)
    network = _train(configuration, pictures, held_out=colour_pictures(100, seed=1))
    rows = [json.loads(row) for row in (configuration.work / 'training.jsonl').open()]
    assert [row['phase'] for row in rows] == ['largest'] * 2 + ['all'] * 4
    assert rows[-1]['loss'] < 0.7 * rows[0]['loss']
    assert rows[-1]['learning_rate'] < 0.01
    assert rows[-1]['pictures_per_second'] > 0.0
    assert rows[-1]['accuracy_largest'] > 0.7
    assert rows[-1]['accuracy_smallest'] > 0.5
    assert rows[-1]['seconds'] > rows[0]['seconds'] > 0.0
    assert network.training
    assert os.listdir(configuration.work / 'tensorboard')
