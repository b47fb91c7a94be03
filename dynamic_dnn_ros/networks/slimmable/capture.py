# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Make a slimmable network of any PyTorch module of the operators that are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import math
import re
from typing import Any

import torch
from torch import nn

from dynamic_dnn_ros.networks.checks import ConfigurationError
from dynamic_dnn_ros.networks.slimmable.axes import Factor, factors_of, keep, size_of
from dynamic_dnn_ros.networks.slimmable.blocks import stages_of
from dynamic_dnn_ros.networks.slimmable.layout import (
    BATCH,
    CLASSES,
    Axis,
    Factors,
    SlimmableLayout,
    Stage,
)
from dynamic_dnn_ros.networks.slimmable.network import Slimmable
from dynamic_dnn_ros.networks.slimmable.patches import Patches
from dynamic_dnn_ros.networks.slimmable.reading import CaptureError, ReadNetwork, read_network
from dynamic_dnn_ros.networks.slimmable.rules import Size
from dynamic_dnn_ros.networks.slimmable.steps import Step

WIDTHS = (50, 75, 100)
DEPTHS = (50, 100)
_COLOURS = 3
_TOLERANCE = 1e-3
_STACKABLE = ('convolution', 'linear')
_NUMBERED = re.compile(r'(^|\.)[^.]*\d(\.|$)')


@dataclasses.dataclass(frozen=True)
class Kept:
    """A layer that keeps its outputs: how many, and why."""

    layer: str
    outputs: int
    why: str


@dataclasses.dataclass(frozen=True)
class Captured:
    """
    A slimmable network with the weights of the module that it was made of.

    :param kept: layers whose outputs stay as many as they are.
    """

    network: Slimmable
    kept: tuple[Kept, ...]


@torch.no_grad()
def capture(
    module: nn.Module,
    origin: str,
    resolutions: Sequence[int],
    widths: Sequence[int] = WIDTHS,
    depths: Sequence[int] = DEPTHS,
    patches: Sequence[int] = (),
) -> Captured:
    """
    Make a slimmable network of a module: a classifier of N x 3 x side x side.

    :param origin: where the module came from, for people.
    :param resolutions: sides of the input, pixels; the largest is traced.
    :param widths: active shares that widths can have, percent, rising to 100.
    :param depths: the same of stages.
    :param patches: shares of a transformer's patches that can go on behind its first third; none:
        all go on always.
    :raises CaptureError: if it cannot be made, naming the layer and why.
    """
    # A picture of the smallest size shows at once what the network cannot take.
    module = module.float().eval()
    read = read_network(module, resolutions[-1], origin)
    _keep_what_cannot_be_sliced(read)
    layout = _Writer(read, module).layout(origin, resolutions, widths, depths)
    try:
        network = Slimmable(layout)
    except ConfigurationError as error:
        raise CaptureError(
            origin,
            f'cannot be made again of its operators ({error})',
            'It may take pictures of one size only: give one with --resolutions',
        ) from error
    if patches:
        network = _with_patches(network, patches)
    _take_weights(network, read, module)
    _compare(network, module, origin)
    return Captured(network, _kept(read))


def _with_patches(network: Slimmable, shares: Sequence[int]) -> Slimmable:
    """Return a fresh network that can go on with shares of its patches."""
    layout = network.layout
    tokens = network.values_of_tokens()
    if not tokens:
        raise CaptureError(
            layout.origin,
            'hands on no patches from layer to layer, so they cannot get fewer',
            'Leave --patches out',
        )
    place, count = list(tokens.items())[-1]
    side = math.isqrt(count)
    try:
        patches = Patches(place, count - side**2, side, tuple(shares))
        return Slimmable(dataclasses.replace(layout, patches=patches))
    except ConfigurationError as error:
        raise CaptureError(
            layout.origin,
            f'cannot go on with such shares of its patches ({error})',
            'Give others with --patches, or leave it out',
        ) from error


def _keep_what_cannot_be_sliced(read: ReadNetwork) -> None:
    """Keep factors that are no leading part of a dimension, and all but one in each."""
    read.batch.root.keep('pictures')
    stackable = {
        f'{name}.{kind}'
        for name, layer in read.layers.items()
        if layer['operator'] in _STACKABLE
        for kind in ('weight', 'bias')
    }
    changed = True
    while changed:
        changed = False
        for name, dimensions in read.tensors.items():
            for position, each in enumerate(dimensions):
                factors = factors_of(each)
                free = [factor for factor in factors if not factor.kept]
                if not free:
                    continue
                in_front = size_of(factors[: factors.index(free[0])])
                if in_front > 1 and not (position == 0 and name in stackable):
                    keep(free, f'{name} has them behind others')
                    changed = True
                elif len(free) > 1:
                    keep(free[1:], f'{name} has them inside of others, which may be left out')
                    changed = True
    made = {
        factor.root
        for name, dimensions in read.tensors.items()
        if name in stackable and dimensions
        for factor in factors_of(dimensions[0])
    }
    for dimensions in read.tensors.values():
        for factor in (leaf for each in dimensions for leaf in factors_of(each)):
            if factor not in made:
                factor.keep('no layer makes them')


def _kept(read: ReadNetwork) -> tuple[Kept, ...]:
    """Return the layers whose outputs stay, but for the last ones."""
    rows = []
    for name, layer in read.layers.items():
        dimensions = read.tensors[f'{name}.weight']
        factors = factors_of(dimensions[0])
        if layer['operator'] not in _STACKABLE or read.classes.root in factors:
            continue
        if all(factor.kept for factor in factors):
            why = next((factor.kept for factor in factors), 'there is but one')
            rows.append(Kept(name, size_of(factors), why))
    return tuple(rows)


class _Writer:
    """Writes what was read as a layout."""

    def __init__(self, read: ReadNetwork, module: nn.Module) -> None:
        self._read = read
        self._axes: dict[Factor, int] = {}
        self._names: list[str] = []
        self._users: list[set[str]] = []
        self._module = module
        stackable = [n for n, layer in read.layers.items() if layer['operator'] in _STACKABLE]
        for name in stackable:
            for factor in factors_of(read.tensors[f'{name}.weight'][0]):
                if not factor.kept and factor not in self._axes:
                    self._axes[factor] = len(self._axes)
                    self._names.append(name)
        self._users = [set() for _ in self._axes]
        for name, dimensions in read.tensors.items():
            for factor in (leaf for each in dimensions for leaf in factors_of(each)):
                if factor in self._axes:
                    self._users[self._axes[factor]].add(name.rpartition('.')[0])

    def layout(
        self,
        origin: str,
        resolutions: Sequence[int],
        widths: Sequence[int],
        depths: Sequence[int],
    ) -> SlimmableLayout:
        read = self._read
        if not self._axes:
            raise CaptureError(
                origin,
                f'no layer can get narrower: {"; ".join(reasons(_kept(read)))}',
                'Give another network',
            )
        stages = stages_of(read.steps)
        knobs, entries = self._knobs(stages)
        return SlimmableLayout(
            origin=origin,
            classes=read.classes.size,
            resolutions=tuple(resolutions),
            widths=tuple(widths),
            depths=tuple(depths) if stages else (100,),
            axes=tuple(
                Axis(name, factor.size, knob)
                for factor, name, knob in zip(self._axes, self._names, entries)
            ),
            knobs=knobs,
            stages=stages,
            tensors={name: self._stored(name) for name in read.tensors},
            layers={
                name: {
                    key: self._factors(value.factors) if isinstance(value, Size) else value
                    for key, value in layer.items()
                }
                for name, layer in read.layers.items()
            },
            steps=tuple(
                Step(
                    step.name,
                    step.operator,
                    self._arguments(step.operator, step.arguments),
                    step.layer,
                )
                for step in read.steps
            ),
            last_layers=tuple(
                name
                for name in read.layers
                if read.classes.root in factors_of(read.tensors[f'{name}.weight'][0])
            ),
            products={
                step.name: tuple(f for f in self._factors(step.work) if f != BATCH)
                for step in read.steps
                if step.work is not None
            },
        )

    def _knobs(self, stages: Sequence[Stage]) -> tuple[tuple[str, ...], list[int]]:
        """Return names of knobs, and the one of each axis: those of one block have one."""
        added = {name for stage in stages for block in stage.blocks for name in block}
        trunks = {
            factor
            for step in self._read.steps
            if step.name in added
            for each in step.dimensions
            for factor in factors_of(each)
        }
        places = [
            '' if factor in trunks else _common_path(users)
            for factor, users in zip(self._axes, self._users)
        ]
        outer = [place for place in places if _NUMBERED.search(place)]
        knobs: dict[str, int] = {}
        entries = []
        for place, name in zip(places, self._names):
            around = [each for each in outer if place == each or place.startswith(f'{each}.')]
            key = min(around, key=len) if around else name
            entries.append(knobs.setdefault(key, len(knobs)))
        return tuple(knobs), entries

    def _factors(self, factors: Sequence[Factor]) -> list[int | str]:
        """Return factors as a layout has them, numbers next to each other as one."""
        result: list[int | str] = []
        for factor in factors_of(factors):
            if factor is self._read.batch.root:
                result.append(BATCH)
            elif factor is self._read.classes.root:
                result.append(CLASSES)
            elif factor in self._axes:
                result.append(f'a{self._axes[factor]}')
            elif result and isinstance(result[-1], int):
                result[-1] *= factor.size
            else:
                result.append(factor.size)
        return result

    def _stored(self, name: str) -> tuple[Factors, ...]:
        """Return the dimensions of a tensor, stacked rows as one more in front."""
        dimensions = [tuple(self._factors(each)) for each in self._read.tensors[name]]
        first = dimensions[0] if dimensions else ()
        if len(first) > 1 and isinstance(first[0], int) and isinstance(first[1], str):
            return ((first[0],), first[1:], *dimensions[1:])
        return tuple(dimensions)

    def _arguments(self, operator: str, arguments: Any) -> tuple[Any, ...]:
        plain = tuple(self._plain(each) for each in arguments)
        if operator == 'reshape':
            # So a graph that is traced needs no batch size.
            sizes = [-1 if isinstance(s, dict) and BATCH in s['size'] else s for s in plain[1]]
            if sizes.count(-1) == 1:
                return (plain[0], sizes)
        return plain

    def _plain(self, argument: Any) -> Any:
        if isinstance(argument, Size):
            factors = self._factors(argument.factors)
            if all(isinstance(each, int) for each in factors):
                return factors[0] if factors else 1
            return {'size': factors}
        if isinstance(argument, (list, tuple)):
            return [self._plain(each) for each in argument]
        if isinstance(argument, Mapping):
            return {name: self._plain(value) for name, value in argument.items()}
        return argument


def _common_path(names: set[str]) -> str:
    parts = [name.split('.') for name in names]
    shared = []
    for each in zip(*parts):
        if len(set(each)) > 1:
            break
        shared.append(each[0])
    return '.'.join(shared)


def _take_weights(network: Slimmable, read: ReadNetwork, module: nn.Module) -> None:
    given = module.state_dict()
    for name, parameter in network.named_parameters():
        parameter.copy_(given[read.sources[name]].reshape(parameter.shape))
    for name, layer in network.layout.layers.items():
        if layer['operator'] == 'batch_norm':
            own: Any = network.get_submodule(name)
            for kind in ('running_mean', 'running_var'):
                getattr(own, kind).copy_(given[f'{name}.{kind}'])


def _compare(network: Slimmable, module: nn.Module, origin: str) -> None:
    """Check that the largest sub-network computes what the module does, and that all sizes run."""
    generator = torch.Generator().manual_seed(0)
    network.eval()
    for side in network.layout.resolutions:
        pictures = torch.randn(2, _COLOURS, side, side, generator=generator)
        within = {'resolution': (side,)}
        network.activate(network.largest(within))
        try:
            expected = module(pictures)
        except Exception as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise CaptureError(
                origin,
                f'does not take pictures of {side}x{side} ({reason})',
                'Give other sizes with --resolutions',
            ) from error
        difference = float((network(pictures) - expected).abs().max())
        scale = max(1.0, float(expected.abs().max()))
        if not difference <= _TOLERANCE * scale:
            raise CaptureError(
                origin,
                f'computes something else when made again of its operators: answers to pictures '
                f'of {side}x{side} are off by {difference:.2g}',
                'It decides by its input, or is in training mode always: give another network',
            )
        network.activate(network.smallest(within))
        network(pictures)
    network.activate(network.largest())


def reasons(kept: Sequence[Kept]) -> list[str]:
    """Return a sentence a reason, with the first layers that it holds for."""
    names: dict[str, list[str]] = {}
    for each in kept:
        names.setdefault(each.why, []).append(each.layer)
    return [f'{_few(layers)} ({why})' for why, layers in names.items()]


def _few(names: Sequence[str]) -> str:
    shown = ', '.join(names[:3])
    return shown + (f' and {len(names) - 3} more' if len(names) > 3 else '')
