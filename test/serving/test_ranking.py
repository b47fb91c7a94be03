# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.serving.ranking import by_accuracy, by_cost, fitting, ranked

NAMES = ['s0', 's1', 's2', 's3', 's4', 's5']

orders = st.lists(st.sampled_from(NAMES), unique=True, min_size=1)
names = st.sampled_from(NAMES)
recents = st.lists(names, max_size=8)
memories = st.fixed_dictionaries({name: st.integers(0, 50) for name in NAMES})
budgets = st.integers(0, 200)


@given(orders, names, recents)
def test_each_is_ranked_once_and_the_serving_one_first(
    order: list[str], serving: str, recent: list[str]
) -> None:
    ranking = ranked(order, serving, recent)
    assert ranking[0] == serving
    assert len(ranking) == len(set(ranking))
    assert set(ranking) == {serving, *order, *recent}


@given(orders, names, recents)
def test_the_latest_named_comes_next(order: list[str], serving: str, recent: list[str]) -> None:
    others = [name for name in recent if name != serving]
    if others and recent[0] == others[0]:
        assert ranked(order, serving, recent)[1] == others[0]


@given(orders, st.data())
def test_a_nearer_neighbour_comes_before_a_farther_one(
    order: list[str], data: st.DataObject
) -> None:
    serving = data.draw(st.sampled_from(order))
    place = order.index(serving)
    distances = [abs(order.index(name) - place) for name in ranked(order, serving, ())]
    assert distances == sorted(distances)


def test_the_cheaper_of_two_neighbours_comes_first() -> None:
    assert ranked(NAMES, 's2', ()) == ('s2', 's1', 's3', 's0', 's4', 's5')


def test_neighbours_and_recent_ones_take_turns() -> None:
    assert ranked(NAMES, 's0', ['s5', 's4'])[:5] == ('s0', 's5', 's1', 's4', 's2')


@given(st.lists(names, unique=True, min_size=1), memories, budgets, st.integers(1, 2))
def test_what_is_kept_fits_beside_what_is_needed(
    ranking: list[str], memory: dict[str, int], budget: int, needed: int
) -> None:
    kept = fitting(ranking, memory.__getitem__, budget, needed)
    assert list(kept[:needed]) == ranking[:needed]
    assert [name for name in ranking if name in kept] == list(kept)
    extra = kept[needed:]
    if extra:
        assert sum(memory[name] for name in kept) <= budget
    # Nothing that is left out would have fitted in its turn.
    for name in set(ranking) - set(kept):
        before = [other for other in kept if ranking.index(other) < ranking.index(name)]
        assert sum(memory[other] for other in before) + memory[name] > budget


@given(st.lists(names, unique=True, min_size=1), memories)
def test_without_a_budget_all_are_kept(ranking: list[str], memory: dict[str, int]) -> None:
    assert fitting(ranking, memory.__getitem__, None) == tuple(ranking)


@given(st.lists(names, unique=True, min_size=1), memories)
def test_all_are_kept_where_all_fit(ranking: list[str], memory: dict[str, int]) -> None:
    assert fitting(ranking, memory.__getitem__, sum(memory.values())) == tuple(ranking)


def test_order_is_by_accuracy_then_by_cost() -> None:
    def entry(identifier: str, accuracy: float, multiply_adds: int) -> SubNetwork:
        return SubNetwork(
            id=identifier,
            configuration={},
            accuracy=accuracy,
            size=Size(32, 32),
            multiply_adds=multiply_adds,
            parameters=1,
            layers=1,
        )

    entries = [entry('a', 0.9, 9), entry('b', 0.5, 2), entry('c', 0.5, 1)]
    assert by_cost(entries) == ('c', 'b', 'a')


def test_order_is_by_cost_where_accuracies_are_not_known() -> None:
    def entry(identifier: str, accuracy: float, multiply_adds: int) -> SubNetwork:
        return SubNetwork(identifier, {}, Size(32, 32), accuracy, multiply_adds, 1, 1)

    entries = [entry('a', 0.9, 9), entry('b', math.nan, 2), entry('c', 0.5, 4)]
    assert by_cost(entries) == ('b', 'c', 'a')
    assert by_accuracy(entries) == ('a', 'c', 'b')
    known = [entry('a', 0.7, 9), entry('b', 0.9, 2), entry('c', 0.7, 4)]
    assert by_accuracy(known) == ('b', 'a', 'c')


def test_what_several_have_together_counts_once() -> None:
    def kept(budget: int, needed: int = 1) -> tuple[str, ...]:
        shared = {'a1': ('a', 10), 'a2': ('a', 10), 'b1': ('b', 30)}
        return fitting(['a1', 'b1', 'a2', 'c'], lambda key: 1, budget, needed, shared.get)

    assert kept(0) == ('a1',), 'the first is kept whatever it takes'
    assert kept(12) == ('a1', 'a2')
    assert kept(13) == ('a1', 'a2', 'c')
    assert kept(42) == ('a1', 'b1')
    assert kept(44) == ('a1', 'b1', 'a2', 'c')
    assert kept(0, needed=2) == ('a1', 'b1')
