# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The tasks by name, those of other packages too (entry points `dynamic_dnn_ros.tasks`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dynamic_dnn_ros.extensions import ExtensionError, Extensions
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.classification import Classification
from dynamic_dnn_ros.tasks.contract import Outputs, Task, TaskError, TensorSpec
from dynamic_dnn_ros.tasks.decoders.registry import recognise as recognise_detection
from dynamic_dnn_ros.tasks.detection import Detection
from dynamic_dnn_ros.tasks.segmentation import Segmentation
from dynamic_dnn_ros.tasks.tensors import described

#: The group of entry points in which another package offers a task: name = module:class.
ENTRY_POINTS = 'dynamic_dnn_ros.tasks'

_TASKS: dict[str, type[Task[Any, Any]]] = {
    task.name: task for task in (Classification, Detection, Segmentation)
}

#: The tasks of this package.
TASK_NAMES = tuple(_TASKS)

_OTHERS = Extensions(ENTRY_POINTS, 'task', TASK_NAMES, Task)


def task_names() -> tuple[str, ...]:
    """Return the names of all tasks, those of other packages last."""
    return (*TASK_NAMES, *_OTHERS.names())


def task_class(name: str) -> type[Task[Any, Any]]:
    """
    Return the class of a task.

    :raises TaskError: for an unknown name, or a task of another package that cannot be loaded
    """
    if name in _TASKS:
        return _TASKS[name]
    try:
        found: type[Task[Any, Any]] | None = _OTHERS.find(name)
    except ExtensionError as error:
        raise TaskError(str(error)) from error
    if found is None:
        raise TaskError(
            f'task {name!r} is unknown. Known are: {", ".join(task_names())}. Other packages '
            f'offer tasks by the entry points {ENTRY_POINTS!r}.'
        )
    return found


def create_task(name: str, options: Mapping[str, Any]) -> Task[Any, Any]:
    """
    Create a task.

    :param options: as a manifest holds them
    :raises TaskError: for an unknown name, or options that the task refuses
    """
    return task_class(name).from_options(options)


def recognise(
    outputs: Sequence[TensorSpec],
    labels: Sequence[str],
    size: Size,
    samples: Sequence[Outputs] = (),
    task: str | None = None,
    decoder: str | None = None,
) -> tuple[str, dict[str, Any]]:
    """
    Return the name of the task that a network's outputs are of, and its options.

    Tasks of this package only; those of others have to be made by name.

    :param size: of the network's input
    :param samples: what the network answered to pictures, see the tasks
    :param task: its name, where the user gave one
    :param decoder: its name, where the user gave one: the task is detection then
    :raises TaskError: when outputs are of none, or several decoders could read them
    """
    if decoder is not None and task in (None, 'detection'):
        return 'detection', recognise_detection(outputs, labels, size, samples, decoder)
    if decoder is not None:
        raise TaskError(f'Task {task!r} has no decoder {decoder!r}: only detection has.')
    if task == 'detection':
        return task, recognise_detection(outputs, labels, size, samples)
    if task not in (None, 'classification', 'segmentation'):
        raise TaskError(
            f'Whether outputs are of task {task!r} cannot be told: write its options yourself.'
        )
    found = {
        'classification': Classification.recognise(outputs, labels, samples),
        'segmentation': Segmentation.recognise(outputs, labels, samples),
    }
    for name, options in found.items():
        if options is not None and task in (None, name):
            return name, options
    if task is None:
        return 'detection', recognise_detection(outputs, labels, size, samples)
    raise TaskError(
        f'The network has {described(outputs)}, which are no {task} of {len(labels)} labels. Give '
        'the labels that it was trained with, one a class, or another task.'
    )
