# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a search at run time may try: sub-networks and clocks, as places on axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.management.observations import Load
from dynamic_dnn_ros.management.tables import Option

Place = tuple[int, ...]
"""An index on each axis: those of the applications, then those of the frequency domains."""


@dataclass(frozen=True)
class SearchSpace:
    """
    The axes: options of each application, least accurate first, and clocks of each domain, Hz.

    `clocks` ascend, and only domains with a choice have an axis.
    """

    options: Mapping[str, tuple[Option, ...]]
    clocks: Mapping[str, tuple[float, ...]]

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Return how many values each axis has."""
        return tuple(len(axis) for axis in (*self.options.values(), *self.clocks.values()))

    @property
    def fastest(self) -> Place:
        """Return the least accurate sub-networks at the highest clocks."""
        applications = len(self.options)
        return (0,) * applications + tuple(count - 1 for count in self.shape[applications:])

    def options_at(self, place: Place) -> dict[str, Option]:
        """Return the option of each application."""
        return {name: axis[i] for (name, axis), i in zip(self.options.items(), place)}

    def clocks_at(self, place: Place) -> dict[str, float]:
        """Return the clock of each domain, Hz."""
        places = place[len(self.options) :]
        return {name: axis[i] for (name, axis), i in zip(self.clocks.items(), places)}

    def shares(self, places: Sequence[Place]) -> NDArray[np.float64]:
        """Return places as 0..1 along each axis, shape (places, axes)."""
        longest = np.maximum(np.array(self.shape) - 1, 1)
        return np.array(places, dtype=np.float64).reshape(len(places), len(longest)) / longest

    def nearest(self, shares: NDArray[np.float64]) -> Place:
        """Return the place nearest to shares of the axes; beyond an end, the end."""
        longest = np.array(self.shape) - 1
        return tuple(np.clip(np.rint(shares * longest), 0, longest).astype(int).tolist())


def settable(load: Load) -> dict[str, tuple[float, ...]]:
    """Return the clocks that may be chosen by domain, Hz, where there is a choice."""
    found = {}
    for domain in load.domains:
        # A limit that is not known is NaN, and none.
        allowed = tuple(f for f in domain.available if not f > domain.limit_maximum * 1.001)
        if len(allowed) > 1:
            found[domain.name] = allowed
    return found
