# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which sub-networks, one after the other, and with which thresholds, take the least time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np

from dynamic_dnn_ros.exits.calibration import (
    Loss,
    StagesTaken,
    candidates,
    lowest_threshold,
    stages_taken,
)
from dynamic_dnn_ros.exits.mixtures import Answers, Judge

#: Thresholds that are tried: of the first exit where mixtures are quick to measure, and where
#: they are not; of each further exit likewise.
_FIRST, _FIRST_SLOW = 100_000, 48
_FURTHER, _FURTHER_SLOW = 24, 4


@dataclass(frozen=True)
class Cascade:
    """
    Sub-networks that run one after the other until an answer is sure enough.

    :param stages: ids of the sub-networks, the fastest first
    :param thresholds: of the exits after all stages but the last, 0..1
    :param work: after each stage, the share of the cost of all stages
    :param taken: share of the calibration pictures that leave after each stage
    :param loss: against the last stage alone, on the calibration pictures
    :param time: mean time of a picture, in parts of that of the last stage alone
    """

    stages: tuple[str, ...]
    thresholds: tuple[float, ...]
    work: tuple[float, ...]
    taken: tuple[float, ...]
    loss: Loss
    time: float


def calibrated(
    judge: Judge, spent: Sequence[float], stages: Sequence[str], at_most: float
) -> Cascade | None:
    """
    Return the cascade of these stages that takes the least time; None where none keeps a promise.

    :param spent: the time that a picture has taken after each stage, in parts of that of the last
        stage alone
    :param at_most: the loss against the last stage that is promised, in parts of 1
    """
    answers = judge.answers
    first, *further = (answers.confidences[name] for name in stages[:-1])
    quick = judge.counts_by_picture
    to_try = candidates(first, _FIRST if quick else _FIRST_SLOW)
    grid = [_quantiles(each, _FURTHER if quick else _FURTHER_SLOW) for each in further]
    best: Cascade | None = None
    for rest in product(*grid):

        def loss(threshold: float, rest: tuple[float, ...] = rest) -> Loss:
            return judge.loss(stages, leaving(answers, stages, (threshold, *rest)))

        found = lowest_threshold(to_try, loss, at_most)
        if found is None:
            continue
        thresholds = (found[0], *rest)
        taken = leaving(answers, stages, thresholds)
        cascade = _cascade(stages, thresholds, taken, found[1], spent)
        if best is None or cascade.time < best.time:
            best = cascade
    return best


def fastest(
    judge: Judge,
    latencies: Mapping[str, float],
    last: str,
    at_most: float,
    longest: int,
    bar: Callable[[list[tuple[str, ...]]], Any] = iter,
) -> Cascade | None:
    """
    Return the fastest cascade that ends in a sub-network; None where none is faster than that.

    :param latencies: of each sub-network to choose from, and of the last one, in any unit
    :param longest: stages at most
    :param bar: shows progress
    """
    faster = sorted(
        (name for name in latencies if latencies[name] < latencies[last]),
        key=lambda name: latencies[name],
    )
    to_try = [
        (*some, last) for length in range(1, longest) for some in combinations(faster, length)
    ]
    found = (
        calibrated(judge, spent_in_turn(latencies, stages), stages, at_most)
        for stages in bar(to_try)
    )
    worthy = [each for each in found if each is not None and each.time < 1.0]
    return min(worthy, key=lambda each: each.time, default=None)


def spent_in_turn(latencies: Mapping[str, float], stages: Sequence[str]) -> list[float]:
    """Return the time after each of several sub-networks, in parts of that of the last alone."""
    return [
        float(each) for each in np.cumsum([latencies[s] for s in stages]) / latencies[stages[-1]]
    ]


def leaving(answers: Answers, stages: Sequence[str], thresholds: Sequence[float]) -> StagesTaken:
    """Return after which stage of a cascade each picture leaves."""
    confidences = [answers.confidences[name] for name in stages[:-1]]
    return stages_taken(confidences, thresholds, len(answers))


def _quantiles(confidence: Any, count: int) -> list[float]:
    """Return thresholds that let evenly spaced shares of all pictures leave."""
    sure = np.sort(confidence[np.isfinite(confidence)])
    places = np.linspace(0, len(sure), count + 2)[1:-1].astype(np.int64)
    return list(dict.fromkeys(candidates(sure[places], count).tolist()))


def _cascade(
    stages: Sequence[str],
    thresholds: tuple[float, ...],
    taken: StagesTaken,
    loss: Loss,
    spent: Sequence[float],
) -> Cascade:
    shares = np.bincount(taken, minlength=len(stages)) / len(taken)
    return Cascade(
        stages=tuple(stages),
        thresholds=thresholds,
        work=tuple((np.asarray(spent) / spent[-1]).tolist()),
        taken=tuple(shares.tolist()),
        loss=loss,
        time=float((shares * np.asarray(spent)).sum()),
    )
