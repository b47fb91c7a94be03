# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dynamic_dnn_ros.management.baselines.weights_file import DeciderFileError
from dynamic_dnn_ros.simulation.decider_training import Training, train
from dynamic_dnn_ros.simulation.runner import run
from support.scenarios import job, mapping


@pytest.fixture(scope='module')
def training() -> Training:
    made = job(mapping(duration=10.0))
    return Training('ztt', made.scenario, made.workloads, 'the fingerprint')


def test_a_stopped_training_gives_the_same(training: Training, tmp_path: Path) -> None:
    whole, parts = tmp_path / 'whole.npz', tmp_path / 'parts.npz'
    assert [each.number for each in train(training, whole, 4)] == [1, 2, 3, 4]
    first = train(training, parts, 4)
    next(first)
    next(first)
    first.close()
    assert [each.number for each in train(training, parts, 4)] == [3, 4]
    assert whole.read_bytes() == parts.read_bytes()
    assert list(train(training, parts, 4)) == []


def test_a_training_of_something_else_is_not_gone_on_with(
    training: Training, tmp_path: Path
) -> None:
    path = tmp_path / 'a.npz'
    list(train(training, path, 1))
    for other, name in (
        (replace(training, seed=1), 'seed'),
        (replace(training, fingerprint='another'), 'scenario'),
    ):
        with pytest.raises(DeciderFileError, match=f'another {name}. Give another --output'):
            next(train(other, path, 2))
    path.write_bytes(b'nothing')
    with pytest.raises(DeciderFileError, match='is no file of a decider'):
        next(train(training, path, 2))
    assert path.read_bytes() == b'nothing'


def test_what_was_trained_serves(training: Training, tmp_path: Path) -> None:
    path = tmp_path / 'a.npz'
    (episode,) = train(training, path, 1)
    assert 0 <= episode.late <= 1 and 2.0 < episode.power < 20.0
    found = run(job(mapping(duration=10.0), 'ztt', decider_file=str(path)))
    again = run(job(mapping(duration=10.0), 'ztt', decider_file=str(path)))
    unlearnt = run(job(mapping(duration=10.0), 'ztt'))
    assert found.energy == again.energy != unlearnt.energy
