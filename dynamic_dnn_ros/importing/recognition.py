# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Find the task that a network's outputs ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dynamic_dnn_ros.bundles.manifest import TaskChoice
from dynamic_dnn_ros.importing.errors import ImportingError
from dynamic_dnn_ros.importing.known_labels import COCO
from dynamic_dnn_ros.importing.trial import Trial
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import TaskError
from dynamic_dnn_ros.tasks.registry import recognise

#: What Ultralytics calls the tasks that are here.
_ULTRALYTICS_TASKS = {'detect': 'detection', 'classify': 'classification'}


def task_of(
    trial: Trial,
    labels: Sequence[str],
    size: Size,
    where: object,
    task: str | None = None,
    decoder: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> TaskChoice:
    """
    Return the task and its options.

    :param task: its name, where the user gave one
    :param decoder: of detections, likewise
    :param metadata: what an exporter wrote into the model
    :raises ImportingError: when the outputs are of no task, or not of the one given
    """
    told = (metadata or {}).get('task', '')
    if task is None:
        task = _ULTRALYTICS_TASKS.get(told)
    try:
        name, options = recognise(trial.outputs, labels, size, trial.answers, task, decoder)
    except TaskError as error:
        remedy = 'docs/import.md has the exports that are known'
        if told and told not in _ULTRALYTICS_TASKS:
            remedy = f'Its exporter calls it {told!r}, which is no task here'
        raise ImportingError(where, str(error).rstrip('.'), remedy) from error
    return TaskChoice(name, _with_coco_numbers(options, labels))


def _with_coco_numbers(options: dict[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """
    Read the classes of torchvision's detectors by COCO's numbers where the labels are COCO's.

    Those that it gives for COCO number its 80 classes from 1 to 90, with gaps.
    """
    from_1 = options.get('decoder') == 'labelled_boxes' and options.get('class_offset') == 1
    return {**options, 'coco_numbers': True} if from_1 and tuple(labels) == COCO else options
