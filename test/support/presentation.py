# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An application's presentation with as many operating points as wanted, as a message."""

from __future__ import annotations

from array import array

from dynamic_dnn_ros.bundles.profile import FIGURES
from dynamic_dnn_ros.msg import Application, OperatingPoints, SubNetwork


def presentation(count: int = 3) -> Application:
    """Return the presentation of an application with some operating points."""
    columns = ('frequencies', *FIGURES)
    figures = {name: array('d', [float(i + 1) for i in range(count)]) for name in columns}
    points = OperatingPoints(
        platform='board',
        kind=OperatingPoints.KIND_MEASURED,
        domains=['gpu'],
        processors=['gpu'],
        sub_network=array('H', range(count)),
        processor=array('B', [0] * count),
        largest_batch=2 if count else 0,
        batch_latency=array('d', [1.0, 1.5] * count),
        **figures,
    )
    sub_networks = [SubNetwork(id=f's{i}', accuracy=0.5) for i in range(count)]
    return Application(
        id='/front/inference_node',
        instance='one',
        state=Application.STATE_ACTIVE,
        sub_networks=sub_networks,
        sub_network='s1',
        operating_points=points,
    )
