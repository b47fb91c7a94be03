# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How many frames a second reach each application, as baselines count them."""

from __future__ import annotations

from dynamic_dnn_ros.management.observations import Status
from dynamic_dnn_ros.management.targets import Target

UNKNOWN_RATE = 30.0
"""Hz that count where nothing was counted and none is asked for: a usual camera."""


class ArrivalRates:
    """Counts what reaches applications, over a second at least."""

    def __init__(self) -> None:
        """Begin with nothing counted."""
        self._received: dict[str, tuple[float, int]] = {}
        self._rates: dict[str, float] = {}

    def count(self, status: Status, now: float) -> None:
        """Take a served frame."""
        name = status.application
        before = self._received.get(name)
        if before is None:
            self._received[name] = (now, status.received)
        elif now - before[0] >= 1.0:
            self._rates[name] = (status.received - before[1]) / (now - before[0])
            self._received[name] = (now, status.received)

    def rate(self, application: str, target: Target | None) -> float:
        """Return the rate of an application, Hz: counted, or asked for, or a usual one."""
        asked = target.rate if target is not None else 0.0
        return self._rates.get(application) or asked or UNKNOWN_RATE
