# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Any network of convolutions or attention whose widths and depths nest: the family `slimmable`.

Yu et al., Slimmable Neural Networks, ICLR 2019, and Yu and Huang, Universally Slimmable Networks,
ICCV 2019: a narrower sub-network consists of the first channels of every layer, with batch-norm
statistics of its own. Here for a network that somebody else designed: what it computes is data, a
list of operators (`layout.py`), and `capture.py` makes that of a PyTorch module. So loading a
bundle runs no code of its network, and needs no other package.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
import json
import math
from pathlib import Path
import random
from typing import Any

import torch
from torch import nn

from dynamic_dnn_ros.networks.checks import (
    ConfigurationError,
    as_sequence,
    require_choice,
)
from dynamic_dnn_ros.networks.contract import Choices, DynamicNetwork, Step
from dynamic_dnn_ros.networks.elastic_layers import parameter_from
from dynamic_dnn_ros.networks.slimmable.beginning import begun_as
from dynamic_dnn_ros.networks.slimmable.configuration import SlimmableConfiguration
from dynamic_dnn_ros.networks.slimmable.cuts import Cut, cuts_of, named
from dynamic_dnn_ros.networks.slimmable.layers import (
    empty_layer,
    extracted_layer,
    leading,
    run_layer,
)
from dynamic_dnn_ros.networks.slimmable.layout import INPUT, SlimmableLayout
from dynamic_dnn_ros.networks.slimmable.operators import LAYERS, PARAMETER
from dynamic_dnn_ros.networks.slimmable.program import Program, live_steps, values_of
from dynamic_dnn_ros.networks.slimmable.sorting import sort_axes
from dynamic_dnn_ros.networks.slimmable.static import SlimNetwork, put

_COLOURS = 3
_REMEMBERED = 256

#: Dimensions of tokens, of one picture.
_TOKENS = 2

#: Fields of a configuration that are one number.
_SINGLE = ('resolution', 'patches')


class _Active(nn.Module):
    """A part of the active sub-network of a network, whose layers stay where they are."""

    def __init__(self, network: Slimmable, program: Program, active: tuple[int, ...]) -> None:
        super().__init__()
        self.__dict__['_network'] = network
        self._program = program
        self._widths = active

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        """Run the part."""
        network: Slimmable = self.__dict__['_network']
        return network.run(self._program, self._widths, value)


class Slimmable(DynamicNetwork[SlimmableConfiguration]):
    """A network of a layout; a fresh one runs the largest sub-network."""

    family = 'slimmable'

    def __init__(self, layout: SlimmableLayout) -> None:
        super().__init__()
        self.layout = layout
        #: Instead of the contract's: what the layout says.
        self.last_layers = layout.last_layers  # type: ignore[misc]
        self._widest = tuple(axis.size for axis in layout.axes)
        self._make()
        self._plan = lru_cache(_REMEMBERED)(self._planned)
        self._count = lru_cache(_REMEMBERED)(self._counted)
        shares = layout.patches.shares if layout.patches else (0,)
        self._runs = {
            (side, share): self._measured_runs(side, share)
            for side in layout.resolutions
            for share in shares
        }
        self._cuts = lru_cache(_REMEMBERED)(self._cut)
        self.activate(self.largest())

    def _make(self) -> None:
        layers, tensors = {}, {}
        try:
            for name, layer in self.layout.layers.items():
                sizes = self._sizes(f'{name}.weight', self._widest)
                layers[name] = empty_layer(layer, sizes, self._groups(layer, self._widest))
            of_layers = {f'{name}.{kind}' for name in layers for kind in ('weight', 'bias')}
            for name in self.layout.tensors:
                if name not in of_layers:
                    tensors[name] = nn.Parameter(_fresh(self._sizes(name, self._widest)))
            put(self, layers, tensors)
            expected = {name: tuple(each.shape) for name, each in self.named_parameters()}
            given = {name: self._sizes(name, self._widest) for name in self.layout.tensors}
            if expected != given:
                wrong = next(n for n in {**given, **expected} if given.get(n) != expected.get(n))
                raise ConfigurationError(
                    f'tensors.{wrong}',
                    given.get(wrong),
                    f'what its layer has, {expected.get(wrong)}',
                )
        except ConfigurationError:
            raise
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ConfigurationError(
                'layers', type(error).__name__, f'layers that can be made ({error})'
            ) from error

    @classmethod
    def from_layout(cls, layout: str | Mapping[str, Any]) -> Slimmable:
        """Create the network of a layout, or of the file that holds one; see the contract."""
        if not isinstance(layout, str):
            return cls(SlimmableLayout.from_mapping(layout))
        try:
            mapping = json.loads(Path(layout).expanduser().read_text(encoding='utf-8'))
            if not isinstance(mapping, dict):
                raise ValueError('it holds no mapping')
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                'layout',
                layout,
                f'a file as `dynamic-dnn make-dynamic` writes it, network.json ({error})',
            ) from error
        return cls(SlimmableLayout.from_mapping(mapping))

    def layout_mapping(self) -> dict[str, Any]:
        """Return the layout as plain values."""
        return self.layout.to_mapping()

    def configuration(self, mapping: Mapping[str, Any]) -> SlimmableConfiguration:
        """Return the legal configuration that a mapping describes; see the contract."""
        names = set(self._entries())
        if set(mapping) != names:
            raise ConfigurationError(
                'configuration', sorted(map(str, mapping)), f'exactly the fields {sorted(names)}'
            )
        made = SlimmableConfiguration(
            as_sequence('width', mapping['width']),
            as_sequence('depth', mapping.get('depth', ())),
            mapping['resolution'],
            mapping.get('patches', 0),
        )
        self._check(made)
        return made

    def _entries(self) -> dict[str, int]:
        """Return each field of a configuration with its number of entries."""
        stages = len(self.layout.stages)
        depth = {'depth': stages} if stages else {}
        patches = {'patches': 1} if self.layout.patches else {}
        return {'width': len(self.layout.knobs), **depth, 'resolution': 1, **patches}

    def _check(self, configuration: SlimmableConfiguration) -> None:
        choices = self.choices()
        for name, count in self._entries().items():
            if name in _SINGLE:
                require_choice(name, getattr(configuration, name), choices[name])
                continue
            values = getattr(configuration, name)
            if len(values) != count:
                raise ConfigurationError(name, values, f'a list of {count}')
            for index, value in enumerate(values):
                require_choice(f'{name}[{index}]', value, choices[name])

    def choices(self) -> dict[str, tuple[int, ...]]:
        """Return the choices; each of a list's entries has those of its field."""
        layout = self.layout
        depth = {'depth': layout.depths} if layout.stages else {}
        patches = {'patches': layout.patches.shares} if layout.patches else {}
        return {'width': layout.widths, **depth, 'resolution': layout.resolutions, **patches}

    def uniform(self, values: Mapping[str, int]) -> SlimmableConfiguration:
        """Return the configuration whose knobs, and stages, are all alike; see the contract."""
        entries = self._entries()
        if set(values) != set(entries):
            raise ConfigurationError(
                'values', sorted(map(str, values)), f'exactly the fields {sorted(entries)}'
            )
        made = SlimmableConfiguration(
            (values['width'],) * entries['width'],
            (values.get('depth', 0),) * entries.get('depth', 0),
            values['resolution'],
            values.get('patches', 0),
        )
        self._check(made)
        return made

    def sample(
        self, generator: random.Random, within: Choices | None = None
    ) -> SlimmableConfiguration:
        """Return a random configuration; see the contract."""
        choices = self.choices_within(within)
        drawn = {
            name: tuple(generator.choices(choices[name], k=count))
            for name, count in self._entries().items()
        }
        return SlimmableConfiguration(
            drawn['width'],
            drawn.get('depth', ()),
            drawn['resolution'][0],
            drawn.get('patches', (0,))[0],
        )

    def landmarks(self) -> tuple[SlimmableConfiguration, ...]:
        """Return the smallest, and all of one width and full depth, at the largest resolution."""
        values = {name: choices[-1] for name, choices in self.choices().items()}
        found = {self.smallest(): None}
        found.update(
            (self.uniform({**values, 'width': width}), None) for width in self.layout.widths
        )
        costs: dict[int, SlimmableConfiguration] = {}
        for each in found:
            costs.setdefault(self.multiply_adds(each), each)
        costs[self.multiply_adds(self.largest())] = self.largest()
        return tuple(costs[cost] for cost in sorted(costs))

    def activate(self, configuration: SlimmableConfiguration) -> None:
        """Make forward run this sub-network: sets a value, moves no weight."""
        self._check(configuration)
        self._active = configuration

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return the logits of the active sub-network, N x classes."""
        return self.run(*self._plan(self._active), pictures)

    def run(self, program: Program, active: tuple[int, ...], value: torch.Tensor) -> torch.Tensor:
        """
        Run a sub-network, or a part of one.

        :param active: widths of all axes.
        """

        def layer_of(name: str, inputs: torch.Tensor) -> torch.Tensor:
            layer = self.layout.layers[name]
            return run_layer(
                layer,
                self.get_submodule(name),
                inputs,
                self._sizes(f'{name}.weight', active),
                self._sizes(f'{name}.bias', active),
                self._groups(layer, active),
            )

        return program.run(
            value,
            layer_of,
            lambda name: leading(self.get_parameter(name), self._sizes(name, active)),
        )

    def places(self, configuration: SlimmableConfiguration) -> dict[str, tuple[int, ...]]:
        """
        Return where blocks end that hand on one value; see the contract.

        The end of block `layer1.0` is `layer1.0`, and that of the last one of `layer1` is
        `layer1`. A sub-network that leaves a block out lacks its end.
        """
        self._check(configuration)
        return {name: cut.shape for name, cut in self._cuts(configuration).items()}

    def values_of_tokens(self) -> dict[str, int]:
        """Return what places of the first third hand on in every depth, and how many tokens."""
        live = {step.name for step in self._plan(self.smallest())[0].steps}
        cuts = [cut for cut in self._cuts(self.largest()).values() if len(cut.shape) == _TOKENS]
        early = cuts[: len(cuts) // 3 + 1]
        return {cut.value: cut.shape[0] for cut in early if cut.value in live}

    def with_beginning(
        self,
        configuration: SlimmableConfiguration,
        beginning: SlimmableConfiguration,
        place: int,
    ) -> SlimmableConfiguration:
        """Return a sub-network that begins as another one; see `begun_as`."""
        cuts = list(self._cuts(beginning).values())
        if not 0 <= place < len(cuts):
            raise ConfigurationError('place', place, f'a number below {len(cuts)}')
        cut = cuts[place]
        before = self._plan(beginning)[0].steps[: cut.end]
        return begun_as(self.layout, configuration, beginning, before, cut.value)

    def steps(self) -> tuple[Step, ...]:
        """Return the parts of the active sub-network between places; see the contract."""
        _, active = self._plan(self._active)
        parts = self._parts(self._active)
        return tuple(Step(_Active(self, each, active), '', place) for each, place in parts)

    def extract_steps(
        self, configuration: SlimmableConfiguration, share_weights: bool = False
    ) -> tuple[Step, ...]:
        """Return the parts of a sub-network between places; see the contract."""
        self._check(configuration)
        _, active = self._plan(configuration)
        return tuple(
            Step(self._static(each, active, share_weights), '', place)
            for each, place in self._parts(configuration)
        )

    def _parts(self, configuration: SlimmableConfiguration) -> list[tuple[Program, str]]:
        """Return what runs between two places, with the name of the second; none: no places."""
        program, active = self._plan(configuration)
        cuts = self._cuts(configuration)
        begins = [(0, INPUT), *((cut.end, cut.value) for cut in cuts.values())]
        ends = [(cut.end, name) for name, cut in cuts.items()] + [(len(program.steps), '')]
        return [
            (Program(program.steps[begin:end], self.layout, active, given), place)
            for (begin, given), (end, place) in zip(begins, ends)
            if cuts
        ]

    @torch.no_grad()
    def _cut(self, configuration: SlimmableConfiguration) -> dict[str, Cut]:
        """Return the places of a sub-network by name."""
        program, _ = self._plan(configuration)
        # Two pictures: what does not begin with their number is nothing that can be handed on.
        shapes = {
            name: shape[1:]
            for name, shape in self._shapes(configuration, 2).items()
            if shape[:1] == (2,)
        }
        cuts = self._before_merging(cuts_of(program.steps, shapes), program, shapes)
        if configuration == self.largest():
            names = named(program.steps, cuts, shapes)
        else:
            names = {cut.value: name for name, cut in self._cuts(self.largest()).items()}
        return {names[cut.value]: cut for cut in cuts if cut.value in names}

    def _shapes(
        self, configuration: SlimmableConfiguration, pictures: int
    ) -> dict[str, tuple[int, ...]]:
        """Return the shape of each value of a sub-network, by its name."""
        static: Any = self.extract(configuration, share_weights=True).to('meta')
        shapes: dict[str, tuple[int, ...]] = {}

        def watch(name: str, value: Any) -> None:
            if isinstance(value, torch.Tensor):
                shapes[name] = tuple(value.shape)

        program, _ = self._plan(configuration)
        program.run(
            torch.empty(pictures, _COLOURS, *configuration.size, device='meta'),
            lambda name, inputs: static.get_submodule(name)(inputs),
            static.get_parameter,
            watch,
        )
        return shapes

    def _before_merging(
        self, cuts: tuple[Cut, ...], program: Program, shapes: Mapping[str, tuple[int, ...]]
    ) -> tuple[Cut, ...]:
        """Return the cuts; at that of patches all of them are handed on, and averaged behind."""
        patches = self.layout.patches
        if patches is None:
            return cuts
        ends = {step.name: index + 1 for index, step in enumerate(program.steps)}
        whole = Cut(ends[patches.after], patches.after, shapes[patches.after])
        return tuple(whole if cut.value == patches.merged else cut for cut in cuts)

    @torch.no_grad()
    def extract(
        self, configuration: SlimmableConfiguration, share_weights: bool = False
    ) -> SlimNetwork:
        """Return one sub-network as a static module; see the contract."""
        self._check(configuration)
        return self._static(*self._plan(configuration), share_weights)

    @torch.no_grad()
    def _static(
        self, program: Program, active: tuple[int, ...], share_weights: bool
    ) -> SlimNetwork:
        layers, tensors = {}, {}
        for step in program.steps:
            name = step.layer
            if step.operator == PARAMETER:
                part = leading(self.get_parameter(name), self._sizes(name, active))
                tensors[name] = parameter_from(part, share_weights)
            elif name:
                layer = self.layout.layers[name]
                layers[name] = extracted_layer(
                    layer,
                    self.get_submodule(name),
                    self._sizes(f'{name}.weight', active),
                    self._sizes(f'{name}.bias', active),
                    self._groups(layer, active),
                    share_weights,
                )
        return SlimNetwork(program, layers, tensors).requires_grad_(False).eval()

    def multiply_adds(self, configuration: SlimmableConfiguration) -> int:
        """Return the multiply-adds of one picture: layers, and products in attention."""
        return self._count(configuration)[0]

    def parameter_count(self, configuration: SlimmableConfiguration) -> int:
        """Return the number of trainable parameters, from the layout alone."""
        return self._count(configuration)[1]

    def layer_count(self, configuration: SlimmableConfiguration) -> int:
        """Return the number of convolutions and linear layers."""
        return self._count(configuration)[2]

    def active_batch_norms(self) -> Iterator[tuple[str, nn.BatchNorm2d, int]]:
        """Yield name, module and number of channels of each active batch-norm layer."""
        program, active = self._plan(self._active)
        for step in program.steps:
            if step.operator == 'batch_norm':
                module = self.get_submodule(step.layer)
                assert isinstance(module, nn.BatchNorm2d)
                yield step.layer, module, self._sizes(f'{step.layer}.weight', active)[0]

    def sort_channels(self, trained: Choices | None = None) -> None:
        """Sort each axis by importance, the most important first; see `sort_axes`."""
        sort_axes(self, self.layout, trained)

    def _sizes(self, name: str, active: tuple[int, ...]) -> tuple[int, ...]:
        """Return the sizes of a tensor's active part; none of one that is not there."""
        return tuple(self.layout.size(each, active) for each in self.layout.tensors.get(name, ()))

    def _groups(self, layer: Mapping[str, Any], active: tuple[int, ...]) -> int:
        return self.layout.size(layer.get('groups', ()), active)

    def _planned(self, configuration: SlimmableConfiguration) -> tuple[Program, tuple[int, ...]]:
        """Return the steps of a sub-network, and the active widths of all axes."""
        layout = self.layout
        active = tuple(axis.active(configuration.width[axis.knob]) for axis in layout.axes)
        steps = live_steps(layout, configuration.depth)
        if self._has_fewer(configuration):
            assert layout.patches is not None
            steps = layout.patches.fewer(steps, layout.tensors, configuration.patches)
        return Program(steps, layout, active), active

    def _has_fewer(self, configuration: SlimmableConfiguration) -> bool:
        return (
            self.layout.patches is not None
            and configuration.patches < self.layout.patches.shares[-1]
        )

    def _counted(self, configuration: SlimmableConfiguration) -> tuple[int, int, int]:
        self._check(configuration)
        program, active = self._plan(configuration)
        runs = self._runs[configuration.resolution, configuration.patches]
        products = self._products(configuration)
        multiply_adds = layers = 0
        names: dict[str, None] = {}
        for step in program.steps:
            if step.operator == PARAMETER:
                names[step.layer] = None
            elif step.operator in LAYERS:
                names.update({f'{step.layer}.weight': None, f'{step.layer}.bias': None})
            if step.operator in ('convolution', 'linear'):
                sizes = self._sizes(f'{step.layer}.weight', active)
                multiply_adds += math.prod(sizes) * runs[step.name]
                layers += 1
            elif step.name in products:
                multiply_adds += products[step.name]
        parameters = sum(
            math.prod(self._sizes(name, active)) for name in names if name in self.layout.tensors
        )
        return multiply_adds, parameters, layers

    @torch.no_grad()
    def _products(self, configuration: SlimmableConfiguration) -> dict[str, int]:
        """Return the multiply-adds of products of two values, of one picture."""
        program, active = self._plan(configuration)
        products = self.layout.products
        if not self._has_fewer(configuration):
            return {name: self.layout.size(each, active) for name, each in products.items()}
        shapes = self._shapes(configuration, 1)
        return {
            step.name: math.prod(shapes[step.name]) * shapes[values_of(step.arguments)[0]][-1]
            for step in program.steps
            if step.name in products
        }

    @torch.no_grad()
    def _measured_runs(self, side: int, share: int) -> dict[str, int]:
        """
        Return at how many places of one picture each layer runs, by shapes alone.

        :param share: of the patches, percent
        """
        within = {'patches': (share,)} if share else {}
        program, _ = self._plan(self.largest(within))
        runs: dict[str, int] = {}
        pictures = torch.empty(1, _COLOURS, side, side, device='meta')
        whole: Any = extracted_on_meta(self)
        layers = iter([step for step in program.steps if step.operator in LAYERS])

        def run(name: str, inputs: torch.Tensor) -> torch.Tensor:
            outputs: torch.Tensor = whole.get_submodule(name)(inputs)
            step = next(layers)
            channels = outputs.shape[-1 if step.operator == 'linear' else 1]
            runs[step.name] = outputs.numel() // channels
            return outputs

        try:
            found = program.run(pictures, run, whole.get_parameter)
        # Whatever an operator says of arguments or shapes that do not fit it.
        except Exception as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            field, value = ('patches', share) if within else ('resolutions', side)
            raise ConfigurationError(
                field, value, f'a number at which its steps can run ({reason})'
            ) from error
        if found.shape != (1, self.layout.classes):
            raise ConfigurationError(
                'steps', tuple(found.shape), f'a network that gives 1 x {self.layout.classes}'
            )
        return runs


def extracted_on_meta(network: Slimmable) -> nn.Module:
    """Return the largest sub-network without memory for its weights."""
    configuration = network.largest()
    return network.extract(configuration, share_weights=True).to('meta')


def _fresh(sizes: tuple[int, ...]) -> torch.Tensor:
    """Return a parameter that is no layer's: ones for scales, small numbers for the rest."""
    if len(sizes) == 1:
        return torch.ones(sizes)
    return nn.init.trunc_normal_(torch.empty(sizes), std=0.02)
