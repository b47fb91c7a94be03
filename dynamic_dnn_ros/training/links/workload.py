# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What each operator or step of a network takes, and what it hands on: measured."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import statistics
import time
from typing import Any

import torch
from torch import fx, nn

from dynamic_dnn_ros.networks.contract import Step
from dynamic_dnn_ros.networks.cutting import as_tuple

_RUNS = 4
"""Of each; the first one allocates, and does not count."""


@dataclasses.dataclass(frozen=True)
class Operator:
    """
    One operator, or several of them, in the order in which they run.

    :param seconds: of forward and backward pass together, for the batch that was measured.
    :param parameters: that it has.
    :param output_bytes: that it hands on.
    :param cut: whether nothing but its output is needed after it, so that a stage can end there.
    """

    name: str
    seconds: float
    parameters: int
    output_bytes: int
    cut: bool


def measure_steps(steps: Sequence[Step], inputs: torch.Tensor) -> tuple[Operator, ...]:
    """
    Measure the steps of a static sub-network, each by the median of three runs after a first one.

    One can be a stage's end where it hands on features, as a single tensor.
    """
    found = []
    values: tuple[torch.Tensor, ...] = (inputs,)
    with torch.enable_grad():
        for number, step in enumerate(steps):
            step.module.train()
            seconds, size = _measured(step.module, values, {})
            outputs = as_tuple(step.module(*values))
            features = len(outputs) == 1 and outputs[0].ndim > 2
            name = step.place or step.name or f'step {number}'
            cut = features and bool(step.place)
            found.append(Operator(name, seconds, _parameters(step.module), size, cut))
            values = tuple(each.detach() for each in outputs)
    return tuple(found)


def measure_operators(module: nn.Module, inputs: torch.Tensor) -> tuple[Operator, ...]:
    """
    Measure the operators of a static module, each by the median of three runs after a first one.

    A module whose code cannot be traced, since it decides by values, is one operator.
    """
    module.train()
    try:
        graph = fx.symbolic_trace(module)
    except (fx.proxy.TraceError, TypeError):
        seconds, size = _measured(module, (inputs,), {})
        return (Operator('all', seconds, _parameters(module), size, False),)
    measuring = _Measuring(graph)
    with torch.enable_grad():
        measuring.run(inputs)
    nodes = [node for node in graph.graph.nodes if node.op.startswith('call')]
    last_use = {
        node: max((nodes.index(u) for u in node.users if u in nodes), default=len(nodes))
        for node in nodes
    }
    return tuple(
        Operator(
            str(node.name),
            measuring.seconds[node],
            _parameters(graph.get_submodule(str(node.target))) if node.op == 'call_module' else 0,
            measuring.sizes[node],
            not any(last_use[earlier] > place for earlier in nodes[:place]),
        )
        for place, node in enumerate(nodes)
    )


class _Measuring(fx.Interpreter):
    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__(graph)
        self.seconds: dict[fx.Node, float] = {}
        self.sizes: dict[fx.Node, int] = {}

    def run_node(self, n: fx.Node) -> Any:
        if not n.op.startswith('call'):
            return super().run_node(n)
        arguments, keywords = self.fetch_args_kwargs_from_env(n)

        def call(*given: Any, **named: Any) -> Any:
            return getattr(self, n.op)(n.target, given, named)

        self.seconds[n], self.sizes[n] = _measured(call, arguments, keywords)
        return call(*arguments, **keywords)


def _measured(call: Any, arguments: Sequence[Any], keywords: Any) -> tuple[float, int]:
    """Return seconds forth and back, and the bytes of the output."""
    taken, size = [], 0
    for _ in range(_RUNS):
        given = [each.detach().requires_grad_() if _floats(each) else each for each in arguments]
        start = time.perf_counter()
        output = call(*given, **keywords)
        tensors = [each for each in _each(output) if _floats(each) and each.requires_grad]
        if tensors:
            torch.autograd.backward(tensors, [torch.ones_like(each) for each in tensors])
        taken.append(time.perf_counter() - start)
        size = sum(each.numel() * each.element_size() for each in _each(output))
    return statistics.median(taken[1:]), size


def _each(output: Any) -> list[torch.Tensor]:
    found = output if isinstance(output, tuple) else (output,)
    return [each for each in found if isinstance(each, torch.Tensor)]


def _floats(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
