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
from dynamic_dnn_ros.tasks.decoders.registry import recognise
from dynamic_dnn_ros.tasks.registry import task_class, task_names

#: Tasks are looked for in this order: the error of the last one lists what is known.
_ORDER = ('classification', 'segmentation', 'detection')

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
    :raises ImportingError: when the outputs are of no task, or not of the one given
    """
    told = (metadata or {}).get('task', '')
    if task is None and decoder is not None:
        task = 'detection'
    if task is None and told in _ULTRALYTICS_TASKS:
        task = _ULTRALYTICS_TASKS[told]
    order = tuple(name for name in _ORDER if name in task_names())
    for name in (task,) if task is not None else order:
        try:
            options = _options(name, trial, labels, size, decoder)
        except TaskError as error:
            # The last one of them: detection, whose error lists all decoders.
            raise ImportingError(where, str(error).rstrip('.'), _told(told)) from error
        if options is not None:
            return TaskChoice(name, _with_coco_numbers(options, labels))
    raise ImportingError(
        where,
        f'its outputs do not fit the task {task!r} with {len(labels)} labels: it has '
        + ', '.join(f'{each.name} {each.shape}' for each in trial.outputs),
        'Leave --task out to have it recognised, or give the labels that it was trained with',
    )


def _options(
    name: str, trial: Trial, labels: Sequence[str], size: Size, decoder: str | None
) -> dict[str, Any] | None:
    """Return the options of a task that outputs ask for, None where they are none of it."""
    if name == 'detection':
        return recognise(trial.outputs, labels, size, trial.answers, decoder)
    found: Any = task_class(name)
    if not hasattr(found, 'recognise'):  # a task of another package, which needs none
        return {}
    options: dict[str, Any] | None = found.recognise(trial.outputs, labels, trial.answers)
    return options


def _with_coco_numbers(options: dict[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """
    Read the classes of torchvision's detectors by COCO's numbers where the labels are COCO's.

    Those that it gives for COCO number its 80 classes from 1 to 90, with gaps.
    """
    from_1 = options.get('decoder') == 'labelled_boxes' and options.get('class_offset') == 1
    return {**options, 'coco_numbers': True} if from_1 and tuple(labels) == COCO else options


def _told(task: str) -> str:
    if task and task not in _ULTRALYTICS_TASKS:
        return f'Its exporter calls it {task!r}, which is no task here'
    return 'docs/import.md has the exports that are known'
