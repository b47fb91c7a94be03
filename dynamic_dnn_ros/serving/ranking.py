# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which sub-networks are worth having ready, in which order, and how many of them fit."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import zip_longest
from typing import TypeVar

from dynamic_dnn_ros.bundles.manifest import SubNetwork

Key = TypeVar('Key', bound=Hashable)


def by_cost(sub_networks: Iterable[SubNetwork]) -> tuple[str, ...]:
    """Return ids from the cheapest to the dearest: on a front the least to the most accurate."""
    ordered = sorted(sub_networks, key=lambda entry: (entry.accuracy, entry.multiply_adds))
    return tuple(entry.id for entry in ordered)


def ranked(order: Sequence[Key], serving: Key, recent: Iterable[Key]) -> tuple[Key, ...]:
    """
    Rank all of `order` by how likely each is to be wanted next, `serving` first.

    A manager goes to a neighbour when load or target drift, and back to where it was when they
    alternate. So neighbours of the serving one, the nearest and of two the cheaper one first,
    take turns with those that were named most recently.

    :param order: from the cheapest to the dearest
    :param serving: may be missing in `order`: then nothing is its neighbour
    :param recent: those that a switch named, the latest first; they may lie outside `order`
    :return: each one once
    """
    turns: list[Key | None] = [serving]
    for one, neighbour in zip_longest(recent, _neighbours(order, serving)):
        turns += [one, neighbour]
    return tuple(dict.fromkeys([key for key in (*turns, *order) if key is not None]))


def _neighbours(order: Sequence[Key], serving: Key) -> list[Key]:
    if serving not in order:
        return []
    place = order.index(serving)
    # A stable sort: of two that are equally far the cheaper one, which relieves, comes first.
    distances = sorted(range(len(order)), key=lambda index: abs(index - place))
    return [order[index] for index in distances[1:]]


def fitting(
    ranking: Sequence[Key], memory: Callable[[Key], int], budget: int | None, needed: int = 1
) -> tuple[Key, ...]:
    """
    Return those to have ready, in their order, so that together they fit.

    One that does not fit is passed over; a smaller one after it may fit still.

    :param memory: bytes that each one takes, measured or estimated
    :param budget: bytes for all together; None: all are kept
    :param needed: how many of the first are kept whatever they take
    """
    if budget is None:
        return tuple(ranking)
    kept = list(ranking[:needed])
    taken = sum(memory(key) for key in kept)
    for key in ranking[needed:]:
        size = memory(key)
        if taken + size <= budget:
            kept.append(key)
            taken += size
    return tuple(kept)
