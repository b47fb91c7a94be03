# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameter that names the range of pixels with more than 8 bits."""

from __future__ import annotations

from dynamic_dnn_ros.nodes.common.parameters import ParameterSpecification, ParameterValues
from dynamic_dnn_ros.pictures.value_range import ValueRange


def _problem(bounds: tuple[float, ...]) -> str | None:
    if len(bounds) == 2 and (bounds[0] < bounds[1] or bounds == (0.0, 0.0)):
        return None
    return 'a lower and a higher number are needed. Set it to two such as [0.0, 4095.0].'


PICTURE_RANGE = ParameterSpecification(
    'picture_range',
    (0.0, 0.0),
    'The two values of a pixel that become black and white, in images of 16 bits or floats; '
    'those outside become black or white as well. 0 and 0: 0 and 65535 for mono16, rgb16, '
    'bgr16, Bayer patterns and files of 16 bits, while 16UC1 and 32FC1, which mostly are '
    'distances, are rejected.',
    check=_problem,
)


def picture_range(parameters: ParameterValues) -> ValueRange | None:
    """Return the range in force; None where it is not given."""
    bounds = ValueRange(*parameters[PICTURE_RANGE.name])
    return bounds if bounds.low < bounds.high else None
