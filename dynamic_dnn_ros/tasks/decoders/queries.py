# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Detectors of the DETR kind: a box and scores for each of a few hundred queries.

Boxes (pictures, queries, 4) are center x, center y, width, height in parts of the input; scores
are (pictures, queries, classes). No two queries stand for one object, so nothing is suppressed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import Outputs, TensorSpec
from dynamic_dnn_ros.tasks.decoders.classes import COCO_CLASSES, COCO_LABELS, labels_of
from dynamic_dnn_ros.tasks.decoders.contract import Candidates, Decoder
from dynamic_dnn_ros.tasks.decoders.selection import (
    SIGMOID,
    choose,
    corners,
    sigmoid,
    unordered,
)
from dynamic_dnn_ros.tasks.options import option
from dynamic_dnn_ros.tasks.tensors import find, fits, is_float

SOFTMAX = 'softmax'

#: What RF-DETR calls boxes and scores.
RF_DETR_NAMES = {'dets', 'labels'}


@dataclass(frozen=True)
class QueryDecoder(Decoder):
    """
    Decodes boxes and scores of queries.

    :param boxes: name of the output (pictures, queries, 4)
    :param logits: name of the output (pictures, queries, classes)
    :param coco_numbers: classes are numbered as in COCO, 1 to 90 with gaps
    """

    boxes: str = option('pred_boxes')
    logits: str = option('logits')
    coco_numbers: bool = option(False)

    #: What turns logits into scores.
    activation: ClassVar[str]
    #: Classes after the last label, which stand for no object.
    no_object: ClassVar[int]
    nms: ClassVar[bool] = False

    @classmethod
    def recognise(
        cls,
        outputs: Sequence[TensorSpec],
        labels: Sequence[str],
        size: Size,
        samples: Sequence[Outputs],
    ) -> dict[str, Any] | None:
        """Return the options under which outputs are of this kind, None where they are not."""
        pair = _pair(outputs)
        if pair is None:
            return None
        boxes, logits = pair
        length = logits.shape[2]
        if length == len(labels) + cls.no_object:
            return cls(boxes.name, logits.name).options()
        if len(labels) == COCO_LABELS and length in cls._coco_lengths():
            return cls(boxes.name, logits.name, coco_numbers=True).options()
        return None

    @classmethod
    def _coco_lengths(cls) -> tuple[int, ...]:
        return (COCO_CLASSES + cls.no_object,)

    def check(self, outputs: Sequence[TensorSpec], labels: Sequence[str], size: Size) -> None:
        """Check that boxes and scores are there, and fit the labels."""
        what = f'Decoder {self.name}'
        boxes, logits = find(outputs, self.boxes, what), find(outputs, self.logits, what)
        lengths = self._coco_lengths() if self.coco_numbers else (len(labels) + self.no_object,)
        good = len(boxes.shape) == len(logits.shape) == 3 and fits(boxes.shape[2], 4)
        if not good or not any(fits(logits.shape[2], length) for length in lengths):
            needed = (
                f'{self.boxes} (pictures, queries, 4) and {self.logits} (pictures, queries, '
                f'{lengths[0]})'
            )
            raise self.refusal(needed, outputs, len(labels))

    def candidates(self, outputs: Outputs, index: int, size: Size, score: float) -> Candidates:
        """Return what the outputs say of one picture of the batch."""
        logits = np.asarray(outputs[self.logits][index], np.float32)
        if self.activation == SOFTMAX:
            chosen = choose(_softmax(logits)[:, : -self.no_object], score, several=False)
        else:
            kept = logits if self.coco_numbers else logits[:, : logits.shape[1] - self.no_object]
            chosen = choose(kept, score, several=True, activation=self.activation)
        boxes = np.asarray(outputs[self.boxes][index], np.float32)[chosen.points]
        boxes = corners(*boxes.T) * np.array((size.width, size.height) * 2, np.float32)
        classes = labels_of(chosen.classes, 0, self.coco_numbers)
        return Candidates(boxes, chosen.scores, classes)

    def comparable(self, outputs: Outputs) -> tuple[NDArray[Any], ...]:
        """Return the best score of each query in order, and the mean box."""
        logits = np.asarray(outputs[self.logits], np.float32)
        if self.activation == SOFTMAX:
            scores = _softmax(logits)[..., : -self.no_object]
        else:
            scores = sigmoid(logits) if self.activation == SIGMOID else logits
        return unordered(outputs[self.boxes], scores.max(axis=2))


def _pair(outputs: Sequence[TensorSpec]) -> tuple[TensorSpec, TensorSpec] | None:
    """Return boxes and scores of queries; their names tell where both have four values."""
    tensors = [spec for spec in outputs if is_float(spec) and len(spec.shape) == 3]
    if len(outputs) != 2 or len(tensors) != 2 or tensors[0].shape[1] != tensors[1].shape[1]:
        return None
    boxes = [spec for spec in tensors if spec.shape[2] == 4]
    if len(boxes) == 2:
        boxes = [
            spec for spec in boxes if 'box' in spec.name.lower() or 'dets' in spec.name.lower()
        ]
    if len(boxes) != 1:
        return None
    (logits,) = (spec for spec in tensors if spec is not boxes[0])
    return boxes[0], logits


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    with np.errstate(invalid='ignore', over='ignore'):
        shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return np.asarray(shares / shares.sum(axis=-1, keepdims=True), np.float32)
