# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a PyTorch module to a list of operators with the dimensions of all tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import contextlib
import dataclasses
import logging
import math
import operator
from typing import Any
import warnings

import torch
from torch import nn

from dynamic_dnn_ros.networks.slimmable.axes import (
    Dimension,
    Factor,
    dimension,
    factors_of,
    keep,
)
from dynamic_dnn_ros.networks.slimmable.layout import INPUT
from dynamic_dnn_ros.networks.slimmable.operators import LAYERS, PARAMETER
from dynamic_dnn_ros.networks.slimmable.rules import (
    PLACES,
    RULES,
    Call,
    CannotSlim,
    Result,
    Value,
)

#: Of the pictures that a module is traced with. A prime, which is no number of channels.
_BATCH = 13

_STATISTICS = ('running_mean', 'running_var')
_COLOURS = 3


class CaptureError(ValueError):
    """A module that cannot become a slimmable network; names the layer, and says why."""

    def __init__(self, where: str, problem: str, remedy: str) -> None:
        super().__init__(f'{where}: {problem}. {remedy}')


@dataclasses.dataclass
class ReadStep:
    """One operator: as in a layout, but with values and factors in place of names."""

    name: str
    operator: str
    arguments: tuple[Any, ...]
    layer: str
    block: str
    dimensions: Any
    work: Dimension | None = None


@dataclasses.dataclass
class ReadNetwork:
    """
    What a module computes.

    :param tensors: dimensions of the parameters, by their names in the layout.
    :param sources: the names that they have in the module.
    :param layers: plain values of each layer; sizes in them are factors.
    :param batch: the factor of the pictures.
    :param classes: the factor of the answers.
    """

    steps: list[ReadStep]
    tensors: dict[str, list[Dimension]]
    sources: dict[str, str]
    layers: dict[str, dict[str, Any]]
    batch: Factor
    classes: Factor


def read_network(module: nn.Module, side: int, where: str) -> ReadNetwork:
    """
    Trace a module and read what it computes.

    :param side: of the pictures, pixels.
    :param where: what errors call the module.
    :raises CaptureError: for an operator that no rule is known of, naming the layer.
    """
    return _Reader(_traced(module, side, where), module, where).network()


def _traced(module: nn.Module, side: int, where: str) -> Any:
    example = torch.zeros(_BATCH, _COLOURS, side, side)
    try:
        with _plain_attention(), warnings.catch_warnings(), _silent():
            warnings.simplefilter('ignore')
            return torch.export.export(module.eval(), (example,), strict=False)
    # The tracer and all models have their own.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CaptureError(
            where,
            f'cannot be traced with pictures of {side}x{side} ({reason})',
            'Give another size (--resolutions), or a network without control flow',
        ) from error


@contextlib.contextmanager
def _plain_attention() -> Iterator[None]:
    """Let attention be traced as the operators that it consists of."""
    backend = getattr(torch.backends, 'mha', None)
    if backend is None:
        yield
        return
    before = backend.get_fastpath_enabled()
    backend.set_fastpath_enabled(False)
    try:
        yield
    finally:
        backend.set_fastpath_enabled(before)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


class _Reader:
    def __init__(self, program: Any, module: nn.Module, where: str) -> None:
        self._program = program
        self._where = where
        self._values: dict[str, Any] = {}
        self._steps: list[ReadStep] = []
        self._tensors: dict[str, list[Dimension]] = {}
        self._sources: dict[str, str] = {}
        self._layers: dict[str, dict[str, Any]] = {}
        self._batch = Factor(_BATCH)
        self._parameters: dict[str, Value] = {}
        shapes = {
            name: tuple(tensor.shape)
            for name, tensor in (*module.named_parameters(), *module.named_buffers())
        }
        signature = program.graph_signature
        for node, name in {**signature.inputs_to_parameters}.items():
            dimensions = [dimension(size) for size in shapes[name]]
            self._values[node] = Value(name, dimensions, shapes[name], True)
        for node, name in signature.inputs_to_buffers.items():
            if name.rpartition('.')[2] in _STATISTICS:
                dimensions = [dimension(size) for size in shapes[name]]
                self._values[node] = Value(name, dimensions, shapes[name], True)
        for node in signature.user_inputs:
            shape = (_BATCH, _COLOURS)
            places = self._shape_of(node)[2:]
            dimensions = [
                [self._batch],
                dimension(_COLOURS, 'colours of a picture'),
                *(dimension(size, PLACES) for size in places),
            ]
            self._values[node] = Value(INPUT, dimensions, (*shape, *places))

    def _shape_of(self, name: str) -> tuple[int, ...]:
        node = next(each for each in self._program.graph.nodes if each.name == name)
        return tuple(node.meta['val'].shape)

    def network(self) -> ReadNetwork:
        output = None
        for node in self._program.graph.nodes:
            if node.op == 'call_function':
                self._read(node)
            elif node.op == 'output':
                output = node.args[0]
        outputs = output if isinstance(output, (list, tuple)) else (output,)
        answer = self._values.get(getattr(outputs[0], 'name', ''))
        if len(outputs) != 1 or answer is None or len(answer.shape) != 2:
            raise CaptureError(
                self._where,
                'gives something else than one tensor of N x classes',
                'Give a classifier; a detector or segmenter cannot be taken',
            )
        # Nothing may follow the answer.
        last = next(i for i, step in enumerate(self._steps) if step.name == answer.name)
        del self._steps[last + 1 :]
        classes = factors_of(answer.dimensions[1])
        keep(classes, 'classes')
        made_by = [
            n for n, dims in self._tensors.items() if dims and factors_of(dims[0]) == classes
        ]
        if len(classes) != 1 or not made_by:
            raise CaptureError(
                self._where,
                'has no last layer with a row for each class',
                'Give a classifier that ends in a linear layer or a convolution',
            )
        return ReadNetwork(
            self._steps,
            self._tensors,
            self._sources,
            self._layers,
            self._batch,
            classes[0],
        )

    def _read(self, node: Any) -> None:
        block = _block_of(node)
        if node.target is operator.getitem:
            name, arguments = 'getitem', tuple(node.args)
        else:
            name = str(node.target).split('.')[1].removesuffix('_')
            arguments = _all_arguments(node)
        value = node.meta['val']
        shape = tuple(value.shape) if isinstance(value, torch.Tensor) else None
        plain = tuple(self._plain(each, block) for each in arguments)
        if name == 'scaled_dot_product_attention':
            self._attention(node.name, plain, block)
            return
        self._values[node.name] = self._called(Call(name, plain, shape, block), node.name)

    def _plain(self, argument: Any, block: str) -> Any:
        """Return an argument with values in place of what gives them."""
        if isinstance(argument, torch.fx.Node):
            return self._value(argument, block)
        if isinstance(argument, (list, tuple)):
            return [self._plain(each, block) for each in argument]
        return argument

    def _value(self, node: Any, block: str) -> Value:
        if node.name not in self._values:
            raise CaptureError(
                block, 'uses a constant or a buffer that no rule is known of', self._remedy()
            )
        value: Value = self._values[node.name]
        return value

    def _remedy(self) -> str:
        return 'Give another network, or one without this part'

    def _called(self, call: Call, name: str) -> Value:
        try:
            rule = RULES.get(call.name)
            if rule is None:
                raise CannotSlim(f'operator {call.name}')
            if call.name not in ('batch_norm', 'conv2d', 'layer_norm', 'linear'):
                given = tuple(self._given(each, call.where) for each in call.arguments)
                call = dataclasses.replace(call, arguments=given)
            result = rule(call)
        except CannotSlim as error:
            raise CaptureError(
                call.where, f'{error} cannot become part of a slimmable network', self._remedy()
            ) from error
        first = next(each for each in call.arguments if isinstance(each, (Value, list)))
        if not result.operator:
            assert isinstance(first, Value)
            return dataclasses.replace(first, dimensions=result.dimensions)
        self._add(call, name, result)
        shape = call.shape
        if shape is None:
            shape = ()
        return Value(name, result.dimensions, shape)

    def _given(self, argument: Any, block: str) -> Any:
        """Return an argument; a parameter as the value of a step that gives it."""
        if isinstance(argument, list):
            return [self._given(each, block) for each in argument]
        if not isinstance(argument, Value) or not argument.is_parameter:
            return argument
        name = argument.name
        if name not in self._parameters:
            self._tensors[name] = argument.dimensions
            self._sources[name] = name
            step = f'of_{name}'
            self._steps.append(ReadStep(step, PARAMETER, (), name, block, argument.dimensions))
            self._parameters[name] = Value(step, argument.dimensions, argument.shape)
        return self._parameters[name]

    def _add(self, call: Call, name: str, result: Result) -> None:
        arguments, layer = result.arguments, ''
        if result.operator in LAYERS:
            value, weight, bias = arguments
            layer = _layer_name(weight.name)
            assert result.layer is not None
            self._layers[layer] = dict(result.layer)
            for kind, parameter in (('weight', weight), ('bias', bias)):
                if parameter is not None:
                    self._tensors[f'{layer}.{kind}'] = parameter.dimensions
                    self._sources[f'{layer}.{kind}'] = parameter.name
            given = self._given(value, call.where)
            arguments = (given.reference,)
        self._steps.append(
            ReadStep(
                name,
                result.operator,
                arguments,
                layer,
                call.where,
                result.dimensions,
                result.work,
            )
        )

    def _attention(self, name: str, arguments: tuple[Any, ...], block: str) -> None:
        """Read attention as the products that it consists of."""
        query, key, value, mask, _, causal, scale = arguments[:7]
        if mask is not None or causal or query.shape[:-2] != key.shape[:-2]:
            raise CaptureError(
                block,
                'attention with a mask cannot be part of a slimmable network',
                self._remedy(),
            )
        scale = scale if scale is not None else 1 / math.sqrt(query.shape[-1])
        swapped = (*key.shape[:-2], key.shape[-1], key.shape[-2])
        scores = (*query.shape[:-1], key.shape[-2])

        def call(kind: str, given: tuple[Any, ...], shape: tuple[int, ...], part: str) -> Value:
            return self._called(Call(kind, given, shape, block), f'{name}_{part}')

        scaled = call('mul', (query, scale), query.shape, 'scaled')
        turned = call('transpose', (key, -2, -1), swapped, 'keys')
        compared = call('matmul', (scaled, turned), scores, 'compared')
        weighed = call('softmax', (compared, -1), scores, 'weighed')
        shape = (*query.shape[:-1], value.shape[-1])
        self._values[name] = call('matmul', (weighed, value), shape, 'mixed')


def _all_arguments(node: Any) -> tuple[Any, ...]:
    """Return all arguments by position, defaults too."""
    found = list(node.args)
    for argument in node.target._schema.arguments[len(found) :]:
        found.append(node.kwargs.get(argument.name, argument.default_value))
    return tuple(found)


def _layer_name(weight: str) -> str:
    """Return what a layer is called, given the name of its weight: in_proj of in_proj_weight."""
    name = weight.removesuffix('weight').rstrip('._')
    return name or 'network'


def _block_of(node: Any) -> str:
    """Return the name of the module that an operator is in."""
    stack: Mapping[str, Any] = node.meta.get('nn_module_stack') or {}
    paths = [path for path, _ in stack.values()]
    name = paths[-1] if paths else ''
    return name.removeprefix("L['self'].").removeprefix("L['self']") or 'the network itself'
