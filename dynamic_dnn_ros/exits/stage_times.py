# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What stages take against the clock, beside the whole network that they are parts of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import time

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from dynamic_dnn_ros.bundles.responses import probe_picture
from dynamic_dnn_ros.engines.contract import PreparedSubNetwork
from dynamic_dnn_ros.pictures.input import Picture

#: Runs of a sub-network before another one has its turn; the first is not timed.
_RUNS_EACH_TURN = 6


@dataclass(frozen=True)
class StageTimes:
    """
    What stages take.

    :param whole: latency of the whole network of one piece, s
    :param spent: by the id of a sub-network, the time until each of its stages has run, in parts
        of `whole`
    """

    whole: float
    spent: dict[str, tuple[float, ...]]


def stage_times(
    whole: PreparedSubNetwork,
    staged: Sequence[PreparedSubNetwork],
    turns: int,
    quiet: bool | None = None,
) -> StageTimes:
    """
    Return what the stages of sub-networks take, all sub-networks in turns, in an order redrawn.

    The median over the turns of each ratio to the whole network counts: ratios stay where the
    machine was slower for a while.

    :param staged: of the size of the whole one
    """
    generator = np.random.default_rng(0)
    picture = probe_picture(0, whole.sub_network.size)
    everyone = [whole, *staged]
    found: list[list[NDArray[np.float64]]] = [[] for _ in everyone]
    for _ in tqdm(range(turns), desc='timing', unit='turn', disable=quiet):
        for index in generator.permutation(len(everyone)):
            runs = [_passed(everyone[index], picture) for _ in range(_RUNS_EACH_TURN)]
            found[index].append(np.min(runs[1:], axis=0))
    alone = np.array(found[0])[:, 0]
    return StageTimes(
        float(np.median(alone)),
        {
            each.sub_network.id: tuple(
                np.maximum.accumulate(np.median(np.array(times) / alone[:, None], axis=0)).tolist()
            )
            for each, times in zip(staged, found[1:])
        },
    )


def _passed(prepared: PreparedSubNetwork, picture: Picture) -> NDArray[np.float64]:
    """Return the seconds until each stage has run."""
    times = []
    if len(prepared.stages) == 1:
        begun = time.perf_counter()
        prepared.run(picture)
        return np.array([time.perf_counter() - begun])
    begun = time.perf_counter()
    execution = prepared.begin(picture)
    while not execution.done:
        execution.advance()
        times.append(time.perf_counter() - begun)
    return np.array(times)
