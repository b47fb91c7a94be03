# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable, Iterator
import os
from pathlib import Path
import subprocess
import sys
import threading
import time
from typing import Any
import weakref

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.background import NICENESS
from dynamic_dnn_ros.engines.contract import EngineError, PreparedSubNetwork
from dynamic_dnn_ros.serving.exchange import SETTLED_AFTER, SubNetworkExchange
from dynamic_dnn_ros.serving.ranking import by_cost
from support.gated_engine import PIECE, TIMEOUT, GatedEngine

TESTS = Path(__file__).resolve().parents[1]


class Outcome:
    def __init__(self) -> None:
        self.event = threading.Event()
        self.exchanged: str | None = None
        self.failed: str | None = None

    def on_exchanged(self, prepared: PreparedSubNetwork) -> None:
        self.exchanged = prepared.sub_network.id
        self.event.set()

    def on_failed(self, error: Exception) -> None:
        self.failed = str(error)
        self.event.set()


def request(exchange: SubNetworkExchange, identifier: str) -> Outcome:
    outcome = Outcome()
    exchange.request(identifier, 'cpu', outcome.on_exchanged, outcome.on_failed)
    return outcome


def ready(exchange: SubNetworkExchange) -> list[str]:
    return [prepared.sub_network.id for prepared in exchange.ready]


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def engine() -> GatedEngine:
    return GatedEngine()


class Failures(list[tuple[str, str]]):
    """What the exchange says of failures that nobody waits for."""

    def __call__(self, sub_network: SubNetwork, error: Exception) -> None:
        self.append((sub_network.id, str(error)))


@pytest.fixture
def failures() -> Failures:
    return Failures()


Begin = Callable[..., SubNetworkExchange]


@pytest.fixture
def begin(engine: GatedEngine, bundle: Bundle, failures: Failures) -> Iterator[Begin]:
    begun: list[SubNetworkExchange] = []

    def make(first: str = 's0', **options: Any) -> SubNetworkExchange:
        exchange = SubNetworkExchange(engine, bundle.manifest, on_unprepared=failures, **options)
        exchange.start(first, 'cpu')
        begun.append(exchange)
        return exchange

    yield make
    engine.open_gates()
    for exchange in begun:
        exchange.close()


def test_serves_the_old_one_until_the_new_one_is_ready(engine: GatedEngine, begin: Begin) -> None:
    exchange = begin()
    outcome = request(exchange, 's1')
    assert exchange.serving.sub_network.id == 's0'
    assert not outcome.event.is_set()
    engine.gates['s1'].set()
    assert outcome.event.wait(TIMEOUT)
    assert outcome.exchanged == exchange.serving.sub_network.id == 's1'


def test_exchange_of_two_ready_ones_is_done_at_once(engine: GatedEngine, begin: Begin) -> None:
    exchange = begin()
    engine.gates['s1'].set()
    assert request(exchange, 's1').event.wait(TIMEOUT)
    for identifier in ('s0', 's1', 's0'):
        assert request(exchange, identifier).exchanged == identifier
        assert exchange.serving.sub_network.id == identifier
    assert engine.attempts.count('s0') == engine.attempts.count('s1') == 1


def test_all_are_prepared_where_nothing_limits_them(engine: GatedEngine, begin: Begin) -> None:
    engine.open_gates()
    exchange = begin()
    assert exchange.wait_until_idle(TIMEOUT)
    assert ready(exchange) == ['s0', 's1', 's2']
    assert sorted(engine.attempts) == ['s0', 's1', 's2']


def test_the_one_asked_for_is_prepared_before_those_that_may_come(
    engine: GatedEngine, begin: Begin
) -> None:
    exchange = begin()
    wait_for(lambda: len(engine.attempts) == 2)
    likely = engine.attempts[1]
    (other,) = {'s1', 's2'} - {likely}
    outcome = request(exchange, other)
    engine.open_gates()
    assert outcome.event.wait(TIMEOUT)
    assert engine.attempts == ['s0', likely, other]


def test_one_that_fails_leaves_the_old_one_and_may_be_tried_again(
    engine: GatedEngine, begin: Begin, failures: Failures
) -> None:
    engine.errors['s2'] = EngineError('too large')
    engine.open_gates()
    exchange = begin()
    assert exchange.wait_until_idle(TIMEOUT)
    assert ready(exchange) == ['s0', 's1']
    assert failures == [('s2', 'too large')]
    for _ in range(2):
        outcome = request(exchange, 's2')
        assert outcome.event.wait(TIMEOUT)
        assert outcome.failed == 'too large'
        assert exchange.serving.sub_network.id == 's0'
    assert {name: str(error) for name, error in exchange.failures.items()} == {'s2': 'too large'}
    engine.errors.clear()
    outcome = request(exchange, 's2')
    assert outcome.event.wait(TIMEOUT)
    assert outcome.exchanged == 's2'
    assert exchange.failures == {}
    assert failures == [('s2', 'too large')], 'said once'


def test_an_error_of_any_type_is_a_failure(engine: GatedEngine, begin: Begin) -> None:
    engine.errors['s1'] = ValueError('from the library below')
    engine.open_gates()
    exchange = begin()
    outcome = request(exchange, 's1')
    assert outcome.event.wait(TIMEOUT)
    assert outcome.failed == 'from the library below'


def test_a_newer_request_overtakes_one_that_waits(engine: GatedEngine, begin: Begin) -> None:
    exchange = begin()
    waiting = request(exchange, 's1')
    assert request(exchange, 's0').exchanged == 's0'
    engine.gates['s1'].set()
    assert waiting.event.wait(TIMEOUT)
    assert waiting.failed is not None and 'newer switch' in waiting.failed
    assert exchange.serving.sub_network.id == 's0'


def test_one_that_is_asked_for_again_is_prepared_once(engine: GatedEngine, begin: Begin) -> None:
    exchange = begin()
    first, second = request(exchange, 's1'), request(exchange, 's1')
    engine.gates['s1'].set()
    assert first.event.wait(TIMEOUT) and second.event.wait(TIMEOUT)
    assert first.exchanged == second.exchanged == 's1'
    assert engine.attempts.count('s1') == 1


def test_unknown_sub_network_is_refused_at_once(begin: Begin) -> None:
    with pytest.raises(BundleError, match="no sub-network 's9'"):
        request(begin(), 's9')


def test_start_may_be_tried_with_another_one(
    engine: GatedEngine, bundle: Bundle, failures: Failures
) -> None:
    engine.open_gates()
    engine.errors['s0'] = EngineError('too large')
    exchange = SubNetworkExchange(engine, bundle.manifest)
    with pytest.raises(EngineError, match='too large'):
        exchange.start('s0', 'cpu')
    exchange.start('s1', 'cpu')
    assert exchange.serving.sub_network.id == 's1'
    exchange.close()


@pytest.mark.skipif(sys.platform != 'linux', reason='niceness of threads is of Linux')
@pytest.mark.parametrize(('aside', 'expected'), [(True, NICENESS), (False, 0)])
def test_prepares_with_less_priority_where_it_may(
    engine: GatedEngine, begin: Begin, aside: bool, expected: int
) -> None:
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    engine.open_gates()
    exchange = begin(aside=aside)
    assert exchange.wait_until_idle(TIMEOUT)
    assert engine.niceness == {own, expected if aside else own}


@pytest.mark.parametrize('first', ['s0', 's1'])
def test_a_failure_does_not_keep_what_was_half_made(bundle: Bundle, first: str) -> None:
    half_made: list[weakref.ref[np.ndarray]] = []

    class Failing(GatedEngine):
        def prepare(self, sub_network: SubNetwork, processor: str) -> PreparedSubNetwork:
            if sub_network.id != 's1':
                return super().prepare(sub_network, processor)
            model = np.ones(1000)
            half_made.append(weakref.ref(model))
            try:
                raise RuntimeError('the library failed')
            except RuntimeError as error:
                raise EngineError('too large') from error

    engine = Failing()
    engine.open_gates()
    exchange = SubNetworkExchange(engine, bundle.manifest)
    try:
        if first == 's1':
            with pytest.raises(EngineError, match='too large'):
                exchange.start('s1', 'cpu')
        exchange.start('s0', 'cpu')
        assert exchange.wait_until_idle(TIMEOUT)
        assert str(exchange.failures['s1']) == 'too large'
        wait_for(lambda: half_made[0]() is None)
    finally:
        exchange.close()


def test_a_listener_that_fails_does_not_end_the_preparation(
    engine: GatedEngine, begin: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(prepared: PreparedSubNetwork) -> None:
        raise RuntimeError('the publisher is gone')

    exchange = begin()
    exchange.request('s1', 'cpu', fail, lambda error: None)
    engine.open_gates()
    wait_for(lambda: ready(exchange) == ['s0', 's1', 's2'])
    assert exchange.serving.sub_network.id == 's1'
    assert 'the publisher is gone' in caplog.text


# Several streams


def test_streams_have_what_is_prepared_in_common(engine: GatedEngine, begin: Begin) -> None:
    engine.size = 10 * PIECE
    engine.open_gates()
    front = begin()
    assert front.wait_until_idle(TIMEOUT)
    alone = front.memory
    others = [front.for_another_stream() for _ in range(7)]
    for other in others:
        other.start('s0', 'cpu')
    assert front.wait_until_idle(TIMEOUT)
    assert all(other.serving is front.serving for other in others)
    assert front.memory == others[0].memory == alone
    assert sorted(engine.attempts) == ['s0', 's1', 's2']
    assert request(others[0], 's1').exchanged == 's1'
    assert front.serving.sub_network.id == others[1].serving.sub_network.id == 's0'
    for exchange in (front, *others[1:]):
        exchange.close()
    with others[0].lease() as leased:
        leased.run(np.zeros(0, np.uint8))
    others[0].close()
    assert all(one.closed for one in engine.made), 'the last one gives the memory back'


def test_a_stream_begins_with_one_that_is_not_ready(engine: GatedEngine, begin: Begin) -> None:
    engine.size = PIECE
    front = begin(budget=1)
    rear = front.for_another_stream()
    starting = threading.Thread(target=rear.start, args=('s2', 'cpu'))
    starting.start()
    wait_for(lambda: 's2' in engine.attempts)
    assert starting.is_alive()
    engine.gates['s2'].set()
    starting.join(TIMEOUT)
    assert rear.serving.sub_network.id == 's2'
    engine.errors['s1'] = EngineError('too large')
    engine.open_gates()
    third = front.for_another_stream()
    with pytest.raises(EngineError, match='too large'):
        third.start('s1', 'cpu')
    with pytest.raises(BundleError, match="no sub-network 's9'"):
        third.start('s9', 'cpu')
    for exchange in (rear, third):
        exchange.close()


def test_a_newer_request_overtakes_none_of_another_stream(
    engine: GatedEngine, begin: Begin
) -> None:
    front = begin()
    rear = front.for_another_stream()
    rear.start('s0', 'cpu')
    waiting, other = request(front, 's1'), request(rear, 's2')
    same = request(rear, 's1')
    assert other.failed is not None and 'newer switch' in other.failed
    engine.gates['s1'].set()
    for outcome in (waiting, same):
        assert outcome.event.wait(TIMEOUT)
        assert outcome.exchanged == 's1'
    assert front.serving is rear.serving
    assert engine.attempts.count('s1') == 1
    leaving = request(rear, 's2')
    rear.close()
    engine.open_gates()
    assert front.wait_until_idle(TIMEOUT)
    assert not leaving.event.is_set() and front.serving.sub_network.id == 's1'


def test_none_that_serves_a_stream_is_evicted(engine: GatedEngine, begin: Begin) -> None:
    engine.size = 50 * PIECE
    engine.open_gates()
    front = begin(budget=1)
    rear = front.for_another_stream()
    rear.start('s1', 'cpu')
    wait_for(lambda: ready(front) == ['s0', 's1'])
    assert request(front, 's2').event.wait(TIMEOUT)
    wait_for(lambda: ready(front) == ['s1', 's2'])
    assert front.memory == 2 * engine.size, 'both, though they are too large together'
    rear.close()
    wait_for(lambda: ready(front) == ['s2'])


# A memory budget


@pytest.fixture
def large(engine: GatedEngine) -> GatedEngine:
    engine.size = 50 * PIECE
    engine.open_gates()
    return engine


def test_as_many_as_fit_are_ready(large: GatedEngine, begin: Begin) -> None:
    exchange = begin(budget=2 * large.size)
    wait_for(lambda: len(ready(exchange)) == 2)
    assert exchange.wait_until_idle(TIMEOUT)
    assert exchange.memory == 2 * large.size
    assert len(large.attempts) == 2, 'what does not fit is not even tried'


def test_a_budget_below_the_serving_one_leaves_it_alone(large: GatedEngine, begin: Begin) -> None:
    exchange = begin(budget=1)
    assert exchange.wait_until_idle(TIMEOUT)
    assert ready(exchange) == ['s0']
    for identifier in ('s1', 's2', 's0'):
        assert request(exchange, identifier).event.wait(TIMEOUT)
        assert exchange.serving.sub_network.id == identifier
        wait_for(lambda expected=identifier: ready(exchange) == [expected])
    assert sum(not one.closed for one in large.made) == 1


def test_room_is_made_for_the_one_asked_for(large: GatedEngine, begin: Begin) -> None:
    exchange = begin(budget=2 * large.size)
    wait_for(lambda: len(ready(exchange)) == 2)
    (absent,) = {'s0', 's1', 's2'} - set(ready(exchange))
    outcome = request(exchange, absent)
    assert outcome.event.wait(TIMEOUT)
    assert outcome.exchanged == absent
    assert sorted(ready(exchange)) == sorted(['s0', absent])
    assert exchange.memory == 2 * large.size


def test_the_neighbours_of_the_new_one_are_prepared_once_it_has_settled(
    large: GatedEngine, begin: Begin, bundle: Bundle
) -> None:
    cheapest, middle, _ = by_cost(bundle.manifest.sub_networks)
    exchange = begin(cheapest, budget=2 * large.size)
    wait_for(lambda: sorted(ready(exchange)) == sorted([cheapest, middle]))
    for _ in range(5):
        for identifier in (middle, cheapest):
            assert request(exchange, identifier).exchanged == identifier
    assert len(large.attempts) == 2, 'switches in quick succession have nothing prepared'


# In a process of its own: what else a process has (the memory of other tests, the sizes from which
# its C library maps a piece by itself, which grow with what it has freed) is not looked at.
EVICTION = """
import sys, threading, time
from pathlib import Path
import psutil
from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.serving.exchange import SubNetworkExchange
from support.gated_engine import PIECE, TIMEOUT, GatedEngine

engine = GatedEngine(size=1000 * PIECE)
engine.open_gates()
process = psutil.Process()
exchange = SubNetworkExchange(engine, read_bundle(Path(sys.argv[1])).manifest, budget=1)
exchange.start('s0', 'cpu')
for name in ('s1', 's2'):
    serves = threading.Event()
    with exchange.lease():
        exchange.request(name, 'cpu', lambda _: serves.set(), lambda error: print(error))
        assert serves.wait(TIMEOUT)
        full = process.memory_info().rss
    end = time.monotonic() + TIMEOUT
    while (freed := full - process.memory_info().rss) < 0.8 * engine.size:
        if time.monotonic() > end:
            break
        time.sleep(0.01)
    print(name, freed / engine.size)
exchange.close()
"""


def test_evicted_ones_give_their_memory_back(bundle: Bundle) -> None:
    answer = subprocess.run(
        [sys.executable, '-c', EVICTION, str(bundle.folder)],
        capture_output=True,
        text=True,
        timeout=4 * TIMEOUT,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join([str(TESTS), *sys.path])},
        check=False,
    )
    assert not answer.stderr
    found = dict(line.split() for line in answer.stdout.splitlines())
    assert list(found) == ['s1', 's2']
    assert all(float(share) >= 0.8 for share in found.values()), found


def test_one_in_use_is_not_evicted(large: GatedEngine, begin: Begin) -> None:
    exchange = begin(budget=1)
    with exchange.lease() as leased:
        assert request(exchange, 's1').event.wait(TIMEOUT)
        assert exchange.wait_until_idle(TIMEOUT)
        assert exchange.serving.sub_network.id == 's1'
        leased.run(np.zeros(0, np.uint8))
    wait_for(lambda: ready(exchange) == ['s1'])
    assert leased.closed


def test_each_gets_its_turn_also_where_they_do_not_fit_together(
    large: GatedEngine, begin: Begin
) -> None:
    exchange = begin(budget=1)
    found = []
    for prepared in exchange.each('cpu'):
        prepared.run(np.zeros(0, np.uint8))
        found.append(prepared.sub_network.id)
    assert found == ['s0', 's1', 's2']
    wait_for(lambda: ready(exchange) == ['s0'])


def test_each_leaves_out_those_that_fail(engine: GatedEngine, begin: Begin) -> None:
    engine.errors['s1'] = EngineError('too large')
    engine.open_gates()
    exchange = begin()
    assert [prepared.sub_network.id for prepared in exchange.each('cpu')] == ['s0', 's2']


# A processor that has no memory left


def test_out_of_memory_leaves_what_is_there_and_tries_no_more(
    large: GatedEngine, begin: Begin, failures: Failures
) -> None:
    large.room = 2
    exchange = begin()
    assert exchange.wait_until_idle(TIMEOUT)
    assert len(ready(exchange)) == 2
    assert exchange.budget == 2 * large.size
    ((absent, problem),) = failures
    assert problem == f'no memory left for {absent!r}'
    time.sleep(2 * SETTLED_AFTER)
    assert len(large.attempts) == 3


def test_out_of_memory_makes_room_for_the_one_asked_for(
    large: GatedEngine, begin: Begin, failures: Failures
) -> None:
    large.room = 2
    exchange = begin()
    assert exchange.wait_until_idle(TIMEOUT)
    ((absent, _),) = failures
    outcome = request(exchange, absent)
    assert outcome.event.wait(TIMEOUT)
    assert outcome.exchanged == absent
    assert sorted(ready(exchange)) == sorted(['s0', absent])


def test_out_of_memory_beside_the_serving_one_is_answered(
    large: GatedEngine, begin: Begin
) -> None:
    large.room = 1
    exchange = begin()
    outcome = request(exchange, 's1')
    assert outcome.event.wait(TIMEOUT)
    assert outcome.failed == "no memory left for 's1'"
    assert ready(exchange) == ['s0']


# The end


def test_close_gives_all_memory_back_and_ends_a_wait(engine: GatedEngine, begin: Begin) -> None:
    exchange = begin()
    found: list[str] = []
    waiting = threading.Thread(
        target=lambda: found.extend(one.sub_network.id for one in exchange.each('cpu'))
    )
    waiting.start()
    closing = threading.Thread(target=exchange.close)
    closing.start()
    engine.open_gates()
    for thread in (waiting, closing):
        thread.join(TIMEOUT)
        assert not thread.is_alive()
    assert found[0] == 's0'
    assert all(one.closed for one in engine.made)
