# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Laws of latency and power from a handful of operating points of made-up boards."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from dynamic_dnn_ros.management.no_profile.departure import Departure
from dynamic_dnn_ros.management.no_profile.latency import LatencyLaw, Measured
from dynamic_dnn_ros.management.no_profile.power import PowerLaw
from dynamic_dnn_ros.management.no_profile.regression import Prior, fit

DOMAINS = ('cpu', 'gpu', 'memory')
HIGHEST = np.array([2e9, 1e9, 3e9])
SETTINGS = np.array(
    list(
        product(
            np.linspace(0.35, 1, 6) * 2e9,
            np.linspace(0.3, 1, 7) * 1e9,
            np.array([0.25, 0.5, 1]) * 3e9,
        )
    )
)
WORK = np.array([1.0, 1.6, 2.5, 4.0])
"""Of four sub-networks."""


def latency(sub_network: np.ndarray, frequencies: np.ndarray, exponent: float) -> np.ndarray:
    """Return latencies of a board, s: a small network spends more of its time on the host."""
    cpu, gpu, memory = (HIGHEST / frequencies).T
    work = WORK[sub_network]
    compute = ((3e-3 * work * gpu) ** exponent + (1e-3 * work * memory) ** exponent) ** (
        1 / exponent
    )
    return np.asarray(compute + 1.5e-3 * cpu + 1e-3)


def law() -> LatencyLaw:
    every = np.arange(len(WORK))
    start = latency(every, np.tile(HIGHEST, (len(WORK), 1)), 1.0)
    return LatencyLaw(start, 'gpu', DOMAINS, HIGHEST)


def measured(places: list[int], exponent: float) -> Measured:
    """Return measurements of the two sub-networks in the middle, 0.5 % off."""
    generator = np.random.default_rng(1)
    sub_network = np.arange(len(places)) % 2 + 1
    frequencies = SETTINGS[places]
    seconds = latency(sub_network, frequencies, exponent)
    seconds *= np.exp(0.005 * generator.standard_normal(len(places)))
    return Measured(sub_network, frequencies, seconds, np.full(len(places), 0.01))


FEW = [0, 20, 2, 18, 107, 123, 105, 125]
"""Settings, of 126: the highest and lowest clocks of all domains."""


@pytest.mark.parametrize('exponent', [1.0, 3.0])
def test_eight_points_of_two_sub_networks_tell_of_all_settings_of_all_four(
    exponent: float,
) -> None:
    found = law()
    found.learn(measured(FEW, exponent))
    for sub_network in range(len(WORK)):
        numbers = np.full(len(SETTINGS), sub_network)
        true = latency(numbers, SETTINGS, exponent)
        off = np.abs(found.predict(numbers, SETTINGS) / true - 1)
        # Those at the ends were never measured.
        assert off.mean() < (0.03 if sub_network in (1, 2) else 0.07)
    assert (found.exponent > 1.0) == (exponent > 1.0)


def test_before_any_frame_the_start_is_believed_at_the_highest_clocks_alone() -> None:
    found = law()
    every = np.arange(len(WORK))
    top, low = np.tile(HIGHEST, (4, 1)), np.tile(SETTINGS[0], (4, 1))
    assert found.predict(every, top) == pytest.approx(found.start, rel=0.02)
    assert (found.deviation(every, top) < 0.25).all()
    assert (found.deviation(every, low) > found.deviation(every, top)).all()


def test_what_was_measured_is_known_better_than_what_was_not() -> None:
    found = law()
    before = found.deviation(np.array([1]), SETTINGS[:1])
    found.learn(measured(FEW, 1.0))
    assert found.deviation(np.array([1]), SETTINGS[:1]) < 0.2 * before
    assert found.deviation(np.array([1]), SETTINGS[:1]) < found.deviation(
        np.array([3]), SETTINGS[:1]
    )


def test_one_setting_alone_leaves_the_others_as_uncertain_as_they_are() -> None:
    found = law()
    found.learn(measured([125], 1.0))
    assert found.deviation(np.array([1]), SETTINGS[:1]) > 0.08


def test_power_of_all_settings_from_ten() -> None:
    def watts(frequencies: np.ndarray, busy: np.ndarray) -> np.ndarray:
        share = frequencies / HIGHEST
        voltage = np.array([0.6, 0.6, 0.9]) + np.array([0.4, 0.4, 0.1]) * share
        dynamic = np.array([3.0, 6.0, 2.0]) * voltage**2 * share * (0.15 + 0.85 * busy)
        return np.asarray(2.5 + dynamic.sum(axis=1))

    generator = np.random.default_rng(2)
    busy = generator.uniform(0.05, 0.6, SETTINGS.shape)
    some = generator.permutation(len(SETTINGS))[:10]
    found = PowerLaw(DOMAINS, HIGHEST)
    assert np.isnan(found.watts(SETTINGS, busy)).all()
    found.learn(SETTINGS[some], busy[some], watts(SETTINGS[some], busy[some]))
    off = np.abs(found.watts(SETTINGS, busy) / watts(SETTINGS, busy) - 1)
    assert off.mean() < 0.02
    assert off[some].max() < 0.005


def test_a_departure_holds_where_it_was_measured_and_fades() -> None:
    departure = Departure(0.02)
    departure.learn(SETTINGS[:1], np.array([0.03]), np.array([0.003]))
    near, far = departure.factor(SETTINGS[[0, -1]])
    assert near == pytest.approx(1.03, abs=0.002)
    assert far == pytest.approx(1.0, abs=0.001)
    assert departure.variance(SETTINGS[:1]) < 1e-5
    assert departure.covariance(SETTINGS[-1:], SETTINGS[-1:]) == pytest.approx(4e-4, rel=0.01)


def test_parameters_are_not_negative_and_one_wild_value_does_not_bend_them() -> None:
    generator = np.random.default_rng(3)
    design = generator.uniform(0, 1, (30, 3))
    true = np.array([2.0, 0.0, 1.0])
    values = design @ true - 0.02
    values[7] += 40.0
    prior = Prior.independent(np.ones(3), np.full(3, 3.0))
    found = fit(design, values, np.full(30, 0.02), prior)
    assert (found.parameters >= 0).all()
    assert found.parameters == pytest.approx(true, abs=0.15)
