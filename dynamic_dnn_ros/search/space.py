# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The sub-networks of any family as lists of whole numbers, and a spread of them to start from."""

from __future__ import annotations

from collections.abc import Mapping
import hashlib
import json
import random
from typing import Any

import numpy as np
import numpy.typing as npt

from dynamic_dnn_ros.networks.contract import DynamicNetwork
from dynamic_dnn_ros.search.pareto import spread

Genes = npt.NDArray[np.int64]
"""For each entry of a configuration the position of its value among the choices."""

_DRAWN_EACH = 50


class SearchSpace:
    """
    All sub-networks of a network.

    What it has to know of a family it reads off the contract: the fields, how many entries each
    has, and their choices.
    """

    def __init__(self, network: DynamicNetwork[Any]) -> None:
        self.network = network
        self._template = network.largest().to_mapping()
        choices = network.choices()
        self._canonical: dict[tuple[int, ...], Genes] = {}
        self._entries = [
            (name, choices[name])
            for name, value in self._template.items()
            if name in choices
            for _ in range(len(value) if isinstance(value, list) else 1)
        ]

    @property
    def upper(self) -> Genes:
        """Return the highest position of each entry; the lowest is 0."""
        return np.array([len(choices) - 1 for _, choices in self._entries], dtype=np.int64)

    def encode(self, configuration: Any) -> Genes:
        """Return the genes of a configuration."""
        mapping = configuration.to_mapping()
        values: list[int] = []
        for name in dict.fromkeys(name for name, _ in self._entries):
            value = mapping[name]
            values += value if isinstance(value, list) else [value]
        return np.array(
            [choices.index(value) for (_, choices), value in zip(self._entries, values)],
            dtype=np.int64,
        )

    def decode(self, genes: Genes) -> Any:
        """Return the configuration of genes."""
        values: dict[str, list[int]] = {}
        for (name, choices), gene in zip(self._entries, genes):
            values.setdefault(name, []).append(choices[gene])
        mapping = dict(self._template)
        for name, entries in values.items():
            mapping[name] = entries if isinstance(mapping[name], list) else entries[0]
        return self.network.configuration(mapping)

    def canonical(self, genes: Genes) -> Genes:
        """
        Return the genes with every entry that has no effect at its lowest.

        Entries of blocks beyond a stage's depth are such, so that many configurations are one
        sub-network. Choices are in the order of their cost: an entry whose lowest choice costs as
        much, in multiply-adds, parameters and layers, has no effect.
        """
        given = tuple(genes)
        if given not in self._canonical:
            self._canonical[given] = self._lowered(np.array(genes, dtype=np.int64))
        return self._canonical[given].copy()

    def simplest(self, configuration: Any) -> Any:
        """Return the same sub-network with every entry that has no effect at its lowest."""
        return self.decode(self.canonical(self.encode(configuration)))

    def _lowered(self, genes: Genes) -> Genes:
        size = self._size(genes)
        for position in np.flatnonzero(genes):
            lowered = genes.copy()
            lowered[position] = 0
            if self._size(lowered) == size:
                genes = lowered
        return genes

    def _size(self, genes: Genes) -> tuple[int, int, int]:
        configuration = self.decode(genes)
        return (
            self.network.multiply_adds(configuration),
            self.network.parameter_count(configuration),
            self.network.layer_count(configuration),
        )

    def start(self, count: int, seed: int) -> list[Genes]:
        """Return about `count` distinct sub-networks to start from, see `draw_candidates`."""
        drawn = (
            self.canonical(self.encode(configuration))
            for configuration in draw_candidates(self.network, count, seed)
        )
        return [np.array(genes) for genes in dict.fromkeys(tuple(genes) for genes in drawn)]


def draw_candidates(network: DynamicNetwork[Any], count: int, seed: int) -> list[Any]:
    """
    Return the smallest, the largest, and random sub-networks evenly spread between them.

    Sub-networks drawn at random crowd around a middling size, so many are drawn, and those kept
    whose multiply-adds lie at even ratios. Half of them vary in one field only: there are few of
    these, and more than their share lie on the Pareto front.
    """
    generator = random.Random(seed)
    chosen: dict[Any, None] = {}
    even_count = count // 2
    for even, part in ((True, even_count), (False, count - even_count)):
        drawn = [
            network.sample(generator, _all_but_one_field_fixed(network, generator) if even else {})
            for _ in range(_DRAWN_EACH * part)
        ]
        by_cost = {network.multiply_adds(configuration): configuration for configuration in drawn}
        for end in (network.smallest(), network.largest()):
            by_cost[network.multiply_adds(end)] = end
        costs = sorted(by_cost)
        for position in spread(np.log(costs), max(part, 2)):
            chosen[by_cost[costs[position]]] = None
    # Those that the family would keep without a search are the ones to beat.
    chosen.update(dict.fromkeys(network.landmarks()))
    return list(chosen)


def _all_but_one_field_fixed(
    network: DynamicNetwork[Any], generator: random.Random
) -> dict[str, tuple[int, ...]]:
    choices = network.choices()
    varied = generator.choice(tuple(choices))
    return {
        name: (generator.choice(values),) for name, values in choices.items() if name != varied
    }


def key_of(mapping: Mapping[str, Any]) -> str:
    """Return a short name of a configuration, the same in every run."""
    return hashlib.sha256(json.dumps(mapping, sort_keys=True).encode()).hexdigest()[:16]
