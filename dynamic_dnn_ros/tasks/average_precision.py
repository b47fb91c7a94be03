# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""COCO's AP 50:95, computed by a library that evaluates as COCO does."""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import importlib
import io
import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.datasets.contract import LabelledBoxes
from dynamic_dnn_ros.tasks.contract import Detections, TaskError

_NAMES = ('map_50_95', 'map_50', 'map_75')


class AveragePrecisionScorer:
    """
    AP of COCO: the mean over labels, and over ten overlaps from 0.50 to 0.95.

    Labels that no picture shows do not count. Detections on a crowd count neither as right nor as
    wrong. Of each picture the 100 best detections of all are taken.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = len(labels)
        self._truths: list[LabelledBoxes] = []
        self._results: list[Detections] = []

    def add(self, result: Detections, truth: LabelledBoxes) -> None:
        """Take one picture's result."""
        self._results.append(result)
        self._truths.append(truth)

    def value(self) -> float:
        """
        Return AP 50:95, 0..1; not a number where no picture shows a box that counts.

        :raises TaskError: when no library that evaluates is installed
        """
        return self.values()['map_50_95']

    def values(self) -> dict[str, float]:
        """Return `map_50_95`, and `map_50` and `map_75`, those of the overlaps 0.5 and 0.75."""
        library = _library()
        if not any((~truth.crowd).any() for truth in self._truths):
            return dict.fromkeys(_NAMES, float('nan'))
        rows = _result_rows(self._results)
        if len(rows) == 0:
            return dict.fromkeys(_NAMES, 0.0)
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does
            truth = library.COCO(_dataset(self._truths, self._labels))
            evaluation = library.COCOeval_faster(truth, truth.loadRes(rows), 'bbox')
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return dict(zip(_NAMES, (float(value) for value in evaluation.stats[:3])))


def _dataset(truths: Sequence[LabelledBoxes], labels: int) -> dict[str, Any]:
    """Return the truth as COCO writes it; pictures and categories are numbered from 0 and 1."""
    annotations: list[dict[str, Any]] = []
    for picture, truth in enumerate(truths):
        boxes = truth.boxes.astype(np.float64)
        sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        for side, label, crowd in zip(sides, truth.classes, truth.crowd):
            annotations.append(
                {
                    'id': len(annotations) + 1,
                    'image_id': picture,
                    'category_id': int(label) + 1,
                    'bbox': side.tolist(),
                    'area': float(side[2] * side[3]),
                    'iscrowd': int(crowd),
                }
            )
    return {
        'images': [{'id': picture} for picture in range(len(truths))],
        'categories': [{'id': label + 1, 'name': str(label)} for label in range(labels)],
        'annotations': annotations,
    }


def _result_rows(results: Sequence[Detections]) -> NDArray[np.float64]:
    """Return rows of picture, left, upper, width, height, score, category."""
    rows = np.zeros((sum(len(result) for result in results), 7))
    first = 0
    for picture, result in enumerate(results):
        part = rows[first : first + len(result)]
        part[:, 0] = picture
        part[:, 1:5] = result.boxes
        part[:, 3:5] -= part[:, 1:3]
        part[:, 5] = result.scores
        part[:, 6] = result.classes + 1
        first += len(result)
    return rows


def _library() -> Any:
    try:
        library = importlib.import_module('faster_coco_eval')
        logging.getLogger(library.__name__).setLevel(logging.WARNING)  # it says what it does
        return library
    except ImportError as error:
        raise TaskError(
            f'AP is computed by faster-coco-eval, which cannot be loaded here: {error}. Install '
            'it: pip install faster-coco-eval.'
        ) from error
