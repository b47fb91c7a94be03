# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The outer search of HADAS: backbones by NSGA-II, the best of each generation with exits.

Bouzidi et al., HADAS: Hardware-Aware Dynamic Neural Architecture Search for Edge Performance
Scaling, DATE 2023. Every backbone of a generation is measured whole. Those that survive by rank
and crowding distance are given exits and clocks by the inner search, and are judged by what that
finds; the others by what they are whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses
import math

import numpy as np
from pymoo.algorithms.moo.nsga2 import RankAndCrowding
from pymoo.core.evaluator import Evaluator
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.problems.static import StaticProblem
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from dynamic_dnn_ros.search.evolution import Objectives, Space, evolve
from dynamic_dnn_ros.search.space import Genes

Front = list[tuple[float, ...]]
"""Objectives of designs, none of which dominates another one."""


@dataclasses.dataclass(frozen=True)
class OuterSettings:
    """
    How backbones are searched.

    :param survivors: share of a generation whose backbones are given exits, above 0
    """

    population: int
    generations: int
    survivors: float


def search_backbones(
    space: Space,
    start: Sequence[Genes],
    settings: OuterSettings,
    seed: int,
    whole: Callable[[list[Genes]], Objectives],
    with_exits: Callable[[Genes], Front],
) -> int:
    """
    Run the outer search and return the number of generations.

    :param start: the first generation
    :param whole: returns the objectives of backbones without exits, at their best clocks
    :param with_exits: returns those of a backbone's designs
    """
    archive: Front = []

    def evaluate(generation: list[Genes]) -> Objectives:
        objectives = whole(generation)
        count = math.ceil(settings.survivors * len(generation))
        chosen = surviving(objectives, count, seed)
        fronts = {index: with_exits(generation[index]) for index in chosen}
        archive.extend(row for front in fronts.values() for row in front)
        judged = objectives.copy()
        for index, front in fronts.items():
            judged[index] = best_of(front, archive)
        return judged

    return evolve(
        space,
        start,
        settings.population,
        settings.generations,
        seed,
        evaluate,
        objectives=3,
    )


def surviving(objectives: Objectives, count: int, seed: int = 0) -> list[int]:
    """
    Return the positions of the best by rank, then by crowding distance, rising.

    :param seed: of the draw among equals, so that a search that was ended goes on with the same
    """
    population = Population.new(X=np.arange(len(objectives))[:, None])
    problem = Problem(n_var=1, n_obj=objectives.shape[1])
    Evaluator().eval(StaticProblem(problem, F=objectives), population)
    kept = RankAndCrowding().do(
        problem,
        population,
        n_survive=min(count, len(objectives)),
        random_state=np.random.default_rng(seed),
    )
    return sorted(int(each.X[0]) for each in kept)


def best_of(front: Front, archive: Front) -> tuple[float, ...]:
    """
    Return the objectives that a backbone is judged by: of its design that ranks best of all.

    :param archive: objectives of all designs so far, those of the front among them
    """
    values = np.array(archive)
    ranks = np.empty(len(values), np.int64)
    for rank, members in enumerate(NonDominatedSorting().do(values)):
        ranks[members] = rank
    places = {row: int(ranks[index]) for index, row in enumerate(archive)}
    # Among equals the one with the least energy.
    return min(front, key=lambda row: (places[row], row[1]))
