# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
How much slower an application runs than its profile says, and what follows for its latency.

One factor an application, tracked by a Kalman filter, is what ALERT does: C. Wan, M. Santriaji,
E. Rogers, H. Hoffmann, M. Maire, S. Lu: ALERT: Accurate Learning for Energy and Timeliness,
USENIX ATC 2020. ALERT widens the process noise with every innovation; here it widens only when
the median of three innovations leaves what their spread explains, so that a single late frame or
white jitter does not move the estimate, while a step is followed within two frames. The
measurement noise is learnt from the innovations.
"""

from __future__ import annotations

from collections import deque
from copy import copy
from functools import lru_cache
from math import sqrt
from statistics import NormalDist, median

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

INITIAL_VARIANCE = 0.1**2
"""Of the slow-down before anything was measured (ALERT begins with the same deviation)."""

DRIFT = 0.003
"""Share of the slow-down by which it may drift from one frame to the next."""

SMALLEST_DISPERSION = 0.01
"""Frames never spread less than this share of the slow-down, whatever the profile claims."""

SPREAD_WEIGHT = 0.02
"""Weight of one frame in the spread that is learnt, once it has settled."""

SPREAD_UNCERTAINTY = 0.25
"""Share of the spread of frames by which what is learnt of it moves a quantile up and down."""

GATE = 3.0
"""Standard deviations beyond which the median of innovations is not explained by spread."""

OUTLIER = 5.0
"""Standard deviations beyond which a single frame is not."""

CAMERA_VARIATION = 0.05
"""
Standard deviation of the time between two frames, as a share of the camera's period, before it
was measured.
"""

BETWEEN_FRAMES = 0.5826
"""
Standard deviations by which a queue that changes from frame to frame stays below one that changes
all the time: D. Siegmund, Corrected diffusion approximations in certain random walk problems,
Advances in Applied Probability, 1979.
"""

_NO_TIME = 1e-12
"""Share of the time that a worker has to spare, in place of none."""

_NORMAL = NormalDist()


class SlowDownFilter:
    """
    Kalman filter of the factor measured / profiled latency of one application.

    The state is a random walk; `update` takes one frame. `dispersion` is the standard deviation
    of single frames around the mean, `variance` that of the mean itself.
    """

    def __init__(self) -> None:
        """Begin at what the profile says."""
        self.mean = 1.0
        self.variance = INITIAL_VARIANCE
        self.observations = 0
        self._dispersion = 0.0
        self._profiled_dispersion = 0.0
        self._innovations: deque[float] = deque(maxlen=3)

    @property
    def dispersion(self) -> float:
        """Return the standard deviation of single frames."""
        return sqrt(self._dispersion)

    @property
    def deviation(self) -> float:
        """
        Return the standard deviation that comes on top of the profile's own distribution.

        The uncertainty of the mean, and the spread of single frames as far as it exceeds the
        profile's.
        """
        profiled = (self.mean * self._profiled_dispersion) ** 2
        return sqrt(self.variance + max(0.0, self._dispersion - profiled))

    @property
    def uncertainty(self) -> float:
        """Return the standard deviation of mean and learnt spread together, over the mean."""
        spread = SPREAD_UNCERTAINTY * self.dispersion
        return sqrt(self.variance + spread**2) / self.mean

    def rebase(self, factor: float) -> None:
        """Go on with a profile that the one before was `factor` times."""
        self.mean *= factor
        self.variance *= factor**2
        self._dispersion *= factor**2
        self._innovations.clear()

    def supposing(self, ratio: float) -> SlowDownFilter:
        """Return what is known if one frame, slower than all before, is the rule from now on."""
        supposed = copy(self)
        supposed.mean = ratio
        supposed.variance = self.variance + self._frame_variance()
        return supposed

    def is_outlier(self, ratio: float) -> bool:
        """Tell whether a frame is slower than mean and spread explain."""
        return ratio - self.mean > OUTLIER * sqrt(self.variance + self._frame_variance())

    def update(self, ratio: float, profiled_dispersion: float) -> bool:
        """
        Take one frame into account.

        :param ratio: measured over profiled mean latency, > 0
        :param profiled_dispersion: standard deviation over mean of the profile's latency
        :return: whether the slow-down has stepped
        """
        smallest = (max(profiled_dispersion, SMALLEST_DISPERSION) * self.mean) ** 2
        if self.observations == 0:
            self._dispersion = smallest
        self._profiled_dispersion = profiled_dispersion
        noise = max(self._dispersion, smallest)
        innovation = ratio - self.mean
        self._innovations.append(innovation)
        stepped = self._has_stepped(noise)
        if stepped:
            self.variance += median(self._innovations) ** 2
            self._innovations.clear()
        self.variance += (DRIFT * self.mean) ** 2
        reach = GATE * sqrt(self.variance + noise)
        taken = min(max(innovation, -reach), reach)
        if not stepped:
            # What an innovation shows is the spread of frames and the error of the mean.
            spread = min(max(taken**2 - self.variance, 0.0), GATE**2 * noise)
            weight = max(SPREAD_WEIGHT, 1 / (self.observations + 5))
            self._dispersion += weight * (spread - self._dispersion)
        gain = self.variance / (self.variance + noise)
        self.mean = max(self.mean + gain * taken, 1e-3)
        self.variance *= 1 - gain
        self.observations += 1
        return stepped

    def _frame_variance(self) -> float:
        return max(self._dispersion, (SMALLEST_DISPERSION * self.mean) ** 2)

    def _has_stepped(self, noise: float) -> bool:
        if len(self._innovations) < 3:
            return False
        return abs(median(self._innovations)) > GATE * sqrt(noise + self.variance)


@lru_cache(maxsize=256)
def standard_score(quantile: float) -> float:
    """Return the standard normal deviate of a quantile in (0, 1)."""
    return _NORMAL.inv_cdf(quantile)


def profiled_quantile(
    quantile: float, p50: FloatArray, p95: FloatArray, p99: FloatArray
) -> FloatArray:
    """
    Interpolate a profile's latency at a quantile, s.

    Linear in the standard normal deviate, which is exact for a normal distribution; above p99
    the last slope goes on; below p50 the median stands, since the profile says nothing there.
    """
    score = standard_score(quantile)
    if score <= 0:
        return p50
    z95, z99 = standard_score(0.95), standard_score(0.99)
    if score <= z95:
        return p50 + (p95 - p50) * (score / z95)
    return p95 + (p99 - p95) * ((score - z95) / (z99 - z95))


def with_quantile_at(
    quantile: float, wanted: float, p50: FloatArray, p95: FloatArray, p99: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """
    Return p95 and p99 of a profile that has at a quantile what this one has at another.

    :param wanted: the quantile of this profile
    """
    beyond = profiled_quantile(quantile, p50, p95, p99) - p50
    with np.errstate(divide='ignore', invalid='ignore'):
        factor = (profiled_quantile(wanted, p50, p95, p99) - p50) / beyond
    factor = np.where(beyond > 0, factor, 1.0)
    return p50 + factor * (p95 - p50), p50 + factor * (p99 - p50)


def predicted_service(
    quantile: float,
    slow_down: SlowDownFilter,
    mean: FloatArray,
    p50: FloatArray,
    p_quantile: FloatArray,
    other_deviation: float = 0.0,
) -> FloatArray:
    """
    Predict preprocessing + inference at a quantile, s.

    The profile's own spread, the deviation of the slow-down and that of what else a frame takes
    are independent, so their squares add.

    :param p_quantile: the profile's latency at that quantile, from `profiled_quantile`
    :param other_deviation: standard deviation of what else a frame takes, s
    """
    score = max(standard_score(quantile), 0.0)
    spread = slow_down.mean * np.maximum(p_quantile - p50, 0.0)
    uncertain = score * slow_down.deviation * mean
    other = score * other_deviation
    return slow_down.mean * p50 + np.sqrt(spread**2 + uncertain**2 + other**2)


def predicted_waiting(
    quantile: float,
    period: float,
    service_mean: FloatArray,
    service: FloatArray,
    path_variation: float = 0.0,
    camera_variation: float = CAMERA_VARIATION,
    alone: NDArray[np.bool_] | bool = True,
) -> FloatArray:
    """
    Predict the time from a frame's arrival to the start of work on it, s, at a quantile.

    The mailbox holds the newest frame only. A worker that is slower than the camera takes a frame
    that arrived at any moment of the last period, so waiting is uniform over it. A faster one
    makes frames wait as its utilisation comes near 1: exponentially distributed with the mean of
    J. F. C. Kingman, The single server queue in heavy traffic, 1961, less what Siegmund corrects
    it by, and never longer than above. Frames that meet those of others take longer than the mean
    by all of their time, so where others share the processor nothing is taken off, and no camera
    is taken for more even than `CAMERA_VARIATION`.

    :param period: of the camera, s; infinite when no frames come
    :param service: service time at the same quantile, which tells its spread
    :param path_variation: standard deviation over mean of what pictures take, where their long
        paths are too rare to be told by that quantile
    :param camera_variation: standard deviation of the time between two frames over the period
    :param alone: where the application has its processor for itself
    """
    if not np.isfinite(period):
        return np.zeros_like(service)
    longest = quantile * period
    score = max(standard_score(quantile), 0.5)
    utilisation = np.minimum(service_mean * (1 / period), 1.0)
    variation = np.maximum(service / service_mean - 1, 0.0) * (1 / score)
    even = np.where(alone, camera_variation, max(camera_variation, CAMERA_VARIATION))
    varying = even**2 + path_variation**2 + variation * variation
    tail = (0.5 * float(np.log(1 / (1 - quantile)))) * utilisation * varying
    # With no time to spare the queue grows to the bound.
    found = tail / np.maximum(1 - utilisation, _NO_TIME)
    if not path_variation:
        # Long paths that are rare are not normally distributed.
        found = found - np.where(alone, BETWEEN_FRAMES, 0.0) * np.sqrt(varying)
    return np.minimum(np.maximum(found, 0.0) * service_mean, longest)
