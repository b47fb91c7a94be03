# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.contract import EngineError
from dynamic_dnn_ros.nodes.served_bundle import ServedBundle
from support.bundles import make_bundle
from support.gated_engine import GatedEngine

Serve = Callable[..., ServedBundle]


@pytest.fixture(scope='module')
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp('served') / 'synthetic')


@pytest.fixture
def engine() -> GatedEngine:
    engine = GatedEngine()
    engine.open_gates()
    return engine


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def served(bundle: Bundle, engine: GatedEngine, said: list[str]) -> Iterator[ServedBundle]:
    def say(sub_network: Any, error: Exception) -> None:
        said.append(f'{sub_network.id}: {error}')

    served = ServedBundle(bundle, engine, None, True, say, say)
    yield served
    served.exchange.close()


def test_begins_with_the_one_wished_for(served: ServedBundle) -> None:
    assert served.begin('s1') == served.serving == 's1'


def test_begins_with_the_most_accurate_one(served: ServedBundle, bundle: Bundle) -> None:
    best = max(bundle.manifest.sub_networks, key=lambda entry: entry.accuracy)
    assert served.begin('') == best.id


def test_another_one_stands_in_for_one_that_fails(
    served: ServedBundle, engine: GatedEngine, said: list[str]
) -> None:
    engine.errors['s0'] = EngineError('no memory left')
    assert served.begin('s0') != 's0'
    assert said == ['s0: no memory left']
    assert served.exchange.wait_until_idle(30.0)
    assert said == ['s0: no memory left'], 'said once'
    assert served.failures == {'s0': 'no memory left'}
    assert [one.sub_network.id for one in served.exchange.ready] == ['s1', 's2']


def test_none_that_can_be_served_is_an_error(served: ServedBundle, engine: GatedEngine) -> None:
    engine.errors = {name: EngineError(f'{name} is too large') for name in ('s0', 's1', 's2')}
    with pytest.raises(EngineError, match='no sub-network can be served. s1 is too large'):
        served.begin('s1')


def test_unknown_sub_network_is_refused(served: ServedBundle) -> None:
    with pytest.raises(BundleError, match="no sub-network 's9'"):
        served.begin('s9')
