# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which path each picture of a simulated application takes; how hard a scene is, is made up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import random

from dynamic_dnn_ros.management.paths import Paths

WHOLE = (1.0, '')
"""Work and stage of a picture that takes all of a sub-network of one piece."""


class Scene:
    """
    Draws a hardness for each picture, so that whatever serves it, it is the same picture.

    :param paths: by sub-network; others are of one piece
    :param difficulty: at a time, s
    :param draw: of the pictures
    """

    def __init__(
        self,
        paths: Mapping[str, Paths],
        difficulty: Callable[[float], float],
        draw: random.Random,
    ) -> None:
        """Begin before the first picture."""
        self.draw = draw
        self._paths = paths
        self._difficulty = difficulty

    def path(self, sub_network: str, now: float) -> tuple[float, str]:
        """Return work and last stage of the next picture."""
        if not self._paths:
            return WHOLE
        # A share of c ** g of the pictures is then no harder than c.
        hardness = self.draw.random() ** (1.0 / self._difficulty(now))
        paths = self._paths.get(sub_network)
        if paths is None:
            return WHOLE
        index = paths.of_hardness(hardness)
        return paths.works[index], paths.names[index]
