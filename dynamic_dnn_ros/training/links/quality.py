# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether compressed steps take as much off the loss as uncompressed ones would."""

from __future__ import annotations

import dataclasses

#: Of the sums of earlier comparisons, in each new one.
_KEPT = 0.7

#: The ratio is divided or multiplied by this.
_STEP = 2.0


@dataclasses.dataclass
class Quality:
    """
    The verdict of comparisons, and the ratio that follows from it.

    :param most: ratio that is not exceeded.
    :param tolerance: share of what an uncompressed step takes off the loss that may be lacking.
    """

    most: float
    tolerance: float
    ratio: float = 0.0
    _compressed: float = 0.0
    _whole: float = 0.0

    def __post_init__(self) -> None:
        self.ratio = self.ratio or self.most

    @property
    def share(self) -> float | None:
        """Return the share that compressed steps take off, None as long as it is unknown."""
        return self._compressed / self._whole if self._whole > 0.0 else None

    def judge(self, before: float, compressed: float, whole: float) -> None:
        """
        Take one comparison of losses of the same pictures, and set the ratio.

        :param before: without the step.
        :param compressed: after the step as it was taken.
        :param whole: after the same step with nothing left out.
        """
        self._compressed = _KEPT * self._compressed + before - compressed
        self._whole = _KEPT * self._whole + before - whole
        share = self.share
        if share is None:
            return
        if share < 1.0 - self.tolerance:
            self._take(self.ratio / _STEP)
        elif share > 1.0 - self.tolerance / 2.0:
            self._take(self.ratio * _STEP)

    def _take(self, ratio: float) -> None:
        ratio = min(max(ratio, 1.0), self.most)
        if ratio != self.ratio:
            self.ratio = ratio
            # What was seen at another ratio says little about this one.
            self._compressed = self._whole = 0.0
