# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.manifest import Manifest
from dynamic_dnn_ros.bundles.profile import OperatingPoints
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.contract import EngineError, Precision
from dynamic_dnn_ros.nodes.inference.served_bundle import ServedBundle
from support.applications import operating_points
from support.bundles import make_bundle
from support.gated_engine import GatedEngine


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


@pytest.mark.parametrize(
    'error',
    [EngineError('no memory left'), BundleError('s0', 'lacks statistics', 'Export it again')],
    ids=['engine', 'bundle'],
)
def test_another_one_stands_in_for_one_that_fails(
    served: ServedBundle, engine: GatedEngine, said: list[str], error: Exception
) -> None:
    engine.errors['s0'] = error
    assert served.begin('s0') != 's0'
    assert said == [f's0: {error}']
    assert served.exchange.wait_until_idle(30.0)
    assert said == [f's0: {error}'], 'said once'
    assert served.failures == {'s0': str(error)}
    assert [one.sub_network.id for one in served.exchange.ready] == ['s1', 's2']


def test_none_that_can_be_served_is_an_error(served: ServedBundle, engine: GatedEngine) -> None:
    engine.errors = {name: EngineError(f'{name} is too large') for name in ('s0', 's1', 's2')}
    with pytest.raises(EngineError, match='no sub-network can be served. s1 is too large'):
        served.begin('s1')


def test_unknown_sub_network_is_refused(served: ServedBundle) -> None:
    with pytest.raises(BundleError, match="no sub-network 's9'"):
        served.begin('s9')


def profiled(tmp_path: Path, **changes: Any) -> Bundle:
    """Return a bundle with accuracies that were measured in int8."""

    def profiles(manifest: Manifest) -> list[OperatingPoints]:
        table = operating_points((), {e.id: (1.0, 0.5) for e in manifest.sub_networks}, 'cpu')
        accuracy = np.array([0.4, 0.2, 0.3])
        measured = replace(table, engine='gated', precision='int8', accuracy=accuracy)
        return [replace(measured, **changes)]

    return make_bundle(tmp_path / 'profiled', profiles=profiles)


@pytest.mark.parametrize(
    ('changes', 'used'),
    [
        ({}, True),
        ({'engine': 'another'}, False),
        ({'precision': 'bfloat16'}, False),
        ({'weights_sha256': '0' * 64}, False),
    ],
)
def test_accuracies_are_those_of_the_engine_that_serves(
    tmp_path: Path, engine: GatedEngine, changes: dict[str, Any], used: bool
) -> None:
    engine.name, engine.precision = 'gated', Precision.INT8
    bundle = profiled(tmp_path, **changes)
    served = ServedBundle(bundle, engine, None, True, lambda *_: None, lambda *_: None)
    try:
        accuracies = [entry.accuracy for entry in served.manifest().sub_networks]
        assert accuracies == pytest.approx([0.4, 0.2, 0.3] if used else [0.5, 0.6, 0.7])
        assert served.begin('') == ('s0' if used else 's2'), 'the most accurate one'
        assert ('--precision int8 --data' in served.unmeasured) == (not used)
    finally:
        served.exchange.close()


def test_nothing_is_said_of_accuracies_in_float32(served: ServedBundle) -> None:
    assert served.unmeasured == ''


def test_says_that_nobody_knows_accuracies_and_begins_with_the_dearest(
    bundle: Bundle, engine: GatedEngine
) -> None:
    entries = tuple(replace(each, accuracy=math.nan) for each in bundle.manifest.sub_networks)
    unknown = replace(bundle, manifest=replace(bundle.manifest, sub_networks=entries))
    engine.open_gates()
    served = ServedBundle(unknown, engine, None, True, lambda *_: None, lambda *_: None)
    try:
        dearest = max(entries, key=lambda each: each.multiply_adds)
        assert served.begin('') == dearest.id
        assert 'Nobody knows the accuracy of s0, s1, s2' in served.unmeasured
        assert '--data PICTURES' in served.unmeasured
    finally:
        served.exchange.close()
