# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which publisher belongs to which task: a new one is a file beside this one, and a line here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dynamic_dnn_ros.nodes.common.lifecycle import ManagedNode, Problem
from dynamic_dnn_ros.nodes.inference.results.classification import ClassificationPublisher
from dynamic_dnn_ros.nodes.inference.results.contract import ResultPublisher
from dynamic_dnn_ros.nodes.inference.results.detection import DetectionPublisher
from dynamic_dnn_ros.nodes.inference.results.segmentation import SegmentationPublisher

_PUBLISHERS: dict[str, type[ResultPublisher[Any]]] = {
    'classification': ClassificationPublisher,
    'detection': DetectionPublisher,
    'segmentation': SegmentationPublisher,
}


def create_publisher(
    task: str, node: ManagedNode, bundle: str, labels: Sequence[str]
) -> ResultPublisher[Any]:
    """
    Create the publisher of a task's results.

    :raises Problem: when nothing publishes results of that task
    """
    publisher = _PUBLISHERS.get(task)
    if publisher is None:
        raise Problem(
            f'bundle {bundle!r}: nothing publishes results of task {task!r}. Serve a bundle of '
            f'one of: {", ".join(_PUBLISHERS)}.'
        )
    return publisher(node, bundle, labels)
