# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Targets: what is refused, and which of several is in force."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from dynamic_dnn_ros.management.targets import (
    Objective,
    Target,
    TargetError,
    TargetStore,
    is_application_id,
)

FRONT = '/front/inference_node'


@pytest.mark.parametrize(
    ('fields', 'field'),
    [
        ({'latency': float('nan')}, 'latency'),
        ({'latency': float('inf')}, 'latency'),
        ({'latency': -0.1}, 'latency'),
        ({'latency': 0.1, 'latency_quantile': 1.0}, 'latency_quantile'),
        ({'latency': 0.1, 'latency_quantile': 1.5}, 'latency_quantile'),
        ({'latency': 0.1, 'latency_quantile': -0.5}, 'latency_quantile'),
        ({'latency_quantile': 0.9}, 'latency_quantile'),
        ({'accuracy': 1.01}, 'accuracy'),
        ({'accuracy': float('nan')}, 'accuracy'),
        ({'energy': -1.0}, 'energy'),
        ({'rate': float('-inf')}, 'rate'),
        ({'priority': 256}, 'priority'),
        ({'objective': 3}, 'objective'),
        ({'late_frames': 2}, 'late_frames'),
        ({'late_frames': 1}, 'late_frames'),
    ],
)
def test_refuses_what_makes_no_sense(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(TargetError) as error:
        Target(FRONT, **fields)
    assert error.value.field == field
    assert error.value.value is fields[field]
    assert field in str(error.value)
    assert error.value.remedy in str(error.value)


@pytest.mark.parametrize('name', ['', 'front', '/front/', '//front', '/front node', '/1front'])
def test_refuses_what_is_no_node_name(name: str) -> None:
    assert not is_application_id(name)
    with pytest.raises(TargetError, match='application'):
        Target(name)


def test_limits_that_only_look_contradictory_are_taken() -> None:
    target = Target(FRONT, latency=1.0, rate=50.0, accuracy=1.0)
    assert target.limits() == {'latency': 1.0, 'accuracy': 1.0, 'rate': 50.0}
    assert target.quantile == 0.95


@given(
    st.floats(), st.floats(), st.floats(), st.floats(), st.floats(), st.integers(), st.integers()
)
def test_either_refuses_or_keeps_sound_values(
    latency: float,
    quantile: float,
    accuracy: float,
    energy: float,
    rate: float,
    priority: int,
    objective: int,
) -> None:
    try:
        target = Target(
            FRONT,
            latency,
            quantile,
            accuracy,
            energy,
            rate,
            priority,
            objective,  # type: ignore[arg-type]
        )
    except TargetError:
        return
    assert all(0 < value < float('inf') for value in target.limits().values())
    assert 0 < target.quantile < 1
    assert isinstance(target.objective, Objective)


def test_newest_wins_by_stamp_and_by_arrival() -> None:
    store = TargetStore()
    store.set(Target(FRONT, latency=0.1, stamp=100), arrival=1000)
    store.set(Target(FRONT, latency=0.2), arrival=2000)
    kept = store.get(FRONT)
    assert kept is not None
    assert (kept.latency, kept.stamp) == (0.2, 2000)
    with pytest.raises(TargetError, match='older'):
        store.set(Target(FRONT, latency=0.3, stamp=1500), arrival=3000)
    assert store.get(FRONT) == kept


def test_a_stamp_from_the_future_does_not_block_later_targets() -> None:
    store = TargetStore()
    store.set(Target(FRONT, latency=0.1, stamp=10**18), arrival=1000)
    store.set(Target(FRONT, latency=0.2), arrival=1001)
    kept = store.get(FRONT)
    assert kept is not None
    assert kept.latency == 0.2


@pytest.mark.parametrize('stamp', [0, 150, 10**18])
def test_a_clock_that_was_put_back_does_not_block_later_targets(stamp: int) -> None:
    store = TargetStore()
    before = store.set(Target(FRONT, latency=0.1), arrival=1000)
    kept = store.set(Target(FRONT, latency=0.2, stamp=stamp), arrival=200)
    assert kept.latency == 0.2
    # What an application echoes meanwhile is the target before.
    assert not store.adopt(before)
    assert store.get(FRONT) == kept
    store.clear(FRONT, stamp=stamp, arrival=300)
    assert not store.adopt(before)
    assert store.get(FRONT) is None
    later = store.set(Target(FRONT, latency=0.3, stamp=1100), arrival=1200)
    assert later.stamp == 1100
    with pytest.raises(TargetError, match='older'):
        store.set(Target(FRONT, latency=0.4, stamp=900), arrival=1300)


def test_adopts_echoes_unless_something_newer_is_known() -> None:
    store = TargetStore()
    echo = Target(FRONT, latency=0.1, stamp=100, sender='operator')
    assert store.adopt(echo)
    assert not store.adopt(echo)
    store.set(Target(FRONT, latency=0.2), arrival=200)
    assert not store.adopt(echo)
    store.clear(FRONT, stamp=0, arrival=300)
    assert not store.adopt(Target(FRONT, latency=0.2, stamp=200))
    assert store.get(FRONT) is None
    assert list(store) == []


def test_a_withdrawal_can_be_too_old_as_well() -> None:
    store = TargetStore()
    store.set(Target(FRONT, latency=0.2), arrival=200)
    with pytest.raises(TargetError, match='older'):
        store.clear(FRONT, stamp=100, arrival=300)
    with pytest.raises(TargetError, match='application'):
        store.clear('front', stamp=0, arrival=300)
    assert list(store) == [FRONT]


def test_asks_the_same_ignores_who_and_when() -> None:
    one = Target(FRONT, latency=0.1, sender='a', stamp=1)
    assert one.asks_the_same(Target(FRONT, latency=0.1, sender='b', stamp=2))
    assert not one.asks_the_same(Target(FRONT, latency=0.2))
    assert not one.asks_the_same(None)
