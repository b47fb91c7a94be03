# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Networks that never change, under governors."""

from __future__ import annotations

from collections.abc import Mapping

from dynamic_dnn_ros.management.baselines.baseline import Baseline
from dynamic_dnn_ros.management.manager import ManagerSettings
from dynamic_dnn_ros.management.tables import Option


class Static(Baseline):
    """
    One sub-network an application for good; the clocks are the governors'.

    :param size: place among the sub-networks by accuracy: 0 the least accurate, -1 the most
    """

    def __init__(
        self,
        size: int | Mapping[str, int],
        instance: str = 'static',
        settings: ManagerSettings | None = None,
    ) -> None:
        """Take the size of all applications, or of each by its id."""
        super().__init__(instance, settings)
        self._size = size

    def pick(self, now: float) -> tuple[Mapping[str, Option], Mapping[str, float] | None]:
        """Return the same as ever."""
        return {
            name: self.by_accuracy(name)[
                self._size if isinstance(self._size, int) else self._size[name]
            ]
            for name in self.applications
        }, None
