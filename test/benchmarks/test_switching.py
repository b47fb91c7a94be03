# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a switch takes beyond inference, among sub-networks of which some are much slower."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

Import = Callable[[str], ModuleType]


@pytest.mark.parametrize('quantile', [50, 99])
def test_switches_of_fast_sub_networks_are_seen_beside_slow_ones(
    benchmark: Import, quantile: int
) -> None:
    switching = benchmark('suites.switching')
    noise = np.random.default_rng(0)
    times = switching._Exchanges()
    for index in range(150):
        name, alone = (('slow', 0.018), ('fast', 0.006))[index % 3 != 0]
        times.names.append(name)
        times.again.append(alone + 1e-5 * noise.random())
        times.first.append(alone + 1e-5 * noise.random() + (0.002 if name == 'fast' else 0.0))
    assert times.beyond(times.first, quantile) == pytest.approx(0.002, abs=2e-5)
    assert times.beyond(times.again, quantile) == 0.0
