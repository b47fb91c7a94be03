# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Gates on any family: after a shared beginning the picture picks which sub-network goes on.

Li et al., Dynamic Slimmable Network, CVPR 2021, and DS-Net++, TPAMI 2023: a gate looks at the
features of an early stage, squeezed to their means, and picks the width of the rest, or all that a
configuration has. There the rest is masked; here its weights are sliced, and what is not picked is
not run.

The gate does not know the family. It looks at the first choice, up to a place where the family
says that its networks can be cut; each other choice goes on from the last place up to which it
begins as the first one does. That is the place of the gate, as published, or one before it: then
the gate sees more, and the others run from there what the first one ran already.

A gate without layers, of squeeze 0, asks how sure an answer is: the first choice runs to its end,
and its answer is an exit. The next choice goes on from where it departs, and so on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
import functools
import random
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from dynamic_dnn_ros.networks.checks import as_sequence, require_fields
from dynamic_dnn_ros.networks.contract import (
    Arrays,
    Choices,
    ConfigurationError,
    DynamicNetwork,
    StateError,
    Step,
)
from dynamic_dnn_ros.networks.cutting import Part, PartCost
from dynamic_dnn_ros.networks.gate_checks import checked
from dynamic_dnn_ros.networks.gate_costs import cost_behind, cost_of_all, whole_cost
from dynamic_dnn_ros.networks.gate_layouts import (
    GATE,
    GATES,
    GateConfiguration,
    GateLayout,
    largest_choice,
)
from dynamic_dnn_ros.networks.gate_stages import (
    Beginning,
    Gate,
    Rest,
    RestWithExit,
    end_of,
    prefix_of,
    static_gate,
)
from dynamic_dnn_ros.networks.wrapped import WrappedNetwork


class GateNetwork(WrappedNetwork[Any]):
    """
    A network of a family with gates.

    It has all configurations of the family, and one for each gate. Tensors bear the names that
    they have in the family's network; those of gate 0 are in `gates.0`. A configuration behind a
    gate has the statistics of what runs before the gate under their names, and those of choice 1
    from where it departs under `choice_1.` and their names.
    """

    def __init__(self, backbone: DynamicNetwork[Any], gates: Sequence[GateLayout]) -> None:
        """
        Put gates, with fresh weights, on a network.

        :param backbone: of a family that can be cut; it is part of this one then
        :raises ConfigurationError: naming the field of the gates that is illegal
        """
        super().__init__(backbone)
        self._layouts = tuple(gates)
        found = [checked(backbone, number, each) for number, each in enumerate(gates)]
        self._gated = tuple(configuration for configuration, _ in found)
        self._departures = [departures for _, departures in found]
        self.gates = nn.ModuleList(
            Gate(self._channels(each), layout.squeeze, len(each.choices))
            if layout.squeeze
            else nn.Identity()
            for each, layout in zip(self._gated, gates)
        )
        self._own: dict[int, Arrays] = {}
        self._active: Any = None
        self.activate(backbone.largest())

    @classmethod
    def from_layout(cls, layout: str | Mapping[str, Any]) -> GateNetwork:
        """Create the network of a layout with gates; see the contract."""
        if isinstance(layout, str):
            raise ConfigurationError('layout', layout, f'a mapping with the field {GATES}')
        rest = {name: value for name, value in layout.items() if name != GATES}
        gates = [
            GateLayout.from_mapping(f'{GATES}[{number}]', each)
            for number, each in enumerate(as_sequence(GATES, layout.get(GATES)))
        ]
        return cls(cls.base.from_layout(rest), gates)

    def layout_mapping(self) -> dict[str, Any]:
        """Return the family's layout, and the gates."""
        gates = [layout.to_mapping() for layout in self._layouts]
        return {**self.backbone.layout_mapping(), GATES: gates}

    def gated(self, number: int) -> GateConfiguration:
        """Return the configuration behind a gate."""
        return self._gated[number]

    def configuration(self, mapping: Mapping[str, Any]) -> Any:
        """Return the legal configuration that a mapping describes; see the contract."""
        if GATE not in mapping:
            return self.backbone.configuration(mapping)
        require_fields('configuration', _Named, mapping)
        number = mapping[GATE]
        if type(number) is not int or not 0 <= number < len(self._gated):
            allowed = f'the number of one of {len(self._gated)} gates, from 0'
            raise ConfigurationError(GATE, number, allowed)
        return self._gated[number]

    def choices(self) -> dict[str, tuple[int, ...]]:
        """Return the choices of the family."""
        return self.backbone.choices()

    def uniform(self, values: Mapping[str, int]) -> Any:
        """Return a configuration of the family; see the contract."""
        return self.backbone.uniform(values)

    def sample(self, generator: random.Random, within: Choices | None = None) -> Any:
        """Return a random configuration of the family; see the contract."""
        return self.backbone.sample(generator, within)

    def landmarks(self) -> tuple[Any, ...]:
        """Return those of the family."""
        return self.backbone.landmarks()

    def staged(self) -> tuple[Any, ...]:
        """Return the configurations behind the gates."""
        return self._gated

    def activate(self, configuration: Any) -> None:
        """Make forward run this sub-network, behind a gate the largest path."""
        self._active = configuration
        self.backbone.activate(largest_choice(configuration))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the answer of the active sub-network; behind a gate that of the largest path."""
        answer: torch.Tensor = self.backbone(images)
        return answer

    def extract(self, configuration: Any, share_weights: bool = False) -> nn.Module:
        """Return one sub-network as a static module, behind a gate that of the largest path."""
        if not isinstance(configuration, GateConfiguration):
            return self.backbone.extract(configuration, share_weights)
        with _Statistics(self, configuration, len(configuration.choices) - 1):
            return self.backbone.extract(configuration.choices[-1], share_weights)

    def places(self, configuration: Any) -> dict[str, tuple[int, ...]]:
        """Return where the family's network can be cut; behind a gate nowhere else."""
        if isinstance(configuration, GateConfiguration):
            return {}
        return self.backbone.places(configuration)

    def steps(self) -> tuple[Step, ...]:
        """Return the steps of the active sub-network; see the contract."""
        return self.backbone.steps()

    def extract_steps(self, configuration: Any, share_weights: bool = False) -> tuple[Step, ...]:
        """Return the steps of a sub-network of the family; see the contract."""
        if isinstance(configuration, GateConfiguration):
            return ()
        return self.backbone.extract_steps(configuration, share_weights)

    def extract_stages(
        self, configuration: Any, share_weights: bool = False
    ) -> tuple[nn.Module, ...]:
        """Return the shared beginning with the gate, and the rest of each choice."""
        if not isinstance(configuration, GateConfiguration):
            return self.backbone.extract_stages(configuration, share_weights)
        if self._leaves_by_answers(configuration):
            return self._answering(configuration, share_weights)
        number = configuration.gate
        departures = self._departures[number]
        parts: list[nn.Module] = []
        with _Statistics(self, configuration, 0):
            first = self.backbone.extract_steps(configuration.choices[0], share_weights)
        handed = sorted(set(departures))
        names = [step.place for step in first if step.place]
        gate = static_gate(self.gates[number], share_weights)
        end = end_of(first, self._layouts[number].after)
        places = [names[place] for place in handed]
        parts.append(Beginning(first[:end], places, f'{GATES}.{number}', gate).eval())
        for index, choice in enumerate(configuration.choices):
            with _Statistics(self, configuration, index):
                steps = self.backbone.extract_steps(choice, share_weights)
            rest = steps[end_of(steps, departures[index]) :]
            takes = handed.index(departures[index])
            parts.append(Rest(rest, takes, prefix_of(index)).eval())
        return tuple(parts)

    def stage_routes(self, configuration: Any) -> tuple[tuple[int, ...], ...]:
        """Return which stages may follow each; see the contract."""
        if not isinstance(configuration, GateConfiguration):
            return self.backbone.stage_routes(configuration)
        count = len(configuration.choices)
        if self._leaves_by_answers(configuration):
            return tuple((number,) for number in range(1, count)) + ((),)
        return tuple(range(1, count + 1)), *((),) * count

    def _leaves_by_answers(self, configuration: GateConfiguration) -> bool:
        return not self._layouts[configuration.gate].squeeze

    def _answering(
        self, configuration: GateConfiguration, share_weights: bool
    ) -> tuple[nn.Module, ...]:
        """Return the first choice whole, and each other one from where it departs."""
        departures = self._departures[configuration.gate]
        parts: list[nn.Module] = []
        places: list[int] = []
        for index, choice in enumerate(configuration.choices):
            with _Statistics(self, configuration, index):
                steps = self.backbone.extract_steps(choice, share_weights)
            later = sorted(set(departures[index + 1 :]))
            if index == 0:
                names = [step.place for step in steps if step.place]
                parts.append(Beginning(steps, [names[place] for place in later], '', None))
            else:
                rest = steps[end_of(steps, departures[index]) :]
                given = rest, places.index(departures[index]), prefix_of(index)
                hands_on = [places.index(place) for place in later]
                parts.append(RestWithExit(*given, hands_on) if later else Rest(*given))
            places = later
        return tuple(part.eval() for part in parts)

    def multiply_adds(self, configuration: Any) -> int:
        """Return the multiply-adds of one picture, behind a gate of the largest path."""
        return self._cost(configuration).multiply_adds

    def parameter_count(self, configuration: Any) -> int:
        """Return the number of parameters, behind a gate of the largest path."""
        return self._cost(configuration).parameters

    def layer_count(self, configuration: Any) -> int:
        """Return the number of convolutions and linear layers of the largest path."""
        return self._cost(configuration).layers

    def _cost(self, configuration: Any) -> PartCost:
        if not isinstance(configuration, GateConfiguration):
            return whole_cost(self.backbone, configuration)
        layout = self._layouts[configuration.gate]
        departures = self._departures[configuration.gate]
        if self._leaves_by_answers(configuration):
            return cost_of_all(self.backbone, configuration, departures)
        layers = self._layers(configuration)
        return cost_behind(self.backbone, configuration, departures, layout.after, layers)

    def active_batch_norms(self) -> Iterator[tuple[str, nn.BatchNorm2d, int]]:
        """Yield those of the active sub-network; behind a gate of the largest path."""
        return self.backbone.active_batch_norms()

    def sort_channels(self, trained: Choices | None = None) -> None:
        """Put the most important channels first; see the contract."""
        self.backbone.sort_channels(trained)

    def freeze(self, configuration: Any | None) -> None:
        """Keep a sub-network of the family as it is; see the contract."""
        self.backbone.freeze(None if configuration is None else largest_choice(configuration))

    def batch_norm_statistics(self) -> Arrays:
        """Return those of the active sub-network; behind a gate of each choice."""
        active = self._active
        if not isinstance(active, GateConfiguration):
            return self.backbone.batch_norm_statistics()
        own = self._own.get(active.gate)
        if own is None:
            of_choices = []
            for choice in active.choices:
                self.backbone.activate(choice)
                of_choices.append(self.backbone.batch_norm_statistics())
            self.activate(active)
            own = self.together(active, of_choices)
        return {name: array.copy() for name, array in own.items()}

    def together(self, configuration: GateConfiguration, of_choices: Sequence[Arrays]) -> Arrays:
        """
        Return the statistics of a configuration behind a gate.

        :param of_choices: those of each choice alone; where all share a beginning, that has those
            of the first
        """
        after = self._layouts[configuration.gate].after
        found = dict(of_choices[0])
        departures = self._departures[configuration.gate]
        if not self._leaves_by_answers(configuration):
            before, _ = self._names_around(configuration.choices[0], after)
            found = {name: each for name, each in found.items() if name in before}
        for index, (choice, statistics) in enumerate(zip(configuration.choices, of_choices)):
            if index == 0 and self._leaves_by_answers(configuration):
                continue
            _, behind = self._names_around(choice, departures[index])
            for name, array in statistics.items():
                if name in behind:
                    found[f'{prefix_of(index)}{name}'] = array
        return found

    def _names_around(self, choice: Any, place: int) -> tuple[set[str], set[str]]:
        """Return the names of the statistics of a choice before and behind a place."""
        steps = self.backbone.extract_steps(choice, share_weights=True)
        end = end_of(steps, place)
        before, behind = (
            {name for name, _ in Part(some).named_buffers()} for some in (steps[:end], steps[end:])
        )
        return before, behind

    def load_batch_norm_statistics(self, statistics: Mapping[str, npt.NDArray[Any]]) -> None:
        """Put statistics into the active sub-network; see the contract."""
        active = self._active
        if not isinstance(active, GateConfiguration):
            self.backbone.load_batch_norm_statistics(statistics)
            return
        known = self.batch_norm_statistics()
        missing, left_over = known.keys() - statistics.keys(), statistics.keys() - known.keys()
        wrong = [
            name
            for name in known.keys() & statistics.keys()
            if known[name].shape != statistics[name].shape
        ]
        for what, names in (('missing', missing), ('left over', left_over), ('of shape', wrong)):
            if names:
                raise StateError(
                    f'batch-norm statistics do not fit gate {active.gate}: {what} '
                    f'{sorted(names)[0]}, {len(names)} in all'
                )
        self._own[active.gate] = {name: np.array(array) for name, array in statistics.items()}

    def statistics_of_choice(self, configuration: GateConfiguration, index: int) -> Arrays | None:
        """Return the statistics of one choice alone; None: none were loaded."""
        own = self._own.get(configuration.gate)
        if own is None:
            return None
        self.backbone.activate(configuration.choices[index])
        prefix = prefix_of(index)
        names = self.backbone.batch_norm_statistics()
        return {
            name: own[f'{prefix}{name}' if f'{prefix}{name}' in own else name] for name in names
        }

    def _channels(self, configuration: GateConfiguration) -> int:
        places = self.backbone.places(configuration.choices[0])
        shape = list(places.values())[self._layouts[configuration.gate].after]
        return shape[0] if len(shape) == 3 else shape[-1]

    def _layers(self, configuration: GateConfiguration) -> list[nn.Linear]:
        gate = self.gates[configuration.gate]
        return [each for each in gate.modules() if isinstance(each, nn.Linear)]


@dataclass(frozen=True)
class _Named:
    gate: int


class _Statistics:
    """Has the statistics of one choice in the network while the context lasts."""

    def __init__(self, network: GateNetwork, configuration: GateConfiguration, index: int) -> None:
        self._network = network
        self._configuration = configuration
        self._index = index

    def __enter__(self) -> None:
        network, backbone = self._network, self._network.backbone
        own = network.statistics_of_choice(self._configuration, self._index)
        backbone.activate(self._configuration.choices[self._index])
        self._before = backbone.batch_norm_statistics()
        if own is not None:
            backbone.load_batch_norm_statistics(own)

    def __exit__(self, *_: object) -> None:
        backbone = self._network.backbone
        backbone.load_batch_norm_statistics(self._before)
        self._network.activate(self._network._active)


@functools.cache
def with_gates(family: type[DynamicNetwork[Any]]) -> type[GateNetwork]:
    """Return the class of a family's networks with gates."""
    return type(
        f'{family.__name__}WithGates',
        (GateNetwork,),
        {
            '__module__': __name__,
            'base': family,
            'family': family.family,
            'task': family.task,
            'output_name': family.output_name,
            'last_layers': family.last_layers,
            'statistics_per_sub_network': family.statistics_per_sub_network,
        },
    )
