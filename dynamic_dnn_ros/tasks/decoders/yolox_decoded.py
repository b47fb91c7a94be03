# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
YOLOX exported with `--decode_in_inference`, and YOLO v6: boxes in pixels of the input.

One output (pictures, points, 5 + classes): center x, center y, width, height, objectness, the
score of each class (sigmoid done).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dynamic_dnn_ros.tasks.decoders.yolox import Yolox


@dataclass(frozen=True)
class YoloxDecoded(Yolox):
    """Decodes YOLOX whose boxes count pixels."""

    name: ClassVar[str] = 'yolox_decoded'
    reads: ClassVar[str] = (
        'one output (1, points, 5 + labels): x, y, width, height in pixels, objectness, scores '
        '(YOLOX with --decode_in_inference, YOLO v6)'
    )
    decoded: ClassVar[bool] = True
