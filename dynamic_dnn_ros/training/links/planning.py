# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a training would take on these computers: measured, then planned."""

from __future__ import annotations

from collections.abc import Sequence
import itertools
import logging
import math
import random
import statistics
import time

import torch

from dynamic_dnn_ros.networks.contract import Configuration
from dynamic_dnn_ros.training.arithmetic import Arithmetic
from dynamic_dnn_ros.training.configuration import (
    Phase,
    Precision,
    Rule,
    TrainingConfiguration,
    TrainingConfigurationError,
)
from dynamic_dnn_ros.training.links.placement import Placement, placements
from dynamic_dnn_ros.training.links.probe import measure_links
from dynamic_dnn_ros.training.links.ratios import Links
from dynamic_dnn_ros.training.links.settings import PlacementMode
from dynamic_dnn_ros.training.links.staged import StagedStep
from dynamic_dnn_ros.training.links.workload import (
    Operator,
    measure_operators,
    measure_steps,
)
from dynamic_dnn_ros.training.processes import from_each, from_first, process_count, process_rank
from dynamic_dnn_ros.training.rules import Step
from dynamic_dnn_ros.training.space import Space, SuperNetworkSpace
from dynamic_dnn_ros.training.tasks.contract import Batch, TrainingData, TrainingTask

_LOGGER = logging.getLogger(__name__)

_STEPS = 4
"""The first one is not counted."""


def measured_placements(
    space: Space,
    phase: Phase,
    configuration: TrainingConfiguration,
    arithmetic: Arithmetic,
    pictures: TrainingData,
    task: TrainingTask,
    ratio: float,
) -> tuple[Placement, ...] | None:
    """
    Measure steps of a phase, parts of its largest sub-network and links; all must call.

    The network is left as it was.

    :param ratio: how many times fewer bytes the slowest link is to carry.
    :return: the ways to train, the fastest first; None in all processes but the first.
    """
    space.enter(phase, (), anew=False)
    space.module.train()
    before = {name: each.clone() for name, each in space.module.named_buffers()}
    batches = task.batches(
        configuration, pictures, arithmetic.device, process_rank(), process_count()
    )
    few = list(itertools.islice(batches.batches(0), _STEPS))
    step = Step(space, phase, arithmetic, one_size=task.one_size_a_step)
    # All wait for the slowest one.
    seconds = max(from_each(_step_seconds(step, few, space, arithmetic.device)))
    space.module.zero_grad()
    with torch.no_grad():
        for name, each in space.module.named_buffers():
            each.copy_(before[name])
    together = process_count() > 1
    links = measure_links() if together else Links.uniform(1, float('inf'))
    if process_rank() > 0:
        return None
    largest = space.largest(phase.within)
    inputs = few[0].at(largest.size).inputs
    # Of a network that cannot be cut the operators only tell what it takes.
    operators = _operators(space, largest, inputs)

    def seconds_at(pictures: int) -> list[float]:
        times = math.ceil(pictures / len(inputs))
        some = inputs.repeat(times, 1, 1, 1)[:pictures]
        return [each.seconds for each in _operators(space, largest, some)]

    return placements(operators, links, ratio, seconds, len(few[0]), seconds_at)


def _operators(space: Space, largest: Configuration, inputs: torch.Tensor) -> tuple[Operator, ...]:
    return measure_steps(space.extract_steps(largest), inputs) or measure_operators(
        space.extract(largest).requires_grad_(True), inputs
    )


def staged_step(
    space: Space,
    phase: Phase,
    configuration: TrainingConfiguration,
    arithmetic: Arithmetic,
    pictures: TrainingData,
    task: TrainingTask,
) -> StagedStep | None:
    """
    Return the step of a phase that runs in stages as the file says; None: it is data-parallel.

    All processes must call.

    :raises TrainingConfigurationError: where a pipeline is asked for and cannot be.
    """
    wanted = configuration.placement
    if wanted is PlacementMode.DATA_PARALLEL or process_count() == 1:
        return None
    reason = _unfit(space, phase, configuration, task, len(pictures))
    found: Sequence[Placement] = ()
    if not reason:
        most = configuration.compression.most
        measured = measured_placements(
            space, phase, configuration, arithmetic, pictures, task, most
        )
        found = from_first(measured or ())
        if wanted is not PlacementMode.BEST:
            found = [each for each in found if each.name == wanted.value]
            reason = '' if found else 'these processes do not make one (`--plan` tells more)'
    if reason and wanted is not PlacementMode.BEST:
        raise TrainingConfigurationError(
            f'placement is {wanted.value}, phase {phase.name!r}: {reason}. Give `placement: '
            'best`, which runs in stages what can and pays'
        )
    if reason or not found[0].ends:
        return None
    if process_rank() == 0:
        _LOGGER.info('phase %s: %s', phase.name, describe(found[:1])[0].strip())
    assert isinstance(space, SuperNetworkSpace)
    largest = space.largest(phase.within)
    return StagedStep(space.network, largest, found[0], configuration, arithmetic)


def _unfit(
    space: Space,
    phase: Phase,
    configuration: TrainingConfiguration,
    task: TrainingTask,
    pictures: int,
) -> str:
    """Return why a phase cannot run in stages; empty: it can."""
    if task.name != 'classification':
        return f'a network for {task.name} cannot run in stages, a classifier can'
    if phase.rule is not Rule.LARGEST or phase.teacher:
        return (
            'stages hand on tensors of one shape, so one sub-network alone can run in them: rule '
            'largest, without a teacher'
        )
    if phase.freeze or phase.only:
        return 'each stage needs something to train: freeze and only do not fit'
    if configuration.precision is Precision.FLOAT16:
        return 'gradients in float16 need a scale: give precision bfloat16 or float32'
    if pictures < configuration.batch_size * process_count():
        return f'{pictures} pictures are fewer than one step takes: give a smaller batch_size'
    if not isinstance(space, SuperNetworkSpace) or not space.network.places(
        space.largest(phase.within)
    ):
        return 'this network cannot be cut'
    return ''


def describe(found: Sequence[Placement]) -> list[str]:
    """Return the ways to train for people, a line each."""
    lines = []
    for placement in found:
        line = f'{placement.seconds:10.3g} s a step: {placement.name}'
        if placement.ends:
            stages = '; '.join(
                'process ' + ', '.join(map(str, workers)) for workers in placement.workers
            )
            line += f', cut after {", ".join(placement.ends)} ({stages})'
        lines.append(line)
    return lines


def advice(found: Sequence[Placement]) -> str:
    """Return what to write into the training file."""
    best, *_ = found
    if best.ends:
        return f'`placement: best` trains as {best.name!r}, where it can: `placement` says which'
    method = 'none' if 'all sent' in best.name else 'adaptive'
    return f'`compression: {method}` trains as {best.name!r}'


def _step_seconds(
    step: Step, batches: Sequence[Batch], space: Space, device: torch.device
) -> float:
    generator = random.Random(0)
    taken = []
    for batch in batches:
        start = time.perf_counter()
        space.module.zero_grad()
        step.backward(batch, generator)
        if device.type == 'cuda':
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:] or taken)
