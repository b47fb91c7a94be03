# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Detectors without anchors that say how far each side of a box is from their point.

One output (pictures, points, classes + 4 x bins): the score of each class, then a distribution
over 0, 1, ... bins - 1 steps for left, top, right and bottom. A distance is the mean of its
distribution (softmax) times the stride (Li and others, Generalized Focal Loss, NeurIPS 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import Outputs, TensorSpec
from dynamic_dnn_ros.tasks.decoders.contract import Candidates, Decoder
from dynamic_dnn_ros.tasks.decoders.grids import grid, point_count
from dynamic_dnn_ros.tasks.decoders.selection import NONE, SIGMOID, choose
from dynamic_dnn_ros.tasks.options import option
from dynamic_dnn_ros.tasks.tensors import find, fits, is_float

BINS = 8


@dataclass(frozen=True)
class DistanceDecoder(Decoder):
    """
    Decodes distributions of distances.

    :param output: its name
    :param strides: pixels of the input from one point to the next, of each level
    :param cell_offset: where in its cell a point lies, in steps: 0.5 is the center
    :param bins: values of each distribution
    :param activation: `none` where scores are 0..1, `sigmoid` where they are its arguments
    :param several: one box may have several classes
    """

    output: str = option('output')
    strides: tuple[int, ...] = option((8, 16, 32))
    cell_offset: float = option(0.5, low=0.0, high=1.0)
    bins: int = option(BINS, low=2, high=256)
    activation: str = option(NONE, choices=(NONE, SIGMOID))
    several: bool = option(True)

    def check(self, outputs: Sequence[TensorSpec], labels: Sequence[str], size: Size) -> None:
        """Check that there is an output of the scores of the labels and four distributions."""
        spec = find(outputs, self.output, f'Decoder {self.name}')
        points, values = point_count(size, self.strides), len(labels) + 4 * self.bins
        good = len(spec.shape) == 3 and fits(spec.shape[1], points)
        if not good or not fits(spec.shape[2], values):
            needed = f'an output (pictures, {points}, {values}) at {size}'
            raise self.refusal(needed, [spec], len(labels))

    def candidates(self, outputs: Outputs, index: int, size: Size, score: float) -> Candidates:
        """Return what the outputs say of one picture of the batch; boxes end at its borders."""
        rows = outputs[self.output][index]
        classes = rows.shape[1] - 4 * self.bins
        chosen = choose(rows[:, :classes], score, self.several, activation=self.activation)
        points = grid(size, self.strides)
        steps = points.strides[chosen.points, None]
        centers = (points.cells[chosen.points] + self.cell_offset) * steps
        distances = self._distances(rows[chosen.points, classes:]) * steps
        boxes = np.concatenate([centers - distances[:, :2], centers + distances[:, 2:]], axis=1)
        boxes = np.clip(boxes, 0, np.array((size.width, size.height) * 2, np.float32))
        return Candidates(boxes.astype(np.float32), chosen.scores, chosen.classes)

    def comparable(self, outputs: Outputs) -> tuple[NDArray[Any], ...]:
        """Return distributions, and scores."""
        rows = outputs[self.output]
        return rows[..., -4 * self.bins :], rows[..., : -4 * self.bins]

    def _distances(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Return left, top, right, bottom in steps, shape (points, 4)."""
        values = values.reshape(-1, 4, self.bins).astype(np.float32)
        with np.errstate(invalid='ignore', over='ignore'):
            shares = np.exp(values - values.max(axis=2, keepdims=True))
            mean = shares @ np.arange(self.bins, dtype=np.float32)
            return np.asarray(mean / shares.sum(axis=2), np.float32)


def single_output(
    outputs: Sequence[TensorSpec], labels: Sequence[str], points: int, bins: int = BINS
) -> str | None:
    """Return the name of an output of so many points, None where there is none."""
    if len(outputs) != 1 or not is_float(outputs[0]):
        return None
    good = outputs[0].shape[1:] == (points, len(labels) + 4 * bins)
    return outputs[0].name if good else None
