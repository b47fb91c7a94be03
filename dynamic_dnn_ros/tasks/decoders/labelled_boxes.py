# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Networks that end with their own post-processing: boxes, labels, scores.

The detectors of torchvision (SSD, RetinaNet, FCOS, Faster R-CNN) give, for one picture, boxes
(boxes, 4), labels int64 (boxes,) from 1 and scores (boxes,), as many as were found. RT-DETR
exports give the same with an axis for the pictures, (pictures, boxes, ...), and labels from 0.
Boxes are left, upper, right, lower in pixels of the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import Outputs, TensorSpec
from dynamic_dnn_ros.tasks.decoders.classes import has_background, labels_of, numbers_of
from dynamic_dnn_ros.tasks.decoders.contract import Candidates, Decoder
from dynamic_dnn_ros.tasks.options import option
from dynamic_dnn_ros.tasks.tensors import find, fits, is_float, is_integer

#: Of the best scores, and their mean box, this many are compared with recorded ones.
_COMPARED = 20


@dataclass(frozen=True)
class LabelledBoxesDecoder(Decoder):
    """
    Decodes boxes, labels and scores.

    :param boxes: name of the output (boxes, 4) or (pictures, boxes, 4)
    :param labels: name of the output (boxes,) or (pictures, boxes)
    :param scores: name of the output (boxes,) or (pictures, boxes)
    :param normalised: boxes in parts of the input, not in pixels
    :param class_offset: the number of the first label, 1 where 0 is the background
    :param coco_numbers: labels are numbered as in COCO, 1 to 90 with gaps
    """

    boxes: str = option('boxes')
    labels: str = option('labels')
    scores: str = option('scores')
    normalised: bool = option(False)
    class_offset: int = option(0, low=0, high=1)
    coco_numbers: bool = option(False)

    name: ClassVar[str] = 'labelled_boxes'
    reads: ClassVar[str] = (
        'boxes (boxes, 4), labels (boxes,) as whole numbers, scores (boxes,), with or without an '
        'axis for the pictures (torchvision, RT-DETR)'
    )
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
        boxes = [
            spec
            for spec in outputs
            if is_float(spec) and len(spec.shape) in (2, 3) and spec.shape[-1] == 4
        ]
        if len(boxes) != 1:
            return None
        rank = len(boxes[0].shape) - 1
        rows = [spec for spec in outputs if len(spec.shape) == rank and spec not in boxes]
        numbers = [spec for spec in rows if is_integer(spec)]
        scores = [spec for spec in rows if is_float(spec)]
        if len(numbers) != 1 or len(scores) != 1:
            return None
        # torchvision counts the background as class 0, and lists it where it lists its labels.
        offset = 0 if rank == 2 or has_background(labels) else 1
        return cls(boxes[0].name, numbers[0].name, scores[0].name, class_offset=offset).options()

    def check(self, outputs: Sequence[TensorSpec], labels: Sequence[str], size: Size) -> None:
        """Check that the three outputs are there."""
        what = f'Decoder {self.name}'
        boxes, numbers, scores = (
            find(outputs, name, what) for name in (self.boxes, self.labels, self.scores)
        )
        rank = len(boxes.shape)
        if (
            rank not in (2, 3)
            or not fits(boxes.shape[-1], 4)
            or {len(numbers.shape), len(scores.shape)} != {rank - 1}
        ):
            needed = f'{self.boxes} (boxes, 4), {self.labels} (boxes,) and {self.scores} (boxes,)'
            raise self.refusal(needed, outputs, len(labels))

    def candidates(self, outputs: Outputs, index: int, size: Size, score: float) -> Candidates:
        """Return what the outputs say of one picture; without an axis for pictures, of the one."""
        boxes, numbers, scores = (outputs[name] for name in (self.boxes, self.labels, self.scores))
        if boxes.ndim == 3:
            boxes, numbers, scores = boxes[index], numbers[index], scores[index]
        boxes = np.asarray(boxes, np.float32)
        if self.normalised:
            boxes = boxes * np.array((size.width, size.height) * 2, np.float32)
        classes = labels_of(numbers_of(numbers), self.class_offset, self.coco_numbers)
        return Candidates(boxes, np.asarray(scores, np.float32), classes)

    def comparable(self, outputs: Outputs) -> tuple[NDArray[Any], ...]:
        """Return the best scores in order, zeros where there are fewer, and their mean box."""
        boxes, scores = outputs[self.boxes], outputs[self.scores]
        if boxes.ndim == 2:
            boxes, scores = boxes[None], scores[None]
        boxes, scores = boxes.astype(np.float64), scores.astype(np.float64)
        best = np.argsort(-scores, axis=1, kind='stable')[:, :_COMPARED]
        kept = np.zeros((len(boxes), _COMPARED))
        kept[:, : best.shape[1]] = np.take_along_axis(scores, best, axis=1)
        mean = (
            np.take_along_axis(boxes, best[..., None], axis=1) * kept[:, : best.shape[1], None]
        ).sum(axis=1)
        return kept, mean / np.maximum(kept.sum(axis=1), 1e-12)[:, None]
