# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The inner search of HADAS: exits and clocks of one backbone, by NSGA-II."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import math

import numpy as np
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from dynamic_dnn_ros.search.evolution import Objectives, evolve
from dynamic_dnn_ros.search.joint.designs import Backbone, Design, Designer
from dynamic_dnn_ros.search.joint.genome import ExitSpace
from dynamic_dnn_ros.search.space import Genes

#: Added to each objective of what is too slow, for each time that the limit is exceeded by.
_PENALTY = 10.0


@dataclasses.dataclass(frozen=True)
class InnerSettings:
    """
    How exits and clocks are searched.

    :param most_exits: of one backbone
    :param latency: limit at the quantile, s; infinite: none
    """

    population: int
    generations: int
    most_exits: int
    latency: float


def judged(
    accuracy: float, energy: float, latency: float, limit: float
) -> tuple[float, float, float]:
    """
    Return error, logarithm of the energy and of the latency, all to be minimised.

    What is slower than the limit comes behind what is not as far above it.
    """
    excess = _PENALTY * max(latency / limit - 1.0, 0.0)
    return 1.0 - accuracy + excess, math.log(energy) + excess, math.log(latency) + excess


def objectives_of(design: Design, limit: float) -> tuple[float, float, float]:
    """Return what a design is judged by, see `judged`."""
    return judged(design.accuracy, design.spent.energy, design.latency, limit)


def search_exits(
    designer: Designer, backbone: Backbone, settings: InnerSettings, seed: int
) -> list[Design]:
    """
    Return the designs of a backbone that no other one found dominates.

    By error, energy and latency, as published; those above the limit are left out, unless all
    are. The exits that are found come at the clocks with the least energy too.
    """
    space = ExitSpace(
        len(backbone.places), settings.most_exits, designer.promises, designer.board.steps
    )
    found: list[Design] = []

    def evaluate(generation: list[Genes]) -> Objectives:
        designs = [designer.design(backbone, space.decode(genes)) for genes in generation]
        found.extend(designs)
        return np.array([objectives_of(each, settings.latency) for each in designs])

    start = space.start(settings.population, seed)
    evolve(space, start, settings.population, settings.generations, seed, evaluate, objectives=3)
    front = front_of(found, settings.latency)
    # Of one choice of exits all clocks can be tried: a few hundred, without measuring anything.
    mixtures = {id(each.mixture): each for each in front}.values()
    best = [designer.at_best_clocks(each, settings.latency) for each in mixtures]
    return front_of([*front, *best], settings.latency)


def front_of(designs: Sequence[Design], limit: float) -> list[Design]:
    """Return the designs that no other one dominates, those within the limit where there are."""
    kept = [each for each in designs if each.latency <= limit] or list(designs)
    values = np.array([objectives_of(each, limit) for each in kept])
    first = NonDominatedSorting().do(values, only_non_dominated_front=True)
    return [kept[index] for index in sorted(first.tolist())]
