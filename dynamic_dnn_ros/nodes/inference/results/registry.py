# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which publisher belongs to which task: a new one is a file beside this one, and a line here."""

from __future__ import annotations

from collections.abc import Sequence
import importlib
from typing import Any

from dynamic_dnn_ros.extensions import ExtensionError, Extensions
from dynamic_dnn_ros.nodes.common.lifecycle import NodeError
from dynamic_dnn_ros.nodes.inference.results.contract import ResultPublisher
from dynamic_dnn_ros.nodes.inference.stream_node import StreamNode

#: The group of entry points in which another package offers a publisher: task = module:class.
ENTRY_POINTS = 'dynamic_dnn_ros.result_publishers'

_ROOM = 'dynamic_dnn_ros.nodes.inference.results'

_PUBLISHERS = {
    'classification': (f'{_ROOM}.classification', 'ClassificationPublisher'),
    'detection': (f'{_ROOM}.detection', 'DetectionPublisher'),
    'segmentation': (f'{_ROOM}.segmentation', 'SegmentationPublisher'),
}

_OTHERS = Extensions(ENTRY_POINTS, 'publisher', _PUBLISHERS)


def create_publisher(
    task: str, node: StreamNode, bundle: str, labels: Sequence[str]
) -> ResultPublisher[Any]:
    """
    Create the publisher of a task's results.

    :raises NodeError: when nothing publishes results of that task
    """
    publisher: type[ResultPublisher[Any]] | None
    if task in _PUBLISHERS:
        module_name, class_name = _PUBLISHERS[task]
        publisher = getattr(importlib.import_module(module_name), class_name)
    else:
        try:
            publisher = _OTHERS.find(task)
        except ExtensionError as error:
            raise NodeError(str(error)) from error
    if publisher is not None:
        return publisher(node, bundle, labels)
    raise NodeError(
        f'bundle {bundle!r}: nothing publishes results of task {task!r}. Serve a bundle of one '
        f'of: {", ".join(_PUBLISHERS)}; other packages offer publishers by the entry points '
        f'{ENTRY_POINTS!r}.'
    )
