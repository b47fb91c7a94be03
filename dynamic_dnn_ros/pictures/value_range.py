# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pixels of more than 8 bits: the range of their values becomes 0..255."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.pictures.errors import PictureError


class ValueRange(NamedTuple):
    """
    The values of a pixel that become black and white.

    Those outside become black or white as well, and so does what is not a number: black.
    """

    low: float
    high: float

    def eight_bits(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Return values of any shape, integers or floats, on a scale of 0..255, rounded."""
        if values.dtype.kind == 'u' and values.dtype.itemsize == 2:
            return _table(self).take(values)
        with np.errstate(invalid='ignore', over='ignore'):
            shifted = (values.astype(np.float32) - self.low) * (255.0 / (self.high - self.low))
        shifted = np.clip(np.nan_to_num(shifted, nan=0.0), 0.0, 255.0)
        found: NDArray[np.uint8] = (shifted + 0.5).astype(np.uint8)
        return found


#: Of pictures whose values are light, not distance.
ALL_16_BITS = ValueRange(0.0, 65535.0)


def needs_range(what: str, kind: str) -> PictureError:
    """Return the error for values whose range nobody has named."""
    return PictureError(
        f'{what}: values of {kind} may be distances or anything else, so their range must be '
        "known. Set parameter 'picture_range' to the values that become black and white, such as "
        '[0, 4095], or have the camera publish 8 bits.'
    )


@functools.lru_cache(maxsize=4)
def _table(value_range: ValueRange) -> NDArray[np.uint8]:
    values = np.arange(65536, dtype=np.float64) - value_range.low
    scaled = values * (255.0 / (value_range.high - value_range.low))
    return np.floor(np.clip(scaled, 0.0, 255.0) + 0.5).astype(np.uint8)
