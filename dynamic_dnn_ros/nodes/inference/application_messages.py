# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What an application says of itself, as messages."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.bundles.manifest import Manifest
from dynamic_dnn_ros.bundles.profile import FIGURES, LARGEST_BATCH, OperatingPoints
from dynamic_dnn_ros.bundles.stages import leaving
from dynamic_dnn_ros.msg import OperatingPoints as OperatingPointsMessage
from dynamic_dnn_ros.msg import SubNetwork

_TYPE_CODES = {'sub_network': 'H', 'processor': 'B'}
_COLUMNS = ('sub_network', 'processor', 'frequencies', *FIGURES)


def sub_network_messages(manifest: Manifest) -> list[SubNetwork]:
    """Return the sub-networks of a bundle, in its order."""
    return [
        SubNetwork(
            id=entry.id,
            accuracy=entry.accuracy,
            height=entry.size.height,
            width=entry.size.width,
            multiply_adds=entry.multiply_adds,
            parameters=entry.parameters,
            stage_names=[stage.name for stage in leaving(entry.stages)],
            stage_work=array('d', [stage.work for stage in leaving(entry.stages)]),
            stage_taken=array('d', [stage.taken for stage in leaving(entry.stages)]),
        )
        for entry in manifest.sub_networks
    ]


def operating_points_message(
    points: OperatingPoints | None, manifest: Manifest, largest_batch: int = LARGEST_BATCH
) -> OperatingPointsMessage:
    """
    Return a profile's table, or an empty one; sub-networks are numbered as in the bundle.

    :param largest_batch: frames that run together at most, however many were measured
    """
    message = OperatingPointsMessage()
    if points is None:
        return message
    order = [entry.id for entry in manifest.sub_networks]
    numbers = np.array([order.index(identifier) for identifier in points.sub_networks], np.int64)
    message.platform = points.platform
    message.kind = int(points.kind)
    message.extrapolated = points.extrapolated
    message.domains = list(points.domains)
    message.processors = list(points.processors)
    for name in _COLUMNS:
        column = getattr(points, name)
        if name == 'sub_network':
            column = numbers[column]
        setattr(message, name, _array(column, _TYPE_CODES.get(name, 'd')))
    largest = min(points.largest_batch, largest_batch)
    if largest > 1:
        message.largest_batch = largest
        # One that the profile does not have runs frames one after the other.
        table = np.tile(np.arange(1.0, largest + 1), (len(order), 1))
        table[numbers] = points.batch_latency[:, :largest]
        message.batch_latency = _array(table, 'd')
    return message


def _array(column: NDArray[Any], type_code: str) -> array[Any]:
    # rclpy takes an array.array as it is; a numpy array would be copied element by element.
    values = array(type_code)
    values.frombytes(np.ascontiguousarray(column, np.dtype(type_code)).tobytes())
    return values
