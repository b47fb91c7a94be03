# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How accurate a mixture of several sub-networks' answers is, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.exits.calibration import Confidences, Loss, StagesTaken
from dynamic_dnn_ros.tasks.contract import Metric, Task

#: Groups that are left out in turn to estimate the error of what is no mean over pictures.
GROUPS = 10


@dataclass(frozen=True, eq=False)
class Answers:
    """
    What sub-networks answered to the same labelled pictures.

    :param confidences: by the id of the sub-network
    :param results: decoded, by the id of the sub-network, one a picture
    :param truths: one a picture
    """

    confidences: Mapping[str, Confidences]
    results: Mapping[str, Sequence[Any]]
    truths: Sequence[Any]

    def __len__(self) -> int:
        return len(self.truths)


class Judge:
    """Measures mixtures on given answers with the metric of a task."""

    def __init__(
        self,
        task: Task[Any, Any],
        labels: Sequence[str],
        answers: Answers,
        against: str = '',
    ) -> None:
        """
        Judge by the answers to labelled pictures.

        :param against: of which answers the loss is told; empty: of those of the last stage
        """
        self.answers = answers
        self._against = against
        self._task = task
        self._labels = labels
        self._groups = np.random.default_rng(0).permutation(len(answers)) % GROUPS
        self._whole: dict[str, NDArray[np.float64]] = {}

    @property
    def counts_by_picture(self) -> bool:
        """Tell whether accuracy is a mean over pictures, so that mixtures are quick to measure."""
        return self._task.metric is Metric.TOP1

    def accuracy(self, stages: Sequence[str], taken: StagesTaken) -> float:
        """
        Return the accuracy of a mixture, 0..1; not a number where nothing is to be found.

        :param stages: ids of the sub-networks whose answers are taken
        :param taken: which of them, of each picture
        """
        if self.counts_by_picture:
            return float(self._right_of(stages, taken).mean())
        return self._scored(stages, taken, np.ones(len(taken), bool))

    def loss(self, stages: Sequence[str], taken: StagesTaken) -> Loss:
        """Return how far a mixture is below what it is judged against, on all pictures."""
        against = self._against or stages[-1]
        if self.counts_by_picture:
            lost = self._right[against] - self._right_of(stages, taken)
            return Loss(float(lost.mean()), float(lost.std()) / math.sqrt(len(lost)))
        everything = np.ones(len(taken), bool)
        last = np.zeros(len(taken), np.int64)
        name = against
        if name not in self._whole:
            self._whole[name] = np.array(
                [
                    self._scored([name], last, kept)
                    for kept in (everything, *map(self._without, range(GROUPS)))
                ]
            )
        whole = self._whole[name]
        mean = float(whole[0]) - self._scored(stages, taken, everything)
        # Jackknife of groups: https://en.wikipedia.org/wiki/Jackknife_resampling
        parts = np.array(
            [
                whole[1 + group] - self._scored(stages, taken, self._without(group))
                for group in range(GROUPS)
            ]
        )
        parts = parts[np.isfinite(parts)]
        if len(parts) < 2 or not math.isfinite(mean):
            return Loss(math.inf, 0.0)
        spread = float(((parts - parts.mean()) ** 2).sum())
        return Loss(mean, math.sqrt((len(parts) - 1) / len(parts) * spread))

    @cached_property
    def _right(self) -> dict[str, NDArray[np.float64]]:
        """Whether the answer to each picture is right, by sub-network."""
        return {
            name: np.array(
                [self._value([result], [truth]) for result, truth in zip(found, self._truths)]
            )
            for name, found in self.answers.results.items()
        }

    @property
    def _truths(self) -> Sequence[Any]:
        return self.answers.truths

    def _right_of(self, stages: Sequence[str], taken: StagesTaken) -> NDArray[np.float64]:
        table = np.stack([self._right[name] for name in stages])
        return np.asarray(table[taken, np.arange(len(taken))])

    def _without(self, group: int) -> NDArray[np.bool_]:
        return np.asarray(self._groups != group)

    def _scored(self, stages: Sequence[str], taken: StagesTaken, kept: NDArray[np.bool_]) -> float:
        results = self.answers.results
        chosen = np.flatnonzero(kept).tolist()
        return self._value(
            [results[stages[int(taken[index])]][index] for index in chosen],
            [self._truths[index] for index in chosen],
        )

    def _value(self, results: Sequence[Any], truths: Sequence[Any]) -> float:
        scorer = self._task.scorer(self._labels)
        for result, truth in zip(results, truths):
            scorer.add(result, truth)
        return scorer.value()
