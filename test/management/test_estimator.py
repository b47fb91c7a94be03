# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The slow-down filter and the latency that it predicts."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from dynamic_dnn_ros.management.estimator import (
    CAMERA_VARIATION,
    FloatArray,
    SlowDownFilter,
    predicted_service,
    predicted_waiting,
    profiled_quantile,
    with_quantile_at,
)
from dynamic_dnn_ros.management.observations import StageShare
from dynamic_dnn_ros.management.paths import Paths

PROFILED = 0.03


def filtered(ratios: list[float]) -> SlowDownFilter:
    slow_down = SlowDownFilter()
    for ratio in ratios:
        slow_down.update(ratio, PROFILED)
    return slow_down


@pytest.mark.parametrize('factor', [0.7, 1.0, 1.6, 3.0])
@pytest.mark.parametrize('jitter', [0.02, 0.2])
def test_finds_a_constant_slow_down(factor: float, jitter: float) -> None:
    random = np.random.default_rng(1)
    slow_down = filtered(list(factor * (1 + jitter * random.standard_normal(300))))
    assert slow_down.mean == pytest.approx(factor, rel=0.05)
    assert math.sqrt(slow_down.variance) < 0.1 * factor
    assert slow_down.dispersion == pytest.approx(jitter * factor, rel=0.4, abs=0.01 * factor)


def test_follows_a_step_within_two_frames() -> None:
    slow_down = filtered([1.0 + 0.02 * (-1) ** i for i in range(100)])
    assert not slow_down.update(2.0, PROFILED)
    assert slow_down.update(2.0, PROFILED)
    assert slow_down.mean == pytest.approx(2.0, rel=0.05)


def test_does_not_follow_one_late_frame() -> None:
    slow_down = filtered([1.0 + 0.02 * (-1) ** i for i in range(100)])
    assert slow_down.is_outlier(5.0)
    assert not slow_down.update(5.0, PROFILED)
    assert slow_down.mean < 1.05
    assert not slow_down.is_outlier(1.03)


def test_a_single_frame_is_supposed_with_its_spread_for_doubt() -> None:
    slow_down = filtered([1.0 + 0.05 * (-1) ** i for i in range(100)])
    supposed = slow_down.supposing(1.5)
    assert supposed.mean == 1.5
    assert supposed.variance == pytest.approx(slow_down.variance + slow_down.dispersion**2)
    assert slow_down.mean < 1.1


def test_less_is_certain_where_frames_spread_more() -> None:
    random = np.random.default_rng(4)
    noise = random.standard_normal(300)
    calm, jittery = (filtered(list(1 + share * noise)) for share in (0.02, 0.2))
    assert calm.uncertainty < 0.015
    assert 0.04 < jittery.uncertainty < 0.08


def test_white_jitter_is_not_taken_for_steps() -> None:
    random = np.random.default_rng(2)
    slow_down = SlowDownFilter()
    steps = sum(
        slow_down.update(float(1 + 0.2 * random.standard_normal()), PROFILED) for _ in range(5000)
    )
    assert steps <= 2


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(1e-3, 1e3), max_size=60), st.floats(0, 1))
def test_stays_finite_and_positive(ratios: list[float], spread: float) -> None:
    slow_down = SlowDownFilter()
    for ratio in ratios:
        slow_down.update(ratio, spread)
        assert 0 < slow_down.mean < math.inf
        assert 0 < slow_down.variance < math.inf
        assert 0 <= slow_down.deviation < math.inf


def test_quantiles_go_through_the_profile() -> None:
    p50, p95, p99 = np.array([1.0]), np.array([2.0]), np.array([4.0])
    for quantile, expected in ((0.3, 1.0), (0.5, 1.0), (0.95, 2.0), (0.99, 4.0)):
        assert profiled_quantile(quantile, p50, p95, p99)[0] == pytest.approx(expected)
    assert 1.0 < profiled_quantile(0.8, p50, p95, p99)[0] < 2.0
    assert profiled_quantile(0.999, p50, p95, p99)[0] > 4.0


@pytest.mark.parametrize('wanted', [0.3, 0.6, 0.95, 0.999])
@pytest.mark.parametrize('quantile', [0.8, 0.95, 0.99])
def test_a_profile_can_have_at_one_quantile_what_it_has_at_another(
    quantile: float, wanted: float
) -> None:
    p50, p95, p99 = (np.array([each, 2 * each]) for each in (1.0, 2.0, 4.0))
    found = profiled_quantile(quantile, p50, *with_quantile_at(quantile, wanted, p50, p95, p99))
    assert found == pytest.approx(profiled_quantile(wanted, p50, p95, p99))
    steady = with_quantile_at(quantile, wanted, p50, p50, p50)
    assert np.array(steady) == pytest.approx(np.array([p50, p50])), 'without spread'


def test_prediction_covers_the_quantile_of_what_is_measured() -> None:
    random = np.random.default_rng(3)
    mean = np.array([0.01])
    ratios = 1.4 * (1 + 0.15 * random.standard_normal(2000))
    slow_down = filtered(list(ratios[:1000]))
    service = predicted_service(0.95, slow_down, mean, mean, mean * (1 + 1.645 * PROFILED))
    share = float(np.mean(ratios[1000:] * 0.01 <= service[0]))
    assert 0.93 <= share <= 0.985


def test_waiting_of_the_newest_frame() -> None:
    period = 1 / 30

    def waiting(mean: float, service: float) -> float:
        return float(predicted_waiting(0.95, period, np.array([mean]), np.array([service]))[0])

    assert waiting(0.01, 0.011) < 1e-4
    assert waiting(0.05, 0.06) == pytest.approx(0.95 * period)
    near = [waiting(mean, 1.1 * mean) for mean in np.linspace(0.02, 0.034, 50)]
    assert near == sorted(near)
    assert near[-1] == pytest.approx(0.95 * period)
    assert predicted_waiting(0.95, math.inf, np.array([1.0]), np.array([1.0]))[0] == 0.0


def waits(arrivals: FloatArray, services: FloatArray) -> list[float]:
    """Return how long each frame waits that a worker behind a mailbox takes, s."""
    free, index, found = 0.0, 0, []
    while index < len(arrivals) - 1:
        while index + 1 < len(arrivals) and arrivals[index + 1] <= free:
            index += 1
        start = max(free, float(arrivals[index]))
        found.append(start - float(arrivals[index]))
        free = start + float(services[len(found)])
        index += 1
    return found


def arriving(period: float, count: int, random: np.random.Generator) -> FloatArray:
    """Return when frames of a camera come, s."""
    arrivals = np.arange(count) * period
    arrivals[1:] += CAMERA_VARIATION / np.sqrt(2) * period * random.standard_normal(count - 1)
    return arrivals


@pytest.mark.parametrize('utilisation', [0.6, 0.9, 0.97])
def test_waiting_near_saturation_is_about_what_a_mailbox_shows(utilisation: float) -> None:
    random = np.random.default_rng(5)
    period, jitter, count = 1 / 30, 0.05, 20000
    arrivals = arriving(period, count, random)
    services = utilisation * period * (1 + jitter * random.standard_normal(count))
    mean = utilisation * period
    found = predicted_waiting(
        0.95, period, np.array([mean]), np.array([mean * (1 + 1.645 * jitter)])
    )
    shown = np.quantile(waits(arrivals, services), 0.95)
    assert -0.02 * period < found[0] - shown < 0.12 * period


@pytest.mark.parametrize('camera', [0.01, 0.03, 0.08])
@pytest.mark.parametrize('utilisation', [0.85, 0.92, 0.97])
def test_waiting_follows_how_evenly_the_camera_is_seen_to_send(
    camera: float, utilisation: float
) -> None:
    random = np.random.default_rng(6)
    period, jitter, count = 1 / 30, 0.03, 20000
    arrivals = np.cumsum(period * (1 + camera * random.standard_normal(count)))
    mean = utilisation * period
    services = mean * (1 + jitter * random.standard_normal(count))
    figures = np.array([mean]), np.array([mean * (1 + 1.645 * jitter)])
    found = float(predicted_waiting(0.95, period, *figures, camera_variation=camera)[0])
    shown = float(np.quantile(waits(arrivals, services), 0.95))
    assert -0.02 * period < found - shown < 0.06 * period


def test_an_even_camera_makes_no_difference_where_others_share_the_processor() -> None:
    """Frames that meet those of others take longer by all of their time, not by its mean."""
    period = 1 / 30
    mean = np.array([0.9, 0.9]) * period

    def waiting(camera: float, alone: bool) -> float:
        mixed = np.array([not alone, alone])
        found = predicted_waiting(
            0.95, period, mean, 1.05 * mean, camera_variation=camera, alone=mixed
        )
        each = predicted_waiting(
            0.95, period, mean, 1.05 * mean, camera_variation=camera, alone=alone
        )
        assert found[1] == each[0] == each[1]
        return float(each[0])

    assert waiting(0.01, False) == waiting(CAMERA_VARIATION, False) < waiting(0.1, False)
    assert waiting(0.01, True) < waiting(CAMERA_VARIATION, True) < waiting(0.01, False)


@pytest.mark.parametrize('utilisation', [0.7, 0.8, 0.9])
def test_rare_long_paths_make_others_wait(utilisation: float) -> None:
    paths = Paths([StageShare('first', 0.45, 0.97), StageShare('last', 1.0, 0.03)])
    random = np.random.default_rng(5)
    period, count = 1 / 30, 6000
    arrivals = arriving(period, count, random)
    largest = utilisation * period / paths.mean_work()
    work = np.where(random.random(count) < 0.97, 0.45, 1.0)
    shown = float(np.quantile(waits(arrivals, largest * work), 0.95))
    figures = np.array([utilisation * period]), np.array([0.45 * largest])
    without = float(predicted_waiting(0.95, period, *figures)[0])
    found = float(predicted_waiting(0.95, period, *figures, paths.variation())[0])
    assert without < found
    assert abs(found - shown) < abs(without - shown)
    assert found == pytest.approx(shown, abs=0.25 * period)


def test_waiting_bounds_what_a_mailbox_shows() -> None:
    period, service = 1 / 30, 0.047
    free, last, waits = 0.0, -1, []
    for _ in range(2000):
        newest = max(math.floor(free / period), last + 1)
        start = max(free, newest * period)
        waits.append(start - newest * period)
        last, free = newest, start + service
    found = predicted_waiting(0.95, period, np.array([service]), np.array([service]))[0]
    assert np.quantile(waits, 0.95) <= found + 1e-9
