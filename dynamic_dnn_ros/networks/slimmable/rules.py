# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What each operator of PyTorch means for dimensions, and what it becomes in a layout.

A rule is given the values that go into an operator, unites or keeps factors of their dimensions,
and returns the dimensions of what comes out, with operator and arguments for the layout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from typing import Any

from dynamic_dnn_ros.networks.slimmable.axes import (
    Dimension,
    dimension,
    factors_of,
    keep,
    regrouped,
    size_of,
    unite,
)

PLACES = 'places of a picture, or of a sequence'
_IMAGE = 2


class CannotSlim(ValueError):
    """An operator, or a use of one, that is not known here; says what it is."""


@dataclasses.dataclass(frozen=True)
class Value:
    """
    A tensor in a network.

    :param name: of the step that gives it, or of the parameter.
    :param dimensions: its dimensions; of an operator that gives several tensors a list of those.
    :param shape: their sizes.
    :param is_parameter: whether it is a parameter that no step has given yet.
    """

    name: str
    dimensions: Any
    shape: tuple[int, ...]
    is_parameter: bool = False

    @property
    def reference(self) -> dict[str, str]:
        """Return how a step names it."""
        return {'value': self.name}


@dataclasses.dataclass(frozen=True)
class Size:
    """An argument that is the size of a dimension, once its factors are known."""

    factors: Dimension


@dataclasses.dataclass
class Result:
    """
    What an operator gives.

    :param dimensions: of its output; a list of those where it gives several.
    :param operator: of the step; empty where the output is the first value itself.
    :param layer: plain values that describe a layer, with the parameters that it has.
    :param work: factors of the multiply-adds of a product of two values.
    """

    dimensions: Any
    operator: str = ''
    arguments: tuple[Any, ...] = ()
    layer: Mapping[str, Any] | None = None
    work: Dimension | None = None


@dataclasses.dataclass(frozen=True)
class Call:
    """
    One use of an operator.

    :param arguments: by position, those that were not given with their defaults.
    :param shape: of the output; None where there are several.
    :param where: the layer or block that it is in, for reasons.
    """

    name: str
    arguments: tuple[Any, ...]
    shape: tuple[int, ...] | None
    where: str


Rule = Callable[[Call], Result]


def _same(operator: str, *more: int) -> Rule:
    """Return the rule of an operator that treats every number alike; more arguments follow."""

    def rule(call: Call) -> Result:
        value = call.arguments[0]
        arguments = tuple(call.arguments[position] for position in more)
        return Result(value.dimensions, operator, (value.reference, *arguments))

    return rule


def _identity(call: Call) -> Result:
    return Result(call.arguments[0].dimensions)


def _numbers(operator: str) -> Rule:
    def rule(call: Call) -> Result:
        one, two = call.arguments[:2]
        if len(call.arguments) > _IMAGE and call.arguments[2] not in (1, None):
            raise CannotSlim(f'{call.name} with a factor')
        if not isinstance(two, Value):
            return Result(one.dimensions, operator, (one.reference, two))
        return Result(_broadcast(one, two, call), operator, (one.reference, two.reference))

    return rule


def _broadcast(one: Value, two: Value, call: Call, leave: int = 0) -> list[Dimension]:
    """Unite what is added, multiplied and so on; of the last dimensions `leave` are left out."""
    ones, twos = list(one.dimensions), list(two.dimensions)
    if leave:
        ones, twos = ones[:-leave], twos[:-leave]
    longest = max(len(ones), len(twos))
    ones = [[]] * (longest - len(ones)) + ones
    twos = [[]] * (longest - len(twos)) + twos
    result = []
    for a, b in zip(ones, twos):
        if a and b:
            unite(a, b, f'{call.where} adds or multiplies channels of unlike structure')
        result.append(a or b)
    return result


def _convolution(call: Call) -> Result:
    value, weight, bias, stride, padding, dilation, groups = call.arguments
    if not weight.is_parameter or (bias is not None and not bias.is_parameter):
        raise CannotSlim('a convolution whose weights are computed')
    if isinstance(padding, str):
        raise CannotSlim(f'a convolution with padding {padding!r}')
    channels, (rows, columns) = value.dimensions[1], weight.dimensions[:2]
    outputs, of_groups = rows, Size([])
    if groups == 1:
        unite(channels, columns, _unlike(call))
    else:
        inputs = regrouped(
            channels, [groups, size_of(factors_of(channels)) // groups], _unlike(call)
        )
        outer, inner = regrouped(
            rows, [groups, size_of(factors_of(rows)) // groups], _unlike(call)
        )
        unite(inputs[0], outer, _unlike(call))
        unite(inputs[1], columns, _unlike(call))
        why = f'{call.where} convolves in groups, of which only whole ones can be left out'
        keep([*inputs[1], *inner, *columns], why)
        of_groups = Size(outer)
    if bias is not None:
        unite(rows, bias.dimensions[0], _unlike(call))
    assert call.shape is not None
    layer = {
        'operator': 'convolution',
        'stride': _pair(stride),
        'padding': _pair(padding),
        'dilation': _pair(dilation),
        'groups': of_groups,
        'bias': bias is not None,
    }
    dimensions = [value.dimensions[0], outputs, *_places(call.shape[2:])]
    return Result(dimensions, 'convolution', (value, weight, bias), layer)


def _pair(values: Sequence[int]) -> list[int]:
    return [values[0], values[-1]]


def _places(shape: Sequence[int]) -> list[Dimension]:
    return [dimension(size, PLACES) for size in shape]


def _unlike(call: Call) -> str:
    return f'{call.where} reads channels of unlike structure'


def _linear(call: Call) -> Result:
    value, weight, bias = call.arguments
    if not weight.is_parameter or (bias is not None and not bias.is_parameter):
        raise CannotSlim('a linear layer whose weights are computed')
    rows, columns = weight.dimensions
    unite(value.dimensions[-1], columns, _unlike(call))
    for each in value.dimensions[1:-1]:
        keep(each, f'{call.where} runs once for each of them')
    if bias is not None:
        unite(rows, bias.dimensions[0], _unlike(call))
    layer = {'operator': 'linear', 'bias': bias is not None}
    return Result([*value.dimensions[:-1], rows], 'linear', (value, weight, bias), layer)


def _batch_norm(call: Call) -> Result:
    value, weight, bias, mean, variance, _, momentum, epsilon, _ = call.arguments
    if weight is None or bias is None or mean is None:
        raise CannotSlim('batch normalisation without weights or statistics')
    for each in (weight, bias, mean, variance):
        unite(value.dimensions[1], each.dimensions[0], _unlike(call))
    if len(value.dimensions) != _IMAGE + 2:
        raise CannotSlim('batch normalisation of what is no picture')
    layer = {'operator': 'batch_norm', 'momentum': momentum, 'epsilon': epsilon}
    return Result(value.dimensions, 'batch_norm', (value, weight, bias), layer)


def _layer_norm(call: Call) -> Result:
    value, shape, weight, bias, epsilon = call.arguments[:5]
    if weight is None or bias is None or len(shape) != 1:
        raise CannotSlim('layer normalisation without weights, or of several dimensions')
    for each in (weight, bias):
        unite(value.dimensions[-1], each.dimensions[0], _unlike(call))
    layer = {'operator': 'layer_norm', 'epsilon': epsilon}
    return Result(value.dimensions, 'layer_norm', (value, weight, bias), layer)


def _pool(operator: str, *more: int) -> Rule:
    def rule(call: Call) -> Result:
        value = call.arguments[0]
        arguments = [call.arguments[position] for position in more]
        # An empty stride stands for that of the window.
        arguments = [each if each != [] else arguments[0] for each in arguments]
        assert call.shape is not None
        return Result(
            [*value.dimensions[:-_IMAGE], *_places(call.shape[-_IMAGE:])],
            operator,
            (value.reference, *arguments),
        )

    return rule


def _mean(call: Call) -> Result:
    value, dimensions, keep_dimensions = (*call.arguments, False)[:3]
    count = len(value.dimensions)
    gone = {each % count for each in (dimensions or range(count))}
    for index in gone:
        keep(value.dimensions[index], f'{call.where} takes their mean')
    result = [
        [] if index in gone else each
        for index, each in enumerate(value.dimensions)
        if keep_dimensions or index not in gone
    ]
    return Result(result, 'mean', (value.reference, sorted(gone), bool(keep_dimensions)))


def _reshape(call: Call) -> Result:
    value = call.arguments[0]
    assert call.shape is not None
    flat = [factor for each in value.dimensions for factor in each]
    result = regrouped(flat, call.shape, f'{call.where} mixes them with others')
    return Result(result, 'reshape', (value.reference, [Size(each) for each in result]))


def _expand(call: Call) -> Result:
    value, sizes = call.arguments[:2]
    assert call.shape is not None
    added: list[Dimension] = [[]] * (len(sizes) - len(value.dimensions))
    result = [
        given if given or size == 1 else dimension(size)
        for given, size in zip([*added, *value.dimensions], call.shape)
    ]
    return Result(result, 'expand', (value.reference, [Size(each) for each in result]))


def _transpose(call: Call) -> Result:
    value, one, two = call.arguments
    order = list(range(len(value.dimensions)))
    order[one], order[two] = order[two], order[one]
    return Result([value.dimensions[i] for i in order], 'permute', (value.reference, order))


def _permute(call: Call) -> Result:
    value, order = call.arguments
    order = [each % len(value.dimensions) for each in order]
    return Result([value.dimensions[i] for i in order], 'permute', (value.reference, order))


def _unsqueeze(call: Call) -> Result:
    value, position = call.arguments
    position %= len(value.dimensions) + 1
    result = list(value.dimensions)
    result.insert(position, [])
    return Result(result, 'unsqueeze', (value.reference, position))


def _squeeze(call: Call) -> Result:
    value, positions = call.arguments
    count = len(value.dimensions)
    positions = [positions] if isinstance(positions, int) else positions
    gone = {each % count for each in positions if value.shape[each] == 1}
    result = [each for index, each in enumerate(value.dimensions) if index not in gone]
    return Result(result, 'squeeze', (value.reference, sorted(gone)))


def _concatenate(call: Call) -> Result:
    values, position = call.arguments
    position %= len(values[0].dimensions)
    for each in values:
        keep(
            each.dimensions[position], f'{call.where} joins them with others, one behind the other'
        )
    result = list(values[0].dimensions)
    for other in values[1:]:
        for index, (one, two) in enumerate(zip(result, other.dimensions)):
            if index != position:
                unite(one, two, _unlike(call))
    assert call.shape is not None
    result[position] = dimension(call.shape[position], f'{call.where} joins them')
    return Result(result, 'concatenate', ([each.reference for each in values], position))


def _select(call: Call) -> Result:
    value, position, index = call.arguments
    position %= len(value.dimensions)
    keep(value.dimensions[position], f'{call.where} takes one of them')
    result = [each for i, each in enumerate(value.dimensions) if i != position]
    return Result(result, 'select', (value.reference, position, index))


def _slice(call: Call) -> Result:
    value, position, start, end, step = call.arguments
    position %= len(value.dimensions)
    assert call.shape is not None
    if call.shape[position] == value.shape[position]:
        return Result(value.dimensions)
    keep(value.dimensions[position], f'{call.where} takes some of them')
    result = list(value.dimensions)
    result[position] = dimension(call.shape[position], f'{call.where} takes some of them')
    return Result(result, 'slice', (value.reference, position, start, end, step))


def _unbind(call: Call) -> Result:
    value, position = call.arguments
    position %= len(value.dimensions)
    keep(value.dimensions[position], f'{call.where} takes each by itself')
    one = [each for index, each in enumerate(value.dimensions) if index != position]
    return Result([one] * value.shape[position], 'unbind', (value.reference, position))


def _getitem(call: Call) -> Result:
    value, index = call.arguments
    return Result(value.dimensions[index], 'index', (value.reference, index))


def _softmax(call: Call) -> Result:
    value, position = call.arguments[:2]
    keep(value.dimensions[position], f'{call.where} weighs them against each other')
    return Result(value.dimensions, 'softmax', (value.reference, position))


def _matrix_product(call: Call) -> Result:
    one, two = call.arguments
    if not (isinstance(one, Value) and len(one.shape) > 1 and len(two.shape) > 1):
        raise CannotSlim('a product with a vector')
    unite(one.dimensions[-1], two.dimensions[-2], _unlike(call))
    keep(one.dimensions[-1], f'{call.where} compares them')
    outer = _broadcast(one, two, call, leave=2)
    result = [*outer, one.dimensions[-2], two.dimensions[-1]]
    work = [factor for each in (*result, one.dimensions[-1]) for factor in each]
    return Result(result, 'matrix_product', (one.reference, two.reference), work=work)


def _pad(call: Call) -> Result:
    value, margins, mode, constant = call.arguments[:4]
    if mode != 'constant' or any(margins[2 * _IMAGE :]):
        raise CannotSlim(f'padding by {mode}, or of channels')
    assert call.shape is not None
    count = len(margins) // 2
    dimensions = [*value.dimensions[:-count], *_places(call.shape[-count:])]
    return Result(dimensions, 'pad', (value.reference, margins, float(constant or 0.0)))


RULES: Mapping[str, Rule] = {
    'adaptive_avg_pool2d': _pool('adaptive_average_pool', 1),
    'add': _numbers('add'),
    'alias': _identity,
    'avg_pool2d': _pool('average_pool', 1, 2, 3, 4, 5),
    'batch_norm': _batch_norm,
    'cat': _concatenate,
    'clone': _identity,
    'contiguous': _identity,
    'conv2d': _convolution,
    'detach': _identity,
    'div': _numbers('divide'),
    'dropout': _identity,
    'elu': _same('elu', 1),
    'expand': _expand,
    'feature_dropout': _identity,
    'flatten': _reshape,
    'gelu': _same('gelu', 1),
    'getitem': _getitem,
    'hardsigmoid': _same('hard_sigmoid'),
    'hardswish': _same('hard_swish'),
    'hardtanh': _same('limit', 1, 2),
    'layer_norm': _layer_norm,
    'leaky_relu': _same('leaky_relu', 1),
    'linear': _linear,
    'matmul': _matrix_product,
    'max_pool2d': _pool('maximum_pool', 1, 2, 3, 4, 5),
    'mean': _mean,
    'mish': _same('mish'),
    'mul': _numbers('multiply'),
    'pad': _pad,
    'permute': _permute,
    'relu': _same('relu'),
    'relu6': lambda call: _same('limit', 1, 2)(
        dataclasses.replace(call, arguments=(call.arguments[0], 0.0, 6.0))
    ),
    'reshape': _reshape,
    'select': _select,
    'sigmoid': _same('sigmoid'),
    'silu': _same('silu'),
    'slice': _slice,
    'softmax': _softmax,
    'softplus': _same('softplus', 1, 2),
    'squeeze': _squeeze,
    'sub': _numbers('subtract'),
    'tanh': _same('tanh'),
    'transpose': _transpose,
    'unbind': _unbind,
    'unflatten': _reshape,
    'unsqueeze': _unsqueeze,
    'view': _reshape,
}
