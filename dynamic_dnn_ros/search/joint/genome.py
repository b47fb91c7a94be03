# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the inner search chooses for a backbone: its exits, their promise, and the clocks."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np

from dynamic_dnn_ros.search.space import Genes


@dataclasses.dataclass(frozen=True)
class Choice:
    """
    Exits and clocks of a backbone.

    :param exits: positions among the places where it can have one, rising; none: it has no exits
    :param promise: position among the promises
    :param clocks: position in the table of each frequency domain
    """

    exits: tuple[int, ...]
    promise: int
    clocks: tuple[int, ...]


class ExitSpace:
    """
    All choices for one backbone, as lists of whole numbers.

    First comes for each place whether it has an exit, then the promise, then the clocks.
    """

    def __init__(self, places: int, most: int, promises: int, steps: Sequence[int]) -> None:
        """
        Describe the choices.

        :param places: where the backbone can have an exit
        :param most: exits at most
        :param promises: to choose from
        :param steps: frequencies of each domain
        """
        self._places = places
        self._most = most
        self._upper = np.array(
            [*[1] * places, promises - 1, *(count - 1 for count in steps)], np.int64
        )

    @property
    def upper(self) -> Genes:
        """Return the highest value of each entry."""
        return self._upper

    def canonical(self, genes: Genes) -> Genes:
        """
        Return the same choice with no more exits than allowed and no promise of nothing.

        Too many exits are thinned out evenly; without an exit nothing is lost, so the promise
        has no effect.
        """
        genes = np.array(genes, np.int64)
        exits = np.flatnonzero(genes[: self._places])
        if len(exits) > self._most:
            kept = exits[np.linspace(0, len(exits) - 1, self._most).round().astype(np.int64)]
            genes[: self._places] = 0
            genes[kept] = 1
        if not len(exits):
            genes[self._places] = 0
        return genes

    def decode(self, genes: Genes) -> Choice:
        """Return what genes mean."""
        exits = np.flatnonzero(genes[: self._places])
        return Choice(
            tuple(exits.tolist()),
            int(genes[self._places]),
            tuple(int(gene) for gene in genes[self._places + 1 :]),
        )

    def start(self, count: int, seed: int) -> list[Genes]:
        """
        Return distinct choices to start from.

        The first has no exits, and each place is alone once, all at the highest clocks; as many
        more are drawn as are wanted.
        """
        generator = np.random.default_rng(seed)
        highest = self._upper.copy()
        highest[: self._places] = 0
        found = [self.canonical(highest)]
        for place in range(self._places):
            alone = highest.copy()
            alone[place] = 1
            found.append(alone)
        # One exit in a few places: more of them seldom pay.
        chance = min(0.5, self._most / max(self._places, 1) / 2)
        for _ in range(20 * count):
            if len(found) >= count:
                break
            drawn = generator.integers(0, self._upper + 1)
            drawn[: self._places] = generator.random(self._places) < chance
            found.append(self.canonical(drawn))
        kept = dict.fromkeys(tuple(genes.tolist()) for genes in found)
        return [np.array(genes, np.int64) for genes in kept]
