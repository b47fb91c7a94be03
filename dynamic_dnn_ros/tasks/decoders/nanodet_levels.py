# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
NanoDet before version 1.0, whose exports have two outputs for each level.

`cls_pred_stride_8` (pictures, points, labels), scores 0..1, and `dis_pred_stride_8` (pictures,
points, 4 x bins), distributions of distances; the same for strides 16 and 32. Put together they
are what `nanodet` reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import Outputs, TensorSpec
from dynamic_dnn_ros.tasks.decoders.contract import Candidates, Decoder
from dynamic_dnn_ros.tasks.decoders.distances import BINS
from dynamic_dnn_ros.tasks.decoders.grids import point_count
from dynamic_dnn_ros.tasks.decoders.nanodet import Nanodet
from dynamic_dnn_ros.tasks.options import option
from dynamic_dnn_ros.tasks.tensors import find, fits, is_float

_STRIDES = (8, 16, 32)
_JOINED = 'joined'


@dataclass(frozen=True)
class NanodetLevels(Decoder):
    """
    Decodes NanoDet by levels.

    :param scores: how the names of the outputs with scores begin; the stride follows
    :param distances: how those of the outputs with distributions begin
    :param strides: pixels of the input from one point to the next, of each level
    """

    scores: str = option('cls_pred_stride_')
    distances: str = option('dis_pred_stride_')
    strides: tuple[int, ...] = option(_STRIDES)

    name: ClassVar[str] = 'nanodet_levels'
    reads: ClassVar[str] = (
        'cls_pred_stride_8 (1, points, labels) and dis_pred_stride_8 (1, points, 32), the same of '
        'strides 16 and 32 (NanoDet before 1.0)'
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
        decoder = cls()
        wanted = decoder._shapes(len(labels), size)
        found = {spec.name: spec.shape[1:] for spec in outputs if is_float(spec)}
        return decoder.options() if found == wanted and len(outputs) == len(found) else None

    def check(self, outputs: Sequence[TensorSpec], labels: Sequence[str], size: Size) -> None:
        """Check that the two outputs of each level are there."""
        for name, shape in self._shapes(len(labels), size).items():
            spec = find(outputs, name, f'Decoder {self.name}')
            good = len(spec.shape) == 3 and all(map(fits, spec.shape[1:], shape))
            if not good:
                needed = f'{name} (pictures, {shape[0]}, {shape[1]}) at {size}'
                raise self.refusal(needed, [spec], len(labels))

    def candidates(self, outputs: Outputs, index: int, size: Size, score: float) -> Candidates:
        """Return what the outputs say of one picture of the batch; boxes end at its borders."""
        levels = [
            np.concatenate([outputs[f'{kind}{stride}'][index] for kind in self._kinds], axis=1)
            for stride in self.strides
        ]
        joined = {_JOINED: np.concatenate(levels)[None]}
        return Nanodet(_JOINED, self.strides).candidates(joined, 0, size, score)

    def comparable(self, outputs: Outputs) -> tuple[NDArray[Any], ...]:
        """Return distributions, and scores, of all levels together."""
        distances, scores = (
            np.concatenate([outputs[f'{kind}{stride}'] for stride in self.strides], axis=1)
            for kind in reversed(self._kinds)
        )
        return distances, scores

    @property
    def _kinds(self) -> tuple[str, str]:
        return self.scores, self.distances

    def _shapes(self, labels: int, size: Size) -> dict[str, tuple[int, int]]:
        """Return the points and the values of each output by its name."""
        return {
            f'{kind}{stride}': (point_count(size, (stride,)), values)
            for stride in self.strides
            for kind, values in zip(self._kinds, (labels, 4 * BINS))
        }
