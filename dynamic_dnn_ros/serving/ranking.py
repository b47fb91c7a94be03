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
    entries = list(sub_networks)
    if not all(entry.accuracy_is_known for entry in entries):
        ordered = sorted(entries, key=lambda entry: entry.multiply_adds)
    else:
        ordered = sorted(entries, key=lambda entry: (entry.accuracy, entry.multiply_adds))
    return tuple(entry.id for entry in ordered)


def by_accuracy(sub_networks: Iterable[SubNetwork]) -> tuple[str, ...]:
    """Return ids, the most accurate first; the dearest first where accuracies are not known."""
    entries = list(sub_networks)
    if not all(entry.accuracy_is_known for entry in entries):
        return by_cost(entries)[::-1]
    return tuple(entry.id for entry in sorted(entries, key=lambda entry: -entry.accuracy))


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


def merged(rankings: Sequence[Sequence[Key]]) -> tuple[Key, ...]:
    """Make one ranking of several: the first of each, then the second of each; each one once."""
    turns = (key for turn in zip_longest(*rankings) for key in turn if key is not None)
    return tuple(dict.fromkeys(turns))


def _neighbours(order: Sequence[Key], serving: Key) -> list[Key]:
    if serving not in order:
        return []
    place = order.index(serving)
    # A stable sort: of two that are equally far the cheaper one, which relieves, comes first.
    distances = sorted(range(len(order)), key=lambda index: abs(index - place))
    return [order[index] for index in distances[1:]]


def fitting(
    ranking: Sequence[Key],
    memory: Callable[[Key], int],
    budget: int | None,
    needed: int = 1,
    shared: Callable[[Key], tuple[Hashable, int] | None] = lambda key: None,
) -> tuple[Key, ...]:
    """
    Return those to have ready, in their order, so that together they fit.

    One that does not fit is passed over; a smaller one after it may fit still.

    :param memory: bytes that each one takes, measured or estimated
    :param budget: bytes for all together; None: all are kept
    :param needed: how many of the first are kept whatever they take
    :param shared: what one has together with others beside: whose it is, and bytes; it counts once
    """
    if budget is None:
        return tuple(ranking)
    kept: list[Key] = []
    taken = 0
    counted: set[Hashable] = set()
    for place, key in enumerate(ranking):
        size, common = memory(key), shared(key)
        if common is not None and common[0] not in counted:
            size += common[1]
        if place < needed or taken + size <= budget:
            kept.append(key)
            taken += size
            if common is not None:
                counted.add(common[0])
    return tuple(kept)
