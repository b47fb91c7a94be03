# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a training file says about `compression`."""

from __future__ import annotations

import dataclasses
from enum import Enum
import math


class Method(Enum):
    """How gradients are made smaller before they are sent."""

    NONE = 'none'
    FP16 = 'fp16'
    POWERSGD = 'powersgd'
    TOP_K = 'top_k'
    ADAPTIVE = 'adaptive'


class PlacementMode(Enum):
    """How the work of a step is shared by several processes."""

    DATA_PARALLEL = 'data_parallel'
    PIPELINE = 'pipeline'
    MIXED = 'mixed'
    BEST = 'best'


@dataclasses.dataclass(frozen=True)
class Compression:
    """
    How gradients are sent.

    :param ratio: of `top_k` and `adaptive`: how many times fewer bytes than of float32 are sent;
        of `adaptive` that over the slowest link, at most.
    :param rank: of `powersgd`: of the matrices that are sent in place of a gradient.
    :param tolerance: of `adaptive`: the share of what an uncompressed step takes off the loss
        that a compressed one may lack before the ratio falls.
    :raises ValueError: for a value that sends nothing, or makes no sense.
    """

    method: Method = Method.NONE
    ratio: float = 25.0
    rank: int = 4
    tolerance: float = 0.1

    def __post_init__(self) -> None:
        for name, usable, needed in (
            (
                'ratio',
                1.0 <= self.ratio < math.inf,
                'how many times fewer bytes are sent, at least 1 and finite, or nothing would be '
                'sent',
            ),
            ('rank', self.rank >= 1, 'at least 1, or nothing would be sent,'),
            ('tolerance', 0.0 < self.tolerance < 1.0, 'above 0, below 1,'),
        ):
            if not usable:
                raise ValueError(f'{name} is {getattr(self, name)!r}: {needed} is needed')

    @property
    def most(self) -> float:
        """Return how many times fewer bytes the slowest link may carry; 1: all are sent."""
        sparse = self.method in (Method.TOP_K, Method.ADAPTIVE)
        return self.ratio if sparse else 2.0 if self.method is Method.FP16 else 1.0
