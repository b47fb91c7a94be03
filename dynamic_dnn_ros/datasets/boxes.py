# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Boxes of a picture, collected one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dynamic_dnn_ros.datasets.contract import LabelledBoxes


@dataclass(frozen=True)
class LabelledBox:
    """
    One object.

    :param corners: left, upper, right, lower; pixels, or parts of the picture's size.
    :param label: index among the labels; None where it is of a class that does not count.
    :param crowd: as in `LabelledBoxes`.
    """

    corners: tuple[float, float, float, float]
    label: int | None
    crowd: bool = False


def together(
    boxes: Sequence[LabelledBox], scale: tuple[float, float] = (1.0, 1.0)
) -> LabelledBoxes:
    """
    Return boxes as arrays; those of classes that do not count, or without area, are left out.

    :param scale: factors of x and y
    """
    kept = [box for box in boxes if box.label is not None and _has_area(box)]
    corners = np.array([box.corners for box in kept], np.float64).reshape(-1, 4)
    return LabelledBoxes(
        (corners * (scale * 2)).astype(np.float32),
        np.array([box.label for box in kept], np.int64),
        np.array([box.crowd for box in kept], np.bool_),
    )


def _has_area(box: LabelledBox) -> bool:
    left, upper, right, lower = box.corners
    return right > left and lower > upper
