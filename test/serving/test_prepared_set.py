# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork, SuperNetwork
from dynamic_dnn_ros.engines.contract import Outputs, PreparedSubNetwork
from dynamic_dnn_ros.pictures.input import Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.serving.prepared_set import Key, PreparedSet

#: From the cheapest to the dearest, not in that order in the bundle.
ENTRIES = {
    name: SubNetwork(name, {}, Size(32, 32), accuracy, 1, 1, 1)
    for name, accuracy in (('s2', 0.7), ('s0', 0.5), ('s1', 0.6), ('s3', 0.8))
}
MANIFEST = Manifest(
    'four',
    SuperNetwork('family', {}),
    ('cat', 'dog'),
    Preprocessing(Resize.STRETCH, (0.5,) * 3, (0.2,) * 3),
    tuple(ENTRIES.values()),
)
ESTIMATE = 10


class Prepared(PreparedSubNetwork):
    def __init__(self, name: str, processor: str, memory: int) -> None:
        super().__init__(ENTRIES[name], processor)
        self.taken = memory

    @property
    def memory(self) -> int:
        return self.taken

    def run(self, picture: np.ndarray) -> Outputs:
        raise NotImplementedError


def key(name: str, processor: str = 'cpu') -> Key:
    return Key(name, processor)


def having(budget: int | None, *names: str, memory: int = ESTIMATE) -> PreparedSet:
    prepared = PreparedSet(MANIFEST, lambda entry: ESTIMATE, budget)
    for name in names:
        prepared.add(key(name), Prepared(name, 'cpu', memory))
    return prepared


def wanted(prepared: PreparedSet, serving: str, asked: str | None = None) -> list[str]:
    keys, _ = prepared.wanted([key(serving)], None if asked is None else key(asked), ())
    return [name for name, _ in keys]


def test_all_are_wanted_without_a_budget_the_nearest_first() -> None:
    prepared = having(None, 's1')
    assert wanted(prepared, 's1') == ['s1', 's0', 's2', 's3']
    assert not prepared.wanted([key('s1')], None, ())[1]
    assert wanted(prepared, 's1', 's3')[:2] == ['s1', 's3']
    recent, _ = prepared.wanted([key('s1')], None, [key('s3')])
    assert [name for name, _ in recent] == ['s1', 's3', 's0', 's2']


def test_what_fits_is_wanted_by_estimate_and_then_by_what_it_took() -> None:
    prepared = having(3 * ESTIMATE, 's1')
    assert wanted(prepared, 's1') == ['s1', 's0', 's2']
    assert prepared.wanted([key('s1')], None, ())[1]
    prepared.add(key('s0'), Prepared('s0', 'cpu', 3 * ESTIMATE))
    assert wanted(prepared, 's1') == ['s1', 's2', 's3']
    # Also once it is gone.
    assert [one.sub_network.id for one in prepared.evict([key('s1')], ())] == ['s0']
    assert prepared.memory == ESTIMATE
    assert wanted(prepared, 's1') == ['s1', 's2', 's3']
    assert wanted(prepared, 's1', 's0') == ['s1', 's0'], 'whatever it takes'


def test_one_that_failed_is_wanted_only_where_somebody_asks() -> None:
    prepared = having(None, 's1')
    assert prepared.fail(key('s2'), ValueError('first'))
    assert not prepared.fail(key('s2'), ValueError('second'))
    assert wanted(prepared, 's1') == ['s1', 's0', 's3']
    assert wanted(prepared, 's1', 's2') == ['s1', 's2', 's0', 's3']
    assert {name: str(error) for name, error in prepared.failures.items()} == {'s2': 'second'}
    prepared.add(key('s2'), Prepared('s2', 'cpu', ESTIMATE))
    assert prepared.failures == {}


def test_neither_the_serving_one_nor_one_in_use_is_evicted() -> None:
    prepared = having(None, 's0', 's1', 's2', 's3')
    used = prepared.get(key('s3'))
    assert used is not None and used.key == key('s3')
    used.users += 1
    leaving = prepared.evict([key('s0')], [key('s1')])
    assert [one.sub_network.id for one in leaving] == ['s2']
    assert key('s2') not in prepared and prepared.get(key('s2')) is None
    assert [one.sub_network.id for one in prepared.prepared] == ['s0', 's1', 's3']
    used.users -= 1
    assert [one.sub_network.id for one in prepared.evict([key('s0')], [key('s1')])] == ['s3']


def test_at_the_end_those_in_use_are_left_to_who_uses_them() -> None:
    prepared = having(None, 's0', 's1')
    used = prepared.get(key('s0'))
    assert used is not None
    used.users += 1
    assert [one.sub_network.id for one in prepared.evict_all()] == ['s1']
    assert prepared.prepared == () and prepared.memory == 0


def test_one_sub_network_on_two_processors_is_two() -> None:
    prepared = having(None, 's0')
    prepared.add(key('s0', 'gpu'), Prepared('s0', 'gpu', 1))
    assert prepared.memory == ESTIMATE + 1
    keys, _ = prepared.wanted([key('s0', 'gpu')], None, ())
    assert keys[0] == key('s0', 'gpu') and key('s0') in keys
    assert {processor for _, processor in keys[1:4]} == {'gpu', 'cpu'}


def test_what_serves_any_stream_is_wanted_first_and_its_neighbours_in_turns() -> None:
    prepared = having(None, 's0', 's3')
    keys, limited = prepared.wanted([key('s0'), key('s3'), key('s0')], None, ())
    assert [name for name, _ in keys] == ['s0', 's3', 's1', 's2'] and not limited
    asked, _ = prepared.wanted([key('s0'), key('s3')], key('s2'), ())
    assert [name for name, _ in asked] == ['s0', 's3', 's2', 's1']
    small = having(1, 's0', 's3')
    kept, limited = small.wanted([key('s0'), key('s3')], key('s2'), ())
    assert [name for name, _ in kept] == ['s0', 's3', 's2'] and limited
    assert small.evict([key('s0'), key('s3')], ()) == []


@pytest.mark.parametrize(('budget', 'expected'), [(None, 20), (100, 20), (15, 15)])
def test_what_is_there_may_become_the_budget(budget: int | None, expected: int) -> None:
    prepared = having(budget, 's0', 's1')
    prepared.allow_no_more()
    assert prepared.budget == expected
