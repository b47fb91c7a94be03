# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which of the labels a picture shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import math
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.datasets.contract import LabelledPicture
from dynamic_dnn_ros.pictures.placement import Placement, Size
from dynamic_dnn_ros.tasks.contract import (
    ClassScores,
    Limits,
    Metric,
    Outputs,
    Scorer,
    TaskError,
    TensorSpec,
)
from dynamic_dnn_ros.tasks.options import OptionedTask, option
from dynamic_dnn_ros.tasks.tensors import described, fits, is_float, specs_of
from dynamic_dnn_ros.tasks.truths import read_truths

#: What turns an output into probabilities.
ACTIVATIONS = ('softmax', 'none')

#: A sum of probabilities may be off by this, as float16 leaves it.
_SUM_TOLERANCE = 5e-3


@dataclass(frozen=True)
class Classification(OptionedTask[ClassScores, int]):
    """
    One output (pictures, classes), or (pictures, classes, 1, 1), of logits or probabilities.

    :param activation: `softmax` of logits, `none` where the network gives probabilities
    :param class_offset: classes before the first label: 1 where the network begins with a
        background that has no label (the 1,001 outputs of the first MobileNets)
    """

    activation: str = option('softmax', choices=ACTIVATIONS)
    class_offset: int = option(0, low=0, high=1)

    name: ClassVar[str] = 'classification'
    metric: ClassVar[Metric] = Metric.TOP1

    #: How the departure of a response tells the accuracy that was lost: 349 alterations of four
    #: sub-networks of a `cifar10_ofa` bundle (74 to 82 % accuracy), on 2,000 test pictures.
    #:
    #: | departure    | alterations | points lost, mean | most |
    #: | ---          | ---         | ---               | ---  |
    #: | below 0.02   | 20          | 0.0               | 0.2  |
    #: | 0.02 to 0.05 | 12          | 0.0               | 0.2  |
    #: | 0.05 to 0.1  | 31          | 0.2               | 1.6  |
    #: | 0.1 to 0.15  | 21          | 0.7               | 2.0  |
    #: | 0.15 to 0.2  | 27          | 1.3               | 3.6  |
    #: | 0.2 to 0.3   | 31          | 2.1               | 8.7  |
    #: | 0.3 to 0.5   | 46          | 4.6               | 16.8 |
    #: | above 0.5    | 161         | 33.1              | 72.0 |
    #:
    #: Weights kept in float16 depart by at most 0.002, a network that computes in bfloat16 by
    #: 0.015, weights rounded to eight bits by 0.035. The least with which more than two points
    #: were lost was 0.156. Batch-norm statistics that were never recalibrated (means 0, variances
    #: 1) depart by 0.70 to 0.76, those of another sub-network by 0.24 to 1.1. The limit is half of
    #: the least with which two points were lost, twice what rounding to eight bits does.
    departure_limit: ClassVar[float] = 0.08

    @classmethod
    def recognise(
        cls,
        outputs: Sequence[TensorSpec],
        labels: Sequence[str],
        samples: Sequence[Outputs] = (),
    ) -> dict[str, Any] | None:
        """
        Return the options that outputs ask for, None where they are no classification.

        :param samples: what the network answered to pictures. Without any, its output is taken
            for logits
        """
        if len(outputs) != 1 or not is_float(outputs[0]) or not _is_row(outputs[0].shape):
            return None
        (spec,) = outputs
        if fits(spec.shape[1], len(labels)):
            offset = 0
        elif spec.shape[1] == len(labels) + 1 == 1001:
            offset = 1
        else:
            return None
        rows = [np.asarray(sample[spec.name], np.float64) for sample in samples]
        probabilities = bool(rows) and all(_are_probabilities(row) for row in rows)
        return cls('none' if probabilities else 'softmax', offset).options()

    def check(self, outputs: Sequence[TensorSpec], labels: Sequence[str], size: Size) -> None:
        """Check that there is one output with a value for each label."""
        wanted = len(labels) + self.class_offset
        if len(outputs) != 1 or not _is_row(outputs[0].shape) or not is_float(outputs[0]):
            raise TaskError(
                f'Classification needs one output of real numbers, (pictures, {wanted}), and the '
                f'network has {described(outputs)}. Name another task, or export the network '
                'without what comes after its logits.'
            )
        if not fits(outputs[0].shape[1], wanted):
            raise TaskError(
                f'The network has {described(outputs)}, and there are {len(labels)} labels'
                f'{" and a background" if self.class_offset else ""}. Give the labels that it was '
                'trained with, one a class, in its order.'
            )

    def decode(
        self,
        outputs: Outputs,
        index: int,
        placement: Placement,
        labels: Sequence[str],
        limits: Limits,
    ) -> ClassScores:
        """Return the probability of each label; 0 for all where a value is not finite."""
        row = _only(outputs)[index].reshape(-1)
        if not np.all(np.isfinite(row)):
            return ClassScores(np.zeros(len(row) - self.class_offset))
        scores = softmax(row) if self.activation == 'softmax' else row.astype(np.float64)
        return ClassScores(scores[self.class_offset :])

    def confidence(self, outputs: Outputs, index: int, size: Size, limits: Limits) -> float:
        """Return the largest probability, that of a background included."""
        row = _only(outputs)[index].reshape(-1)
        if not np.isfinite(row).all():
            return math.nan
        if self.activation == 'softmax':
            # The largest of `softmax` is 1 over the sum.
            return float(1 / np.exp(row.astype(np.float64) - row.max()).sum())
        return float(np.clip(row.max(), 0, 1))

    def departure(self, found: Outputs, recorded: Outputs) -> float:
        """
        Return by how much answers depart from the recorded ones, relative to their size.

        The root of the mean square over pictures and classes, after the mean over the classes is
        taken off each picture, which no probability depends on.
        """
        if set(found) != set(recorded):
            return float('inf')
        now, then = _only(found), _only(recorded)
        if now.shape != then.shape or not np.all(np.isfinite(now)):
            return float('inf')
        now, then = (
            logits.astype(np.float64) - logits.mean(axis=1, keepdims=True, dtype=np.float64)
            for logits in (now, then)
        )
        size = float(np.linalg.norm(then))
        return float(np.linalg.norm(now - then)) / max(size, 1e-12)

    def scorer(self, labels: Sequence[str]) -> Scorer[ClassScores, int]:
        """Return a new scorer of top-1."""
        return Top1Scorer()

    def read(
        self, data: Path, labels: Sequence[str] | None = None
    ) -> Iterator[LabelledPicture[int]]:
        """Read pictures, one folder a class."""
        return read_truths(data, self.name, labels)


class Top1Scorer:
    """The share of pictures whose most probable label is the true one."""

    def __init__(self) -> None:
        self._pictures = 0
        self._right = 0

    def add(self, result: ClassScores, truth: int) -> None:
        """Take one picture's result. No probability above 0 is never right."""
        self._pictures += 1
        best = int(np.argmax(result.scores))
        self._right += int(best == truth and result.scores[best] > 0)

    def value(self) -> float:
        """Return top-1, 0..1; not a number where no picture was taken."""
        return self._right / self._pictures if self._pictures else float('nan')


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Return the probabilities that logits stand for, shape (classes,)."""
    exponentials = np.exp(np.asarray(logits, np.float64) - np.max(logits))
    return np.asarray(exponentials / exponentials.sum())


def _is_row(shape: tuple[int | None, ...]) -> bool:
    return len(shape) == 2 or (len(shape) == 4 and shape[2:] == (1, 1))


def _only(outputs: Outputs) -> NDArray[Any]:
    if len(outputs) != 1:
        raise TaskError(f'Classification needs one output, not {described(specs_of(outputs))}.')
    return next(iter(outputs.values()))


def _are_probabilities(rows: NDArray[np.float64]) -> bool:
    sums = rows.reshape(len(rows), -1).sum(axis=1)
    return bool(
        np.all(np.isfinite(rows)) and rows.min() >= 0 and np.all(abs(sums - 1) < _SUM_TOLERANCE)
    )
