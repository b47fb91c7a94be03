# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest

from dynamic_dnn_ros.training.batches import Normalisation
from dynamic_dnn_ros.training.selection import draw_candidates, latencies, select
from support.training import colour_pictures, small_network

NORMALISATION = Normalisation((0.5,) * 3, (0.25,) * 3)


def test_candidates_are_distinct_repeat_and_hold_both_ends():
    network = small_network()
    drawn = draw_candidates(network, 20, seed=0)
    # Both halves hold the two ends, and may share a few more.
    assert 15 <= len(drawn) == len(set(drawn)) <= 18
    assert {network.smallest(), network.largest()} <= set(drawn)
    assert draw_candidates(network, 20, seed=0) == drawn
    assert draw_candidates(network, 20, seed=1) != drawn


def test_candidates_spread_evenly_over_their_cost():
    network = small_network()
    costs = sorted(network.multiply_adds(each) for each in draw_candidates(network, 20, seed=0))
    ratios = np.diff(np.log(costs))
    assert ratios.max() < 5.0 * ratios.mean()


def test_latency_rises_with_the_work():
    network = small_network()
    module = network.extract(network.largest())
    # Two orders of magnitude more pixels: no load of the machine turns this round.
    small, large = latencies([(module, 16), (module, 256)], quiet=True)
    assert 0.0 < small < large


@pytest.mark.parametrize('count', [2, 4])
def test_what_is_selected_rises_in_latency_and_accuracy(count):
    network = small_network().eval()
    pictures = colour_pictures(60)
    candidates = draw_candidates(network, 6, seed=0)
    chosen = select(network, candidates, count, pictures, pictures, NORMALISATION, quiet=True)
    assert 1 <= len(chosen) <= count
    assert (np.diff([candidate.latency for candidate in chosen]) > 0.0).all()
    assert (np.diff([candidate.accuracy for candidate in chosen]) > 0.0).all()
    for candidate in chosen:
        network.activate(candidate.configuration)
        network.load_batch_norm_statistics(candidate.statistics)
        before = np.concatenate(list(candidate.statistics.values()))
        assert np.isfinite(before).all()
        assert candidate.multiply_adds == network.multiply_adds(candidate.configuration)
