# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
One process of the suite `slow_links`: trains, and says what its steps took.

Started as torchrun starts one, on a computer of `network.py`. Its argument is a
file with the task; it prints its answer as JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import functools
import itertools
import json
import logging
import os
from pathlib import Path
import random
import sys
import time
from typing import Any

import numpy as np
import torch

from dynamic_dnn_ros.networks.registry import create
from dynamic_dnn_ros.training.arithmetic import Arithmetic
from dynamic_dnn_ros.training.averaging import AveragedWeights
from dynamic_dnn_ros.training.batches import Normalisation
from dynamic_dnn_ros.training.configuration import Precision, TrainingConfiguration
from dynamic_dnn_ros.training.evaluation import accuracy, recalibrate
from dynamic_dnn_ros.training.links.adaptive import Adaptive
from dynamic_dnn_ros.training.links.creation import create_exchange
from dynamic_dnn_ros.training.links.exchange import GradientExchange, Nothing
from dynamic_dnn_ros.training.links.planning import staged_step
from dynamic_dnn_ros.training.links.staged import StagedStep
from dynamic_dnn_ros.training.pictures import Pictures
from dynamic_dnn_ros.training.processes import (
    average_statistics,
    process_count,
    process_group,
    process_rank,
)
from dynamic_dnn_ros.training.rules import Step
from dynamic_dnn_ros.training.space import SuperNetworkSpace
from dynamic_dnn_ros.training.tasks.classification import ClassificationTraining
from dynamic_dnn_ros.training.tasks.contract import Batch, Batches


def sent_bytes() -> int:
    """Return what has left this computer, as its interface counts it."""
    interface = os.environ['GLOO_SOCKET_IFNAME']
    return int(Path(f'/sys/class/net/{interface}/statistics/tx_bytes').read_text())


def trained(task: Mapping[str, Any]) -> dict[str, Any]:
    """
    Train some steps of the phase that the task names, and return times, losses and bytes.

    What is done in a step is what `Trainer` does in it, but for the averages of weights.

    :param task: `configuration` (a training file), `phase` (index), `compression` and `placement`
        (as in the file), `pictures` (an .npz of `images` and `labels`), `steps`, `seed`;
        `test_pictures`, where the largest sub-network is tested; `progress`, a file that the
        first process keeps the number of its steps in.
    """
    fields = {name: task[name] for name in ('compression', 'placement', 'seed')}
    configuration = TrainingConfiguration.from_mapping({**task['configuration'], **fields})
    torch.set_num_threads(1)
    torch.manual_seed(configuration.seed)
    network = create(configuration.family, dict(configuration.layout))
    space = SuperNetworkSpace(network)
    phase = configuration.phases[task['phase']]
    space.enter(phase, (), anew=True)
    space.module.train()
    parameters = list(space.module.parameters())
    optimizer = torch.optim.SGD(
        parameters,
        lr=phase.learning_rate,
        momentum=configuration.momentum,
        weight_decay=configuration.weight_decay,
        nesterov=True,
    )
    arithmetic = Arithmetic(torch.device('cpu'), Precision.FLOAT32)
    pictures = loaded(Path(task['pictures']))
    answer: dict[str, Any] = {'seconds': [], 'losses': [], 'bytes': [], 'compressed': []}
    with process_group():
        rank = process_rank()
        learning = ClassificationTraining()
        staged = staged_step(space, phase, configuration, arithmetic, pictures, learning)
        step_of: Step | StagedStep
        exchange: GradientExchange
        if staged is not None:
            step_of, exchange = staged, Nothing()
            batches = staged.batches(learning, configuration, pictures)
        else:
            step_of = Step(space, phase, arithmetic)
            exchange = create_exchange(configuration.compression)
            batches = learning.batches(
                configuration, pictures, torch.device('cpu'), rank, process_count()
            )
        generator = random.Random(configuration.seed)
        total = task['steps']
        left = sent_bytes()
        for step, batch in enumerate(endless(batches, total)):
            start = time.monotonic()
            rate = phase.learning_rate_at(phase.epochs * (step + 0.5) / total)
            for group in optimizer.param_groups:
                group['lr'] = rate
            if isinstance(exchange, Adaptive) and isinstance(step_of, Step):
                exchange.judge(
                    functools.partial(step_of.loss, batch), rate, configuration.gradient_limit
                )
            optimizer.zero_grad()
            loss = step_of.backward(batch, generator)
            exchange.average(parameters)
            arithmetic.step(optimizer, space.module, configuration.gradient_limit)
            now = sent_bytes()
            answer['seconds'].append(time.monotonic() - start)
            answer['losses'].append(loss)
            answer['bytes'].append(now - left)
            answer['compressed'].append(isinstance(exchange, Adaptive) and exchange.compressed)
            left = now
            if rank == 0 and 'progress' in task:
                Path(task['progress']).write_text(str(step + 1))
        if staged is not None:
            staged.gather(optimizer, AveragedWeights(space.module, 0.0))
            answer['placement'] = staged.placement.name
            answer['predicted'] = staged.placement.seconds
        else:
            average_statistics(space.module)
        if isinstance(exchange, Adaptive):
            answer['clusters'] = exchange.plan.clusters
            answer['counts'] = exchange.plan.counts
            answer['bandwidth'] = exchange.links.bandwidth.tolist() if exchange.links else None
            answer['predicted'] = exchange.predicted_seconds
            answer['ratio'] = exchange.ratio
        if task.get('test_pictures') and rank == 0:
            largest = space.largest(phase.within)
            module = space.extract(largest)
            normalisation = Normalisation(configuration.mean, configuration.standard_deviation)
            recalibrate(module, pictures.first(1000), largest.size, normalisation)
            tested = loaded(Path(task['test_pictures']))
            answer['accuracy'] = accuracy(module, tested, largest.size, normalisation)
    return answer


def endless(batches: Batches, steps: int) -> Iterator[Batch]:
    """Yield so many batches, of as many epochs as that takes."""
    each = (batch for epoch in itertools.count() for batch in batches.batches(epoch))
    return itertools.islice(each, steps)


def loaded(path: Path) -> Pictures:
    """Return pictures that `slow_links` has kept."""
    with np.load(path) as kept:
        return Pictures(kept['images'], kept['labels'], tuple(kept['classes'].tolist()))


def main() -> None:
    """Train as the task says, and print what it took."""
    logging.basicConfig(level=logging.INFO, format='%(message)s')
    print(json.dumps(trained(json.loads(Path(sys.argv[1]).read_text()))))


if __name__ == '__main__':
    main()
