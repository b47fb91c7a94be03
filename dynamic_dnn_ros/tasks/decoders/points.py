# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The head of our own detectors (family `ofa_detector`): what NanoDet-Plus gives, with any strides.

See `decoders.distances`. What trains such a network writes these options; outputs of other
networks are never taken for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import Outputs, TensorSpec
from dynamic_dnn_ros.tasks.decoders.distances import DistanceDecoder


@dataclass(frozen=True)
class Points(DistanceDecoder):
    """Decodes our own detectors."""

    name: ClassVar[str] = 'points'
    reads: ClassVar[str] = (
        'one output (1, points, labels + 4 x bins), as options say (ofa_detector, by name only)'
    )
    nms: ClassVar[bool] = True

    @classmethod
    def recognise(
        cls,
        outputs: Sequence[TensorSpec],
        labels: Sequence[str],
        size: Size,
        samples: Sequence[Outputs],
    ) -> dict[str, Any] | None:
        """Return the options under which outputs are of this kind, None where they are not."""
        return None
