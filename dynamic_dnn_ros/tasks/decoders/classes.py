# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which label a class of a detector is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: What has no label.
NO_LABEL = -1

#: COCO numbers its 80 classes from 1 to 90; these numbers have no class. Detectors of torchvision,
#: TensorFlow, and DETR types that were trained on COCO give these numbers.
_COCO_GAPS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
_COCO_NUMBERS = np.full(91, NO_LABEL, np.int64)
_COCO_NUMBERS[[number for number in range(1, 91) if number not in _COCO_GAPS]] = np.arange(80)

#: How many classes a detector with COCO's numbers has: 0 to 90.
COCO_CLASSES = len(_COCO_NUMBERS)
COCO_LABELS = 80


def numbers_of(classes: NDArray[Any]) -> NDArray[np.int64]:
    """Return classes that a network gives as real numbers as whole ones."""
    classes = np.asarray(classes, np.float64)
    whole = np.where(np.isfinite(classes), np.round(classes), NO_LABEL)
    return np.clip(whole, NO_LABEL, 2**31).astype(np.int64)


def holds_classes(rows: NDArray[Any]) -> bool:
    """Return whether rows (pictures, boxes, 6) end with a class: a whole number."""
    classes = rows[..., 5]
    return np.array_equal(classes, np.round(classes))


def labels_of(
    classes: NDArray[np.int64], class_offset: int, coco_numbers: bool
) -> NDArray[np.int64]:
    """
    Return the indices of the labels that classes have, `NO_LABEL` where there is none.

    :param class_offset: the number of the first label, 1 where 0 is the background
    :param coco_numbers: they are numbered as in COCO, 1 to 90 with gaps
    """
    if coco_numbers:
        inside = (classes >= 0) & (classes < COCO_CLASSES)
        return np.where(inside, _COCO_NUMBERS[np.where(inside, classes, 0)], NO_LABEL)
    return np.maximum(classes - class_offset, NO_LABEL)


def has_background(labels: Sequence[str]) -> bool:
    """Return whether the first label is the background, as torchvision lists it."""
    return bool(labels) and labels[0].strip('_').lower() == 'background'
