# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The accuracy of segmentations: mean intersection over union."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.tasks.contract import LabelMap


class MeanIouScorer:
    """
    The mean over labels of intersection over union, counted over the pixels of all pictures.

    Labels that neither truth nor results show do not count (Everingham and others, The Pascal
    Visual Object Classes Challenge: A Retrospective, IJCV 2015).

    :param labels: their number, at most `UNLABELLED`
    """

    def __init__(self, labels: int) -> None:
        self._labels = labels
        # A column more than rows: what the network did not see.
        self._counts = np.zeros((labels, labels + 1), np.int64)

    def add(self, result: LabelMap, truth: NDArray[Any]) -> None:
        """
        Take one picture's result.

        :param truth: shape (height, width); pixels of `UNLABELLED`, and of no label, do not count
        :raises ValueError: when the two have other sizes
        """
        if result.classes.shape != truth.shape:
            raise ValueError(
                f'the result has {result.classes.shape} pixels and the truth {truth.shape}: both '
                "must have the picture's"
            )
        counts = truth < self._labels  # `UNLABELLED` is above all labels
        found = np.minimum(result.classes[counts].astype(np.int64), self._labels)
        pairs = truth[counts].astype(np.int64) * (self._labels + 1) + found
        self._counts += np.bincount(pairs, minlength=self._counts.size).reshape(self._counts.shape)

    def value(self) -> float:
        """Return mean IoU, 0..1; not a number where no pixel was taken."""
        each = self.values()
        shown = each[~np.isnan(each)]
        return float(shown.mean()) if len(shown) else float('nan')

    def values(self) -> NDArray[np.float64]:
        """Return the IoU of each label, NaN for those that do not count, shape (labels,)."""
        both = np.diagonal(self._counts).astype(np.float64)
        either = self._counts.sum(axis=1) + self._counts[:, :-1].sum(axis=0) - both
        with np.errstate(invalid='ignore', divide='ignore'):
            return np.where(either > 0, both / either, np.nan)
