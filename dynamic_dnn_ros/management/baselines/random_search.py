# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Settings tried at random, as many as CORAL tries: what a search has to beat.

After J. Bergstra and Y. Bengio, Random Search for Hyper-Parameter Optimization, JMLR 2012.
"""

from __future__ import annotations

import numpy as np

from dynamic_dnn_ros.management.baselines.probing import Probing
from dynamic_dnn_ros.management.baselines.search_space import Place, SearchSpace
from dynamic_dnn_ros.management.manager import ManagerSettings

ATTEMPTS = 30
"""Places that are drawn until one was not tried yet."""


class RandomSearch(Probing):
    """Each place is as likely as any other; none is tried twice."""

    def __init__(
        self, instance: str = 'random_search', settings: ManagerSettings | None = None
    ) -> None:
        """Begin with nothing tried."""
        super().__init__(instance, settings)
        self._random = np.random.default_rng(0)

    def propose(self, space: SearchSpace) -> Place | None:
        """Return a place that was not tried yet."""
        places = {probe.place for probe in self.tried}
        for _ in range(ATTEMPTS):
            place = tuple(int(self._random.integers(count)) for count in space.shape)
            if place not in places:
                return place
        return None
