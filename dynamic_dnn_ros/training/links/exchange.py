# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
How processes average their gradients: whole, by PyTorch's hooks, or the largest elements.

All of a step goes into one message after its last backward pass; `training/processes.py` says
why. PyTorch's communication hooks take it as they take a bucket of DistributedDataParallel.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import distributed, nn
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks, powerSGD_hook

from dynamic_dnn_ros.training.links import sparse
from dynamic_dnn_ros.training.processes import average_tensors

#: Steps that PowerSGD sends whole before it begins; PyTorch needs two.
_WHOLE_STEPS = 2


class GradientExchange(abc.ABC):
    """Replaces gradients by their mean over all processes, or by something near to it."""

    @abc.abstractmethod
    def average(self, parameters: Sequence[nn.Parameter]) -> None:
        """
        Average the gradients of parameters; all processes must call with the same ones.

        Those without a gradient have none afterwards, but for PowerSGD.
        """


class LossyExchange(GradientExchange):
    """An exchange that leaves something out of each step, and adds it to a later one."""

    @abc.abstractmethod
    def state(self) -> dict[str, Any]:
        """Return what this process has yet to send: tensors and plain values."""

    @abc.abstractmethod
    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` returned."""


class Whole(GradientExchange):
    """Sends all, as it is; alone, nothing."""

    def average(self, parameters: Sequence[nn.Parameter]) -> None:
        """Average the gradients in one message."""
        average_tensors([p.grad for p in parameters if p.grad is not None])


class Nothing(GradientExchange):
    """Leaves gradients as they are: where each process has those of other parameters."""

    def average(self, parameters: Sequence[nn.Parameter]) -> None:
        """Do nothing."""


class Bucket:
    """One message, as PyTorch's communication hooks take it from DistributedDataParallel."""

    def __init__(self, gradients: Sequence[torch.Tensor]) -> None:
        self._buffer = flatten(gradients)
        parts = self._buffer.split([each.numel() for each in gradients])
        self._gradients = [part.view(each.shape) for part, each in zip(parts, gradients)]

    def index(self) -> int:
        """Return the number of the message in its step."""
        return 0

    def is_last(self) -> bool:
        """Return whether it is the last one of its step."""
        return True

    def buffer(self) -> torch.Tensor:
        """Return all gradients in a row."""
        return self._buffer

    def gradients(self) -> list[torch.Tensor]:
        """Return the gradients, each in its shape, as views of the buffer."""
        return self._gradients


class HalfFloats(GradientExchange):
    """Sends half floats, by PyTorch's hook."""

    def average(self, parameters: Sequence[nn.Parameter]) -> None:
        """Average the gradients in one message."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        if gradients:
            bucket = cast(Any, Bucket(gradients))
            group = cast(distributed.ProcessGroup, distributed.group.WORLD)
            unflatten(default_hooks.fp16_compress_hook(group, bucket).wait(), gradients)


class PowerSgd(LossyExchange):
    """
    Sends matrices of a low rank, by PyTorch's hook (Vogels et al., PowerSGD, NeurIPS 2019).

    Its messages have the same parts in each step, so parameters that no sub-network of a step
    used take part with a gradient of zero.
    """

    def __init__(self, rank: int) -> None:
        self._state = powerSGD_hook.PowerSGDState(
            None, matrix_approximation_rank=rank, start_powerSGD_iter=_WHOLE_STEPS
        )

    def average(self, parameters: Sequence[nn.Parameter]) -> None:
        """Average the gradients in three messages."""
        gradients = []
        for parameter in parameters:
            if parameter.requires_grad:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                gradients.append(parameter.grad)
        bucket = Bucket(gradients)
        future = powerSGD_hook.powerSGD_hook(self._state, cast(Any, bucket))
        unflatten(future.wait(), gradients)

    def state(self) -> dict[str, Any]:
        """Return what was not sent, and the matrices that the next step begins with."""
        return {
            'iteration': self._state.iter,
            'error': dict(self._state.error_dict),
            'p': dict(self._state.p_memory_dict),
            'q': dict(self._state.q_memory_dict),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` returned."""
        self._state.iter = state['iteration']
        self._state.error_dict = dict(state['error'])
        self._state.p_memory_dict = dict(state['p'])
        self._state.q_memory_dict = dict(state['q'])


class Feedback:
    """What was not sent yet of the gradients of each parameter (Stich et al., NeurIPS 2018)."""

    def __init__(self) -> None:
        self._left: dict[int, torch.Tensor] = {}

    def added(self, places: Sequence[int], flat: torch.Tensor, sizes: Sequence[int]) -> None:
        """Add what was left of some parameters to their gradients, which lie in a row."""
        for place, part in zip(places, flat.split(list(sizes))):
            if place in self._left:
                part += self._left[place]

    def keep(self, places: Sequence[int], flat: torch.Tensor, sizes: Sequence[int]) -> None:
        """Keep what is left now."""
        for place, part in zip(places, flat.split(list(sizes))):
            # Those of a later step may be other parameters: a part must not keep the whole alive.
            self._left[place] = part.clone()

    def clear(self) -> None:
        """Forget all that was left."""
        self._left.clear()

    def state(self) -> dict[str, Any]:
        """Return what is left, by the number of the parameter."""
        return {'left': dict(self._left)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` returned."""
        self._left = dict(state['left'])


class TopK(LossyExchange):
    """Sends the largest elements; the others are added to the gradients of the next step."""

    def __init__(self, ratio: float) -> None:
        self._ratio = ratio
        self._feedback = Feedback()

    def average(self, parameters: Sequence[nn.Parameter]) -> None:
        """Average the gradients in one message to each process."""
        places, gradients = with_gradients(parameters)
        if not gradients:
            return
        flat = flatten(gradients)
        sizes = [each.numel() for each in gradients]
        self._feedback.added(places, flat, sizes)
        count = sparse.count_for(len(flat), self._ratio)
        message = taken_out(flat, count)
        self._feedback.keep(places, flat, sizes)
        messages = [torch.empty_like(message) for _ in range(distributed.get_world_size())]
        distributed.all_gather(messages, message)
        unflatten(summed(messages, [count] * len(messages), flat, None), gradients)

    def state(self) -> dict[str, Any]:
        """Return what was not sent."""
        return self._feedback.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` returned."""
        self._feedback.load_state(state)


def with_gradients(
    parameters: Sequence[nn.Parameter],
) -> tuple[list[int], list[torch.Tensor]]:
    """Return the numbers of the parameters that have a gradient, and these."""
    found = [(place, p.grad) for place, p in enumerate(parameters) if p.grad is not None]
    return [place for place, _ in found], [gradient for _, gradient in found]


def flatten(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return a copy of tensors in a row."""
    return torch.cat([tensor.flatten() for tensor in tensors])


def unflatten(flat: torch.Tensor, tensors: Sequence[torch.Tensor]) -> None:
    """Give tensors the values that lie in a row."""
    parts = flat.split([tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts):
        tensor.copy_(part.view(tensor.shape))


def taken_out(flat: torch.Tensor, count: int) -> torch.Tensor:
    """Return the message of the largest elements, and leave the rest, rounding errors too."""
    places = sparse.largest(flat, count)
    message = sparse.encode(flat, places)
    sparse.add_decoded(message, count, flat, -1.0)
    return message


def summed(
    messages: Sequence[torch.Tensor],
    counts: Sequence[int],
    like: torch.Tensor,
    weights: Sequence[float] | None,
) -> torch.Tensor:
    """Return the sum of what messages hold by weights, or their mean, in a row."""
    total = torch.zeros_like(like)
    weights = weights or [1.0 / len(messages)] * len(messages)
    for message, count, weight in zip(messages, counts, weights):
        sparse.add_decoded(message, count, total, weight)
    return total
