# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
NanoDet of the first generation (m, g, t): three levels, points in the centers of their cells.

See `decoders.distances`. Whether a network with three levels is of this generation or the next
cannot be seen: it has to be named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import Outputs, TensorSpec
from dynamic_dnn_ros.tasks.decoders.distances import DistanceDecoder, single_output
from dynamic_dnn_ros.tasks.decoders.grids import point_count

_STRIDES = (8, 16, 32)


@dataclass(frozen=True)
class Nanodet(DistanceDecoder):
    """Decodes NanoDet, whose points are the centers of their cells."""

    name: ClassVar[str] = 'nanodet'
    reads: ClassVar[str] = (
        'one output (1, points, labels + 32) of strides 8, 16, 32, points in the centers of cells '
        '(NanoDet-m)'
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
        output = single_output(outputs, labels, point_count(size, _STRIDES))
        return None if output is None else cls(output).options()
