# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a training would take on these computers: measured, then planned."""

from __future__ import annotations

from collections.abc import Sequence
import itertools
import random
import statistics
import time

import torch

from dynamic_dnn_ros.training.arithmetic import Arithmetic
from dynamic_dnn_ros.training.configuration import Phase
from dynamic_dnn_ros.training.links.placement import Placement, placements
from dynamic_dnn_ros.training.links.probe import measure_links
from dynamic_dnn_ros.training.links.ratios import Links
from dynamic_dnn_ros.training.links.workload import measure_operators
from dynamic_dnn_ros.training.processes import from_each, process_count, process_rank
from dynamic_dnn_ros.training.rules import Step
from dynamic_dnn_ros.training.space import Space
from dynamic_dnn_ros.training.tasks.contract import Batch, Batches, TrainingTask

_STEPS = 4
"""The first one is not counted."""


def measured_placements(
    space: Space,
    phase: Phase,
    arithmetic: Arithmetic,
    batches: Batches,
    ratio: float,
    task: TrainingTask,
) -> tuple[Placement, ...] | None:
    """
    Measure steps of a phase, operators of its largest sub-network and links; all must call.

    :param ratio: how many times fewer bytes the slowest link is to carry.
    :return: the ways to train, the fastest first; None in all processes but the first.
    """
    space.enter(phase, (), anew=True)
    space.module.train()
    few = list(itertools.islice(batches.batches(0), _STEPS))
    step = Step(space, phase, arithmetic, one_size=task.one_size_a_step)
    # All wait for the slowest one.
    seconds = max(from_each(_step_seconds(step, few, space, arithmetic.device)))
    together = process_count() > 1
    links = measure_links() if together else Links.uniform(1, float('inf'))
    if process_rank() > 0:
        return None
    largest = space.largest(phase.within)
    module = space.extract(largest).requires_grad_(True)
    operators = measure_operators(module, few[0].at(largest.size).inputs)
    return placements(operators, links, ratio, seconds)


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
    """Return what to write into the training file, and what cannot be had."""
    best, *_ = found
    taken = next(placement for placement in found if not placement.ends)
    method = 'none' if 'all sent' in taken.name else 'adaptive'
    text = f'`compression: {method}` trains as {taken.name!r}'
    if best is not taken:
        text += f'; {best.name!r} would be faster, but `train` does not run a network in stages'
    return text


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
