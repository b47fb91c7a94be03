# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Steps of a network that is cut into stages, one in each process: PyTorch's pipelines (GPipe).

Pictures of a step are as many as where each process has a batch of its own. They go through the
stages in parts, and batch normalisation sees a part at a time. Where several processes share a
stage, each takes part in a pipeline of its own, and they average their gradients whole.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import itertools
import random
from typing import Any, cast

import torch
from torch import distributed, nn

from dynamic_dnn_ros.networks.contract import Configuration, DynamicNetwork, Step
from dynamic_dnn_ros.networks.cutting import run_steps
from dynamic_dnn_ros.training.arithmetic import Arithmetic
from dynamic_dnn_ros.training.averaging import AveragedWeights
from dynamic_dnn_ros.training.configuration import TrainingConfiguration
from dynamic_dnn_ros.training.links.placement import Placement, parts_of
from dynamic_dnn_ros.training.links.wire import Packed, Unpacked, Wire
from dynamic_dnn_ros.training.processes import average_tensors, from_one
from dynamic_dnn_ros.training.tasks.classification import ClassificationLesson
from dynamic_dnn_ros.training.tasks.contract import Batch, Batches, TrainingTask


class StagedStep:
    """Adds up the gradients of one stage's parameters; the other processes do those of others."""

    def __init__(
        self,
        network: DynamicNetwork[Any],
        largest: Configuration,
        placement: Placement,
        configuration: TrainingConfiguration,
        arithmetic: Arithmetic,
    ) -> None:
        """
        Cut the largest sub-network; all processes must call.

        :param placement: a pipeline, or several with as many processes in each stage.
        """
        self.placement = placement
        self._network, self._largest = network, largest
        self._arithmetic = arithmetic
        self._limit = configuration.gradient_limit
        self._groups = placement.workers
        rank = distributed.get_rank()
        self._stage = next(at for at, group in enumerate(self._groups) if rank in group)
        self._pipeline = self._groups[self._stage].index(rank)
        self._pipelines = len(self._groups[0])
        self._last = self._stage == len(self._groups) - 1
        pictures = configuration.batch_size * len(self._groups)
        self._parts = parts_of(pictures, len(self._groups))
        #: Names of parameters and buffers of each stage.
        static = network.extract_steps(largest, share_weights=True)
        self._names = [
            {name for step in steps for name in _names(step)}
            for steps in _cut(static, placement.ends)
        ]
        self._lesson: ClassificationLesson | None = None
        self._schedule = self._scheduled(placement, pictures // self._parts)

    def _scheduled(self, placement: Placement, pictures: int) -> Any:
        # Of PyTorch since 2.6, and only where it is needed.
        from torch.distributed.pipelining import PipelineStage, ScheduleGPipe

        network, count = self._network, len(self._groups)
        lines = [[group[at] for group in self._groups] for at in range(self._pipelines)]
        in_line = [distributed.new_group(sorted(line)) for line in lines]
        in_stage = [distributed.new_group(list(group)) for group in self._groups]
        self._beside = cast(distributed.ProcessGroup, in_stage[self._stage])
        line = lines[self._pipeline]
        network.activate(self._largest)
        shapes = network.places(self._largest)
        wires = [
            Wire((pictures, *shapes[end]), ratio)
            for end, ratio in zip(placement.ends, placement.ratios)
        ]
        before = wires[self._stage - 1] if self._stage else None
        after = None if self._last else wires[self._stage]
        module = _Stage(_cut(network.steps(), placement.ends)[self._stage], before, after)
        classes = network.layout_mapping()['classes']
        pictures_in = torch.empty(pictures, 3, *self._largest.size)
        stage = PipelineStage(
            module,
            self._stage,
            count,
            self._arithmetic.device,
            input_args=pictures_in if before is None else _example(before),
            output_args=torch.empty(pictures, classes) if after is None else _example(after),
            group=cast(distributed.ProcessGroup, in_line[self._pipeline]),
        )
        order = sorted(line)
        stage.stage_index_to_group_rank = {at: order.index(rank) for at, rank in enumerate(line)}
        return ScheduleGPipe(stage, self._parts, self._loss, scale_grads=False)

    def _loss(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        assert self._lesson is not None
        return self._lesson.of(None, labels).loss(outputs.float()) / self._parts

    def batches(
        self, task: TrainingTask, configuration: TrainingConfiguration, pictures: Any
    ) -> Batches:
        """Return the batches of this process's pipeline, which all of its processes have."""
        whole = configuration.batch_size * len(self._groups)
        larger = dataclasses.replace(configuration, batch_size=whole)
        device = self._arithmetic.device
        return task.batches(larger, pictures, device, self._pipeline, self._pipelines)

    def backward(self, batch: Batch, generator: random.Random, progress: float = 0.0) -> float:
        """Give this stage's parameters the mean gradient; return the loss on the labels."""
        lesson = batch.at(self._largest.size)
        assert isinstance(lesson, ClassificationLesson)
        self._lesson = lesson
        self._network.activate(self._largest)
        losses: list[torch.Tensor] = []
        with self._arithmetic.autocast():
            if self._stage == 0:
                self._schedule.step(lesson.inputs.contiguous(), return_outputs=False)
            elif self._last:
                self._schedule.step(target=lesson.labels, losses=losses, return_outputs=False)
            else:
                self._schedule.step(return_outputs=False)
        gradients = [p.grad for p in self._network.parameters() if p.grad is not None]
        loss = float(torch.stack(losses).detach().sum()) if losses else 0.0
        return self._limited(gradients, loss)

    def _limited(self, gradients: Sequence[torch.Tensor], loss: float) -> float:
        """Average gradients with who has the same stage, and limit the norm over all stages."""
        average_tensors(gradients, self._beside)
        squares = sum(float(each.double().pow(2).sum()) for each in gradients)
        both = torch.tensor([squares, loss], dtype=torch.float64) / self._pipelines
        distributed.all_reduce(both)
        norm = float(both[0]) ** 0.5
        if norm > self._limit:
            for each in gradients:
                each *= self._limit / norm
        return float(both[1])

    @torch.no_grad()
    def gather(self, optimizer: torch.optim.Optimizer, average: AveragedWeights) -> None:
        """Give all processes what each stage has learnt, and what its optimizer keeps."""
        state = self._network.state_dict()
        own = [state[name] for name in sorted(self._names[self._stage] & state.keys())]
        average_tensors([each for each in own if each.is_floating_point()], self._beside)
        parameters = dict(self._network.named_parameters())
        averages = average.state()['averages']
        for names, group in zip(self._names, self._groups):
            of_stage = (
                {name: state[name] for name in names & state.keys()},
                {name: optimizer.state[parameters[name]] for name in names & parameters.keys()},
                {name: averages[name] for name in names & averages.keys()},
            )
            learnt, kept, averaged = from_one(of_stage, group[0])
            for name, tensor in learnt.items():
                state[name].copy_(tensor)
            for name, values in kept.items():
                optimizer.state[parameters[name]] = dict(values)
            for name, tensor in averaged.items():
                averages[name].copy_(tensor)


class _Stage(nn.Module):
    """Steps of a network, with what comes in and goes out as it is sent."""

    def __init__(self, steps: Sequence[Step], before: Wire | None, after: Wire | None) -> None:
        super().__init__()
        # No children of this one: the network has them.
        self._steps = tuple(steps)
        self._unpacked = None if before is None else Unpacked(before)
        self._packed = None if after is None else Packed(after)

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        """Run the steps."""
        if self._unpacked is not None:
            value = self._unpacked(value)
        (value,) = run_steps(self._steps, value)
        return value if self._packed is None else self._packed(value)


def _cut(steps: Sequence[Step], ends: Sequence[str]) -> list[list[Step]]:
    """Return the steps of each stage; stages end at places."""
    at = [next(i for i, step in enumerate(steps) if step.place == end) + 1 for end in ends]
    return [list(steps[i:j]) for i, j in itertools.pairwise((0, *at, len(steps)))]


def _names(step: Step) -> list[str]:
    module, prefix = step.module, f'{step.name}.' if step.name else ''
    return [f'{prefix}{name}' for name, _ in (*module.named_parameters(), *module.named_buffers())]


def _example(wire: Wire) -> torch.Tensor:
    """Return something like what is sent, whose gradient comes back."""
    return Packed(wire)(torch.zeros(wire.shape)).detach().requires_grad_()
