# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The joint search over what can be measured of backbones, whoever measures it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from typing import Any

import numpy as np

from dynamic_dnn_ros.platforms.board_model import NetworkCost
from dynamic_dnn_ros.search.evolution import Objectives
from dynamic_dnn_ros.search.joint.board_costs import Spent
from dynamic_dnn_ros.search.joint.designs import Backbone, Design, Designer
from dynamic_dnn_ros.search.joint.inner import front_of, judged, objectives_of, search_exits
from dynamic_dnn_ros.search.joint.outer import Front, search_backbones
from dynamic_dnn_ros.search.joint.settings import JointSettings
from dynamic_dnn_ros.search.pareto import front_length, pareto_front, spread
from dynamic_dnn_ros.search.space import Genes, SearchSpace


@dataclasses.dataclass(frozen=True)
class Whole:
    """
    A backbone without exits, at the clocks at which it takes the least energy within the limit.

    :param accuracy: on held-out pictures, 0..1
    """

    configuration: Any
    accuracy: float
    cost: NetworkCost
    spent: Spent


@dataclasses.dataclass(frozen=True, eq=False)
class Searched:
    """
    What a joint search has found.

    :param wholes: all backbones that were looked at
    :param backbones: those that were given exits
    :param designs: of these, the fronts of the inner searches
    """

    wholes: Sequence[Whole]
    backbones: Sequence[Backbone]
    designs: Sequence[Design]
    limit: float

    def front(self) -> list[Design]:
        """Return the designs that no other one beats in accuracy and energy, cheapest first."""
        kept = front_of(self.designs, self.limit)
        accuracies, energies = _columns(kept)
        return [kept[index] for index in pareto_front(accuracies, energies)]

    def spread(self, count: int) -> list[Design]:
        """Return as many designs of the front, spread evenly over it."""
        front = self.front()
        if len(front) < 2:
            return front
        places = front_length(*_columns(front))
        return [front[position] for position in spread(places, count)]

    def least_energy(self, accuracy: float) -> Design | None:
        """Return the design with the least energy that is so accurate; None: there is none."""
        kept = [each for each in front_of(self.designs, self.limit) if each.accuracy >= accuracy]
        return min(kept, key=lambda each: each.spent.energy, default=None)


def search_jointly(
    space: SearchSpace,
    designer: Designer,
    settings: JointSettings,
    seed: int,
    accuracies: Callable[[Sequence[Any]], Mapping[Any, float]],
    with_heads: Callable[[Any], Backbone],
    told: Callable[[str], None] = lambda text: None,
) -> Searched:
    """
    Search backbones, their exits and clocks.

    :param accuracies: measures backbones on held-out pictures, 0..1
    :param with_heads: gives a backbone a head at every place, trains and measures them
    :param told: what is being done, in words
    """
    limit = settings.inner.latency
    wholes: list[Whole] = []
    backbones: list[Backbone] = []
    designs: list[Design] = []

    def whole(generation: list[Genes]) -> Objectives:
        configurations = [space.decode(genes) for genes in generation]
        told(f'measuring {len(generation)} backbones')
        measured = accuracies(configurations)
        found = [whole_of(space, designer, each, measured[each], limit) for each in configurations]
        wholes.extend(found)
        return np.array([judged(e.accuracy, e.spent.energy, e.spent.time, limit) for e in found])

    def with_exits(genes: Genes) -> Front:
        told(f'exits of backbone {len(backbones) + 1}')
        backbone = with_heads(space.decode(genes))
        backbones.append(backbone)
        # A seed of its own, the same in every run.
        found = search_exits(designer, backbone, settings.inner, seed + len(backbones))
        designs.extend(found)
        return [objectives_of(each, limit) for each in found]

    start = space.start(settings.population, seed)
    search_backbones(space, start, settings.outer, seed, whole, with_exits)
    return Searched(wholes, backbones, designs, limit)


def search_again(
    space: SearchSpace,
    designer: Designer,
    settings: JointSettings,
    seed: int,
    before: Searched,
) -> Searched:
    """
    Search exits and clocks of the same backbones once more, with another designer.

    :param before: what was found with the first one
    """
    limit = settings.inner.latency
    wholes = [
        whole_of(space, designer, each.configuration, each.accuracy, limit)
        for each in before.wholes
    ]
    designs = [
        design
        for number, backbone in enumerate(before.backbones)
        for design in search_exits(designer, backbone, settings.inner, seed + number + 1)
    ]
    return Searched(wholes, before.backbones, designs, limit)


def whole_of(
    space: SearchSpace, designer: Designer, configuration: Any, accuracy: float, limit: float
) -> Whole:
    """Return a backbone at the clocks at which it takes the least energy within the limit."""
    network, board = space.network, designer.board
    cost = NetworkCost(
        multiply_adds=network.multiply_adds(configuration),
        layers=network.layer_count(configuration),
        parameters=network.parameter_count(configuration),
    )
    return Whole(configuration, accuracy, cost, board.at(cost, 1.0, board.best(cost, 1.0, limit)))


def _columns(designs: Sequence[Design]) -> tuple[Any, Any]:
    return (
        np.array([each.accuracy for each in designs]),
        np.array([each.spent.energy for each in designs]),
    )
