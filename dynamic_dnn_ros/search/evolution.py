# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
NSGA-II over configurations.

Deb et al., A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II, IEEE Transactions on
Evolutionary Computation 6(2), 2002, as pymoo implements it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.mutation import Mutation
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.repair import Repair
from pymoo.operators.crossover.ux import UniformCrossover
from pymoo.problems.static import StaticProblem

from dynamic_dnn_ros.search.space import Genes

Objectives = npt.NDArray[np.float64]
"""Candidates x objectives, all to be minimised."""


class Space(Protocol):
    """What can be chosen, as lists of whole numbers from 0 on."""

    @property
    def upper(self) -> Genes:
        """Return the highest value of each entry."""

    def canonical(self, genes: Genes) -> Genes:
        """Return the one list of those that mean the same."""


#: Of an entry: as in the evolutionary search of Once-for-All (section 2.3 of the paper's code).
_MUTATION_PROBABILITY = 0.1


def evolve(
    space: Space,
    start: Sequence[Genes],
    population: int,
    generations: int,
    seed: int,
    evaluate: Callable[[list[Genes]], Objectives],
    objectives: int = 2,
) -> int:
    """
    Run NSGA-II and return the number of generations, fewer where no sub-network is left.

    Parents are crossed entry by entry, and an entry is redrawn with probability 0.1. Every
    sub-network is asked for once only. The same seed and the same objectives give the same
    sub-networks again, so a search whose evaluations were kept is continued by running it again.

    :param start: the first generation, distinct and canonical.
    :param evaluate: returns the objectives of a generation.
    :param objectives: how many there are.
    """
    problem = Problem(
        n_var=len(space.upper),
        n_obj=objectives,
        xl=np.zeros_like(space.upper),
        xu=space.upper,
        vtype=int,
    )
    never_twice = _NeverTwice()
    algorithm = NSGA2(
        pop_size=population,
        sampling=np.array(start),
        crossover=UniformCrossover(),
        mutation=_Redraw(),
        repair=_Canonical(space),
        eliminate_duplicates=never_twice,
    )
    algorithm.setup(problem, termination=('n_gen', generations), seed=seed)
    done = 0
    while algorithm.has_next():
        offspring = algorithm.ask()
        if offspring is None or not len(offspring):
            break
        never_twice.evaluated.update(_tuples(offspring))
        found = evaluate([np.array(genes, np.int64) for genes in offspring.get('X')])
        algorithm.evaluator.eval(StaticProblem(problem, F=found), offspring)
        algorithm.tell(infills=offspring)
        done += 1
    return done


class _Redraw(Mutation):
    """Give some entries, one at least where chance has it so on average, another value."""

    def _do(
        self, problem: Any, genes: Genes, *_: Any, random_state: np.random.Generator, **__: Any
    ) -> Genes:
        probability = max(_MUTATION_PROBABILITY, 1.0 / genes.shape[1])
        redrawn = random_state.random(genes.shape) < probability
        steps = random_state.integers(1, np.maximum(problem.xu, 1) + 1, genes.shape)
        return np.where(redrawn, (genes + steps) % (problem.xu + 1), genes)


class _Canonical(Repair):
    """Put entries without effect at their lowest, so that equal sub-networks are equal."""

    def __init__(self, space: Space) -> None:
        super().__init__(vtype=int)
        self._space = space

    def _do(self, problem: Any, genes: Genes, **_: Any) -> Genes:
        return np.array([self._space.canonical(each) for each in genes])


class _NeverTwice(DuplicateElimination):
    """Leave out what this search has had before, also where selection has dropped it."""

    def __init__(self) -> None:
        super().__init__()
        self.evaluated: set[tuple[int, ...]] = set()

    def do(self, candidates: Population, *others: Population, **_: Any) -> Population:
        known = set(self.evaluated)
        for other in others:
            known.update(_tuples(other))
        new = []
        for index, genes in enumerate(_tuples(candidates)):
            if genes not in known:
                known.add(genes)
                new.append(index)
        return candidates[new]


def _tuples(population: Population) -> list[tuple[int, ...]]:
    return [tuple(individual.X) for individual in population]
