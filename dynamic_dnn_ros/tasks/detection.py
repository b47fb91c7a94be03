# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where in a picture which of the labels are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
import math
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from dynamic_dnn_ros.datasets.contract import LabelledBoxes, LabelledPicture
from dynamic_dnn_ros.pictures.placement import Placement, Size
from dynamic_dnn_ros.tasks.contract import (
    Detections,
    Limits,
    Metric,
    Outputs,
    Scorer,
    Task,
    TaskError,
    TensorSpec,
)
from dynamic_dnn_ros.tasks.decoders.contract import Candidates, Decoder
from dynamic_dnn_ros.tasks.decoders.registry import create_decoder, decoder_names, recognise
from dynamic_dnn_ros.tasks.suppression import suppress
from dynamic_dnn_ros.tasks.tensors import all_finite, relative_difference
from dynamic_dnn_ros.tasks.truths import read_truths

#: Candidates beyond this number, the best first, are not looked at: what a detector gives that
#: finds something everywhere, which would take a second to suppress.
MOST_CANDIDATES = 3000

#: More labels than a detector has.
_ANY_LABEL = 2**31


@dataclass(frozen=True)
class Detection(Task[Detections, LabelledBoxes]):
    """
    Boxes with a label and a score.

    A decoder reads the outputs; the rest is the same for all: limits on score and number,
    suppression of boxes of one class that overlap, and the way back to the camera's picture.
    """

    decoder: Decoder

    name: ClassVar[str] = 'detection'
    metric: ClassVar[Metric] = Metric.MAP_50_95

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Detection:
        """Create the task from the options of a manifest: a decoder and its options."""
        rest = dict(options)
        name = rest.pop('decoder', None)
        if not isinstance(name, str):
            raise TaskError(
                f"task {cls.name}: option 'decoder' is {name!r}. Allowed is one of "
                f'{", ".join(decoder_names())}.'
            )
        return cls(create_decoder(name, rest))

    @classmethod
    def recognise(
        cls,
        outputs: Sequence[TensorSpec],
        labels: Sequence[str],
        size: Size,
        samples: Sequence[Outputs] = (),
        decoder: str | None = None,
    ) -> dict[str, Any]:
        """Return the options that outputs ask for, see `decoders.registry.recognise`."""
        return recognise(outputs, labels, size, samples, decoder)

    def options(self) -> dict[str, Any]:
        """Return the options as plain JSON data."""
        return {'decoder': self.decoder.name, **self.decoder.options()}

    def check(self, outputs: Sequence[TensorSpec], labels: Sequence[str], size: Size) -> None:
        """Check that the decoder can read the outputs, and that they fit the labels."""
        self.decoder.check(outputs, labels, size)

    def decode(
        self,
        outputs: Outputs,
        index: int,
        placement: Placement,
        labels: Sequence[str],
        limits: Limits,
    ) -> Detections:
        """
        Return what was found, the best first, in the camera's pixels.

        Boxes are cut at the picture's borders; those outside of it, and those without an area,
        are left out, and so are classes that have no label.
        """
        found = self._best(outputs, index, placement.input, len(labels), limits)
        boxes = placement.to_picture(found.boxes)
        inside = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        kept = np.flatnonzero(inside)[: limits.number]
        return Detections(boxes[kept], np.minimum(found.scores[kept], 1), found.classes[kept])

    def confidence(self, outputs: Outputs, index: int, size: Size, limits: Limits) -> float:
        """
        Return the mean score of the boxes that a result has, in the network's input.

        Where there is none, how far the best candidate stays below the limit on scores, as a part
        of that limit: an empty picture is sure where nothing comes near. Where there is no
        candidate at all, or no limit, nothing is known of how near: 0.
        """
        if not all_finite(outputs):
            return math.nan
        found = self._best(outputs, index, size, _ANY_LABEL, limits)
        if len(found.scores):
            return float(np.minimum(found.scores[: max(1, limits.number)], 1).mean())
        below = self.decoder.candidates(outputs, index, size, 0.0).scores
        if not len(below) or not limits.score > 0:
            return 0.0
        return float(np.clip(1 - below.max() / limits.score, 0, 1))

    def _best(
        self, outputs: Outputs, index: int, size: Size, labels: int, limits: Limits
    ) -> Candidates:
        """Return the candidates that are detections, the best first, in pixels of the input."""
        found = self.decoder.candidates(outputs, index, size, limits.score)
        found = _worth(found, labels, limits.score)
        found = found.take(np.argsort(-found.scores, kind='stable'))
        if self.decoder.nms:
            found = found.take(suppress(found.boxes, found.classes, limits.overlap))
        return found

    def departure(self, found: Outputs, recorded: Outputs) -> float:
        """
        Return by how much answers depart from the recorded ones, relative to their size.

        The largest departure of the parts that the decoder tells: boxes count pixels and scores
        count parts of 1, so each is measured by its own size.
        """
        if set(found) != set(recorded) or not all_finite(found):
            return float('inf')
        parts = list(zip(self.decoder.comparable(found), self.decoder.comparable(recorded)))
        if any(now.shape != then.shape for now, then in parts):
            return float('inf')
        return max(relative_difference(now, then) for now, then in parts)

    def scorer(self, labels: Sequence[str]) -> Scorer[Detections, LabelledBoxes]:
        """Return a new scorer of COCO's AP 50:95."""
        from dynamic_dnn_ros.tasks.average_precision import AveragePrecisionScorer

        return AveragePrecisionScorer(labels)

    def read(
        self, data: Path, labels: Sequence[str] | None = None
    ) -> Iterator[LabelledPicture[LabelledBoxes]]:
        """Read pictures with boxes: annotations of COCO, YOLO or VOC."""
        return read_truths(data, self.name, labels)


def _worth(found: Candidates, labels: int, score: float) -> Candidates:
    """Return the candidates that may be a detection, of too many the best."""
    with np.errstate(invalid='ignore'):
        keep = (
            (found.scores >= score)
            & (found.classes >= 0)
            & (found.classes < labels)
            & np.isfinite(found.scores)
            & np.isfinite(found.boxes).all(axis=1)
        )
    found = found.take(keep)
    if len(found.scores) > MOST_CANDIDATES:
        best = np.argpartition(found.scores, -MOST_CANDIDATES)[-MOST_CANDIDATES:]
        found = found.take(best)
    return found
