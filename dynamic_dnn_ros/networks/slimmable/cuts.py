# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where steps can be cut in two: where one value is handed on, and layers follow that read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses

from dynamic_dnn_ros.networks.slimmable.layout import INPUT
from dynamic_dnn_ros.networks.slimmable.operators import LAYERS
from dynamic_dnn_ros.networks.slimmable.program import values_of
from dynamic_dnn_ros.networks.slimmable.steps import Step

Shape = tuple[int, ...]

_PICTURE, _TOKENS = 3, 2
_READERS = {_PICTURE: ('convolution',), _TOKENS: ('linear', 'layer_norm')}
"""What reads channels x height x width, and what reads tokens x channels."""
_COSTLY = ('convolution', 'linear')


@dataclasses.dataclass(frozen=True)
class Cut:
    """
    A place between two steps.

    :param end: how many steps lie before it.
    :param value: name of the value that is handed on.
    :param shape: of that value, of one picture: channels x height x width, or tokens x channels.
    """

    end: int
    value: str
    shape: Shape

    @property
    def channels(self) -> int:
        """Return the number of channels."""
        return self.shape[0] if len(self.shape) == _PICTURE else self.shape[-1]


def cuts_of(steps: Sequence[Step], shapes: Mapping[str, Shape]) -> tuple[Cut, ...]:
    """
    Return the places of steps, one at most between two layers that compute much.

    :param shapes: of the values whose first dimension is the batch, of one picture.
    """
    found: list[Cut] = []
    last_use = {
        name: index for index, step in enumerate(steps) for name in values_of(step.arguments)
    }
    furthest = last_use.get(INPUT, 0)
    begun = computed = normalised = False
    for index, step in enumerate(steps[:-1]):
        computed |= step.operator in _COSTLY
        begun |= computed
        normalised |= step.operator == 'layer_norm'
        shape = shapes.get(step.name, ())
        if (
            furthest <= index
            and begun
            and _next_layer(steps, index + 1).operator in _READERS.get(len(shape), ())
        ):
            if computed or not found:
                found.append(Cut(index + 1, step.name, shape))
            elif not normalised:
                # What follows a layer belongs to it; layers of attention begin with a norm.
                found[-1] = Cut(index + 1, step.name, shape)
            computed = normalised = False
        furthest = max(furthest, last_use.get(step.name, 0))
    return tuple(found)


def named(
    steps: Sequence[Step], cuts: Sequence[Cut], shapes: Mapping[str, Shape]
) -> dict[str, str]:
    """
    Return names for the values of cuts of the largest sub-network, by what ends there.

    After `layer1.0.bn2` and before `layer1.1.conv1` it is `layer1.0`; before `layer2.0.conv1` it
    is `layer1`. A place with more channels than the next one lies within a block, and has none.
    """
    names: dict[str, str] = {}
    if not cuts:
        return names
    behind = _next_layer(steps, cuts[-1].end)
    most = cuts[-1].channels
    if behind.operator == 'convolution':
        most = shapes[behind.name][0]
    for cut in reversed(cuts):
        if cut.channels > most:
            continue
        most = cut.channels
        before = next(step for step in reversed(steps[: cut.end]) if step.operator in LAYERS)
        name = _ended(before.layer, _next_layer(steps, cut.end).layer)
        if name not in names.values():
            names[cut.value] = name
    return dict(reversed(names.items()))


def _next_layer(steps: Sequence[Step], begin: int) -> Step:
    return next((step for step in steps[begin:] if step.operator in LAYERS), steps[-1])


def _ended(one: str, following: str) -> str:
    """Return the shortest beginning of the path of a layer that does not lead to the next one."""
    parts, others = one.split('.'), following.split('.')
    for count in range(1, len(parts)):
        if parts[:count] != others[:count]:
            return '.'.join(parts[:count])
    return one
