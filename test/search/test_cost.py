# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest

from dynamic_dnn_ros.engines.contract import EngineError
from dynamic_dnn_ros.platforms.registry import PlatformOptions, make_platform
from dynamic_dnn_ros.search.cost import EnergyMeter, LatencyMeter, make_meter
from dynamic_dnn_ros.search.errors import SearchError
from dynamic_dnn_ros.search.settings import SearchSettings
from support.bundles import make_bundle
from support.training import small_network


@pytest.fixture
def bundle(tmp_path):
    return make_bundle(tmp_path / 'bundle')


def entries_of(bundle, network):
    statistics = bundle.weights().batch_norm_statistics
    return [
        (network.configuration(entry.configuration), statistics[entry.id])
        for entry in bundle.manifest.sub_networks
    ]


def test_latencies_are_positive_for_every_turn_and_entry(bundle):
    network = small_network()
    meter = make_meter(bundle, network, SearchSettings())
    assert isinstance(meter, LatencyMeter)
    costs = meter.measure(entries_of(bundle, network), turns=3, quiet=True)
    assert costs.shape == (3, 3)
    assert (costs > 0.0).all()
    assert 'engine torch on cpu, 1 thread' in meter.conditions


def test_the_engine_runs_what_it_is_given(bundle, monkeypatch):
    network = small_network()
    meter = make_meter(bundle, network, SearchSettings())
    ran = []
    monkeypatch.setattr(
        meter, '_turn', lambda prepared, _: ran.append(prepared.sub_network) or 1.0
    )
    entries = entries_of(bundle, network)
    meter.measure(entries, turns=2, quiet=True)
    for configuration, _ in entries:
        runs = [each for each in ran if each.configuration == configuration.to_mapping()]
        assert len(runs) == 2
    # The order is drawn anew in each turn.
    assert sorted(each.id for each in ran[:3]) == sorted(each.id for each in ran[3:])


def test_what_cannot_be_measured_here_is_said(bundle):
    network = small_network()
    with pytest.raises(EngineError, match="engine 'nonesuch' is unknown"):
        make_meter(bundle, network, SearchSettings(engine='nonesuch'))
    with pytest.raises(SearchError, match=r"search\.processor is 'dla0'"):
        make_meter(bundle, network, SearchSettings(processor='dla0'))


def test_energy_is_the_integral_of_the_rail(bundle, monkeypatch):
    network = small_network()
    platform = make_platform('xavier_nx_simulated', time.perf_counter(), PlatformOptions())
    monkeypatch.setattr('dynamic_dnn_ros.search.cost._SECONDS_EACH_TURN', 0.2)
    meter = EnergyMeter(bundle, network, SearchSettings(), 'a board', platform)
    costs = meter.measure(entries_of(bundle, network)[:1], turns=1, quiet=True)
    assert np.isfinite(costs).all()
    # The idle board draws watts, and a picture takes between 0.1 ms and 0.2 s.
    assert 1e-4 < costs[0, 0] < 5.0
    assert meter.unit == 'J'


def test_energy_without_a_rail_is_refused(bundle, tmp_path):
    platform = make_platform('linux', 0.0, PlatformOptions(sysfs_root=str(tmp_path)))
    with pytest.raises(SearchError, match=r'no power rail .* set it to .latency'):
        EnergyMeter(bundle, small_network(), SearchSettings(), 'a computer', platform)


def test_the_bundle_itself_stays_as_it_is(bundle):
    network = small_network()
    before = dataclasses.asdict(bundle.manifest)
    make_meter(bundle, network, SearchSettings()).measure(entries_of(bundle, network), 1, True)
    assert dataclasses.asdict(bundle.manifest) == before
