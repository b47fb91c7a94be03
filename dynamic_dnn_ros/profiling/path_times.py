# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the paths through a sub-network take here, and how many pictures take which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import time

import numpy as np

from dynamic_dnn_ros.bundles.stages import Stage
from dynamic_dnn_ros.engines.contract import PreparedSubNetwork
from dynamic_dnn_ros.pictures.input import Picture
from dynamic_dnn_ros.profiling.timing import Clock
from dynamic_dnn_ros.serving.path import Path, follow
from dynamic_dnn_ros.tasks.contract import Task

#: Pictures whose largest path is timed too, evenly often: each costs as much as a picture more.
_EVERY = 4

#: Pictures that have to leave after a stage for their time to be believed.
LEAST = 10


@dataclass(frozen=True)
class Mixture:
    """
    The paths of the pictures that a sub-network was given.

    :param works: after each stage, the share of the largest path's time of the pictures that left
        there; of a stage where too few did, what the manifest says
    :param taken: share of the pictures that left after each stage; the sum is 1
    """

    works: tuple[float, ...]
    taken: tuple[float, ...]


@dataclass
class _Times:
    by_stage: dict[str, list[float]] = field(default_factory=dict)
    whole: list[float] = field(default_factory=list)


class PathTimes:
    """Runs pictures along their paths against the clock; of one piece it times nothing."""

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        """Begin without a picture."""
        self._clock = clock
        self._times: dict[str, _Times] = {}

    def follow(
        self, prepared: PreparedSubNetwork, picture: Picture, task: Task[object, object]
    ) -> Path:
        """
        Return the path of a picture, as `serving.path.follow` does.

        :raises EngineError: when the engine fails
        """
        entry = prepared.sub_network
        if not entry.stages:
            return follow(prepared, picture, task)
        times = self._times.setdefault(entry.id, _Times())
        seen = sum(map(len, times.by_stage.values()))
        if seen % _EVERY == 0:
            begun = self._clock()
            prepared.run(picture)
            times.whole.append(self._clock() - begun)
        begun = self._clock()
        path = follow(prepared, picture, task)
        times.by_stage.setdefault(path.stage, []).append(self._clock() - begun)
        return path

    def mixtures(self, stages: Mapping[str, tuple[Stage, ...]]) -> dict[str, Mixture]:
        """
        Return the mixture of each sub-network that pictures were run through.

        Times are medians. Works stay within 0..1, and where one stage runs after the other they
        never fall: what timing says against that is noise.

        :param stages: of the sub-networks, by id
        """
        return {name: _mixture(times, stages[name]) for name, times in self._times.items()}


def _mixture(times: _Times, stages: tuple[Stage, ...]) -> Mixture:
    whole = float(np.median(times.whole))
    total = sum(map(len, times.by_stage.values()))
    works, taken = [], []
    for stage in stages:
        found = times.by_stage.get(stage.name, [])
        measured = float(np.median(found)) / whole if len(found) >= LEAST else stage.work
        works.append(min(measured, 1.0))
        taken.append(len(found) / total)
    # The largest path is the measure.
    works = [1.0 if s.work == 1.0 else work for s, work in zip(stages, works)]
    if not any(stage.choices or stage.then or stage.last for stage in stages):
        works = np.maximum.accumulate(works).tolist()
    return Mixture(tuple(works), tuple(taken))
