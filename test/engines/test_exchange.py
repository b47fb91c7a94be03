# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator
import threading

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.contract import Engine, EngineError, PreparedSubNetwork
from dynamic_dnn_ros.engines.exchange import SubNetworkExchange

TIMEOUT = 10.0


class Prepared(PreparedSubNetwork):
    def run(self, picture: np.ndarray) -> np.ndarray:
        return np.zeros(2, np.float32)


class GatedEngine(Engine):
    """An engine whose preparations the test lets through one by one; `s2` never succeeds."""

    name = 'gated'
    processors = ('cpu',)

    def __init__(self) -> None:
        self.gates = {identifier: threading.Event() for identifier in ('s0', 's1', 's2')}
        self.gates['s0'].set()
        self.attempts: list[str] = []

    def prepare(self, sub_network: SubNetwork, processor: str) -> PreparedSubNetwork:
        self.attempts.append(sub_network.id)
        assert self.gates[sub_network.id].wait(TIMEOUT)
        if sub_network.id == 's2':
            raise EngineError('no memory left')
        return Prepared(sub_network, processor)


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


@pytest.fixture
def engine() -> GatedEngine:
    return GatedEngine()


@pytest.fixture
def exchange(engine: GatedEngine, bundle: Bundle) -> Iterator[SubNetworkExchange]:
    exchange = SubNetworkExchange(engine, bundle.manifest)
    exchange.start('s0', 'cpu')
    yield exchange
    for gate in engine.gates.values():
        gate.set()
    exchange.close()


def test_serves_the_old_one_until_the_new_one_is_ready(
    engine: GatedEngine, exchange: SubNetworkExchange
) -> None:
    outcome = request(exchange, 's1')
    assert exchange.serving.sub_network.id == 's0'
    assert not outcome.event.is_set()
    engine.gates['s1'].set()
    assert outcome.event.wait(TIMEOUT)
    assert outcome.exchanged == exchange.serving.sub_network.id == 's1'


def test_exchange_of_two_ready_ones_is_done_at_once(
    engine: GatedEngine, exchange: SubNetworkExchange
) -> None:
    engine.gates['s1'].set()
    assert request(exchange, 's1').event.wait(TIMEOUT)
    for identifier in ('s0', 's1', 's0'):
        assert request(exchange, identifier).exchanged == identifier
        assert exchange.serving.sub_network.id == identifier
    assert engine.attempts.count('s0') == engine.attempts.count('s1') == 1


def test_one_that_fails_leaves_the_old_one_and_may_be_tried_again(
    engine: GatedEngine, exchange: SubNetworkExchange
) -> None:
    engine.gates['s1'].set()
    engine.gates['s2'].set()
    for _ in range(2):
        outcome = request(exchange, 's2')
        assert outcome.event.wait(TIMEOUT)
        assert outcome.failed == 'no memory left'
        assert exchange.serving.sub_network.id == 's0'
    assert [entry.sub_network.id for entry in exchange.prepared()] == ['s0', 's1']


def test_a_newer_request_overtakes_one_that_waits(
    engine: GatedEngine, exchange: SubNetworkExchange
) -> None:
    waiting = request(exchange, 's1')
    assert request(exchange, 's0').exchanged == 's0'
    engine.gates['s1'].set()
    assert waiting.event.wait(TIMEOUT)
    assert waiting.failed is not None and 'overtaken' in waiting.failed
    assert exchange.serving.sub_network.id == 's0'


def test_unknown_sub_network_is_refused_at_once(exchange: SubNetworkExchange) -> None:
    with pytest.raises(BundleError, match="no sub-network 's9'"):
        request(exchange, 's9')


def test_close_ends_a_wait_for_what_is_not_prepared(engine: GatedEngine, bundle: Bundle) -> None:
    exchange = SubNetworkExchange(engine, bundle.manifest)
    exchange.start('s0', 'cpu')
    found: list[tuple[PreparedSubNetwork, ...]] = []
    waiting = threading.Thread(target=lambda: found.append(exchange.prepared()))
    waiting.start()
    closing = threading.Thread(target=exchange.close)
    closing.start()
    engine.gates['s1'].set()
    for thread in (waiting, closing):
        thread.join(TIMEOUT)
        assert not thread.is_alive()
    assert found[0][0].sub_network.id == 's0'
