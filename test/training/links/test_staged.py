# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Networks that run in stages, one in each process."""

from __future__ import annotations

import dataclasses
from pathlib import Path
import random

import numpy as np
import pytest
import torch

from dynamic_dnn_ros.training.arithmetic import Arithmetic
from dynamic_dnn_ros.training.configuration import (
    Precision,
    Rule,
    TrainingConfigurationError,
)
from dynamic_dnn_ros.training.links import planning
from dynamic_dnn_ros.training.links.placement import Placement
from dynamic_dnn_ros.training.links.ratios import Links
from dynamic_dnn_ros.training.links.settings import Compression, Method, PlacementMode
from dynamic_dnn_ros.training.links.staged import StagedStep
from dynamic_dnn_ros.training.space import SuperNetworkSpace
from dynamic_dnn_ros.training.tasks.classification import ClassificationTraining
from dynamic_dnn_ros.training.trainer import Trainer
from support.process_group import together
from support.training import PHASES, colour_pictures, small_network, training_configuration

PARTS = 8


def _configuration(folder: Path, **changes):
    configuration = training_configuration(folder, threads=1)
    return dataclasses.replace(configuration, averaging=0.9, **{'gradient_limit': 1e9, **changes})


def _staged(network, workers, ends, limit):
    placement = Placement('pipeline', 1.0, ends, workers, (1.0,) * len(ends))
    configuration = _configuration(Path(), gradient_limit=limit)
    arithmetic = Arithmetic(torch.device('cpu'), Precision.FLOAT32)
    step = StagedStep(network, network.largest(), placement, configuration, arithmetic)
    return step, step.batches(ClassificationTraining(), configuration, colour_pictures(64))


def _gradients(network):
    return {n: p.grad.clone() for n, p in network.named_parameters() if p.grad is not None}


def _one_step(workers, ends, limit=1e9):
    def run(rank):
        network = small_network().train()
        step, batches = _staged(network, workers, ends, limit)
        loss = step.backward(next(iter(batches.batches(0))), random.Random(0))
        return loss, _gradients(network)

    return run


def _expected(pipelines, stages):
    """Return loss and gradients of the network whole, given the same parts of the same batch."""
    network = small_network().train()
    configuration = dataclasses.replace(_configuration(Path()), batch_size=8 * stages)
    size = network.largest().size
    losses = []
    for rank in range(pipelines):
        task = ClassificationTraining()
        batches = task.batches(
            configuration, colour_pictures(64), torch.device('cpu'), rank, pipelines
        )
        lesson = next(iter(batches.batches(0))).at(size)
        network.activate(network.largest())
        for inputs, labels in zip(lesson.inputs.chunk(PARTS), lesson.labels.chunk(PARTS)):
            loss = lesson.of(None, labels).loss(network(inputs)) / PARTS / pipelines
            loss.backward()
            losses.append(loss.item())
    return sum(losses), _gradients(network)


@pytest.mark.parametrize(
    ('workers', 'ends'),
    [(((0,), (1,)), ('stages.0',)), (((0, 3), (1, 2)), ('stages.0',))],
    ids=['pipeline', 'two pipelines'],
)
def test_stages_have_the_gradients_of_the_whole_network(tmp_path, workers, ends):
    answers = together(tmp_path, _one_step(workers, ends), sum(map(len, workers)))
    expected_loss, expected = _expected(len(workers[0]), len(workers))
    found = {}
    for group in workers:
        of_group = [answers[rank][1] for rank in group]
        for each in of_group[1:]:
            assert each.keys() == of_group[0].keys()
            assert all(torch.equal(each[name], of_group[0][name]) for name in each)
        assert not found.keys() & of_group[0].keys()
        found.update(of_group[0])
    assert {round(loss, 6) for loss, _ in answers} == {round(answers[0][0], 6)}
    assert answers[0][0] == pytest.approx(expected_loss, rel=1e-4)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-5)


def test_the_norm_of_all_gradients_together_is_limited(tmp_path):
    answers = together(tmp_path, _one_step(((0,), (1,)), ('stages.1',), limit=0.5))
    squares = sum(float((each**2).sum()) for _, found in answers for each in found.values())
    assert squares**0.5 == pytest.approx(0.5, rel=1e-3)


def _links(*_):
    return Links.uniform(2, 1e9)


def _trained(folder, compression=Method.NONE):
    def run(rank):
        planning.measure_links = _links
        configuration = _configuration(
            folder / 'work',
            placement=PlacementMode.PIPELINE,
            compression=Compression(compression, ratio=4.0),
            phases=(dataclasses.replace(PHASES[0], epochs=4, learning_rate=0.05),),
            work=folder / f'work_{rank}',
        )
        network = small_network()
        trainer = Trainer(SuperNetworkSpace(network), configuration)
        trainer.train(colour_pictures(160), quiet=True)
        momenta = trainer._optimizer.state_dict()['state']
        return network.state(), {n: each['momentum_buffer'] for n, each in momenta.items()}

    return run


@pytest.mark.parametrize('compression', [Method.NONE, Method.TOP_K])
def test_a_training_in_stages_leaves_the_same_everywhere_and_learns(tmp_path, compression):
    (first, momenta), (second, others) = together(tmp_path, _trained(tmp_path, compression))
    before = small_network().state()
    assert any(not np.array_equal(first[name], before[name]) for name in first)
    assert [name for name in first if not np.array_equal(first[name], second[name])] == []
    assert momenta.keys() == others.keys() and momenta
    assert all(torch.equal(momenta[n], others[n]) for n in momenta)
    rows = (tmp_path / 'work_0' / 'training.jsonl').read_text().splitlines()
    losses = [float(row.split('"loss": ')[1].split(',')[0]) for row in rows]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'rule': Rule.SANDWICH, 'sampled': 0}, 'tensors of one shape'),
        ({'only': ('classifier',)}, 'something to train'),
    ],
)
def test_what_cannot_run_in_stages_is_refused_by_name(tmp_path, monkeypatch, changes, reason):
    monkeypatch.setattr(planning, 'process_count', lambda: 2)
    phase = dataclasses.replace(PHASES[0], **changes)
    space = SuperNetworkSpace(small_network())
    arithmetic = Arithmetic(torch.device('cpu'), Precision.FLOAT32)
    configuration = _configuration(tmp_path, placement=PlacementMode.PIPELINE)
    task = ClassificationTraining()
    with pytest.raises(TrainingConfigurationError, match=reason):
        planning.staged_step(space, phase, configuration, arithmetic, colour_pictures(40), task)
    best = dataclasses.replace(configuration, placement=PlacementMode.BEST)
    assert planning.staged_step(space, phase, best, arithmetic, colour_pictures(40), task) is None
