# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Made-up answers of sub-networks to pictures of cats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from dynamic_dnn_ros.exits.mixtures import Answers
from dynamic_dnn_ros.tasks.classification import Classification
from dynamic_dnn_ros.tasks.contract import ClassScores, Metric

LABELS = ('cat', 'dog')


class ByScorer(Classification):
    """A task whose accuracy is taken for no mean over pictures, as that of detection is none."""

    metric = Metric.MAP_50_95


def answers(
    right: Mapping[str, Sequence[bool]], confidences: Mapping[str, np.ndarray] | None = None
) -> Answers:
    """Return answers by sub-network, right or wrong; confidences are 0 where none are given."""
    count = len(next(iter(right.values())))
    scores = np.eye(len(LABELS))
    return Answers(
        confidences or {name: np.zeros(count) for name in right},
        {
            name: [ClassScores(scores[0 if good else 1]) for good in found]
            for name, found in right.items()
        },
        [0] * count,
    )
