# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The tasks by name, those of other packages too (entry points `dynamic_dnn_ros.tasks`)."""

from __future__ import annotations

from collections.abc import Mapping
import importlib
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from dynamic_dnn_ros.tasks.contract import Task, TaskError

#: The group of entry points in which another package offers a task: name = module:class.
ENTRY_POINTS = 'dynamic_dnn_ros.tasks'

_TASKS = {
    'classification': ('dynamic_dnn_ros.tasks.classification', 'Classification'),
    'detection': ('dynamic_dnn_ros.tasks.detection', 'Detection'),
}

#: The tasks of this package.
TASK_NAMES = tuple(_TASKS)


def task_names() -> tuple[str, ...]:
    """Return the names of all tasks, those of other packages last."""
    return (*TASK_NAMES, *sorted(set(_others()) - set(TASK_NAMES)))


def task_class(name: str) -> type[Task[Any, Any]]:
    """
    Return the class of a task.

    :raises TaskError: for an unknown name, or a task of another package that cannot be loaded
    """
    if name in _TASKS:
        module_name, class_name = _TASKS[name]
        found: Any = getattr(importlib.import_module(module_name), class_name)
    elif (entry := _others().get(name)) is not None:
        try:
            found = entry.load()
        except (ImportError, AttributeError) as error:
            raise TaskError(
                f'task {name!r}, {entry.value}, cannot be loaded: {error}. Install the package '
                'that offers it again.'
            ) from error
    else:
        raise TaskError(
            f'task {name!r} is unknown. Known are: {", ".join(task_names())}. Other packages '
            f'offer tasks by the entry points {ENTRY_POINTS!r}.'
        )
    if not (isinstance(found, type) and issubclass(found, Task)):
        raise TaskError(f'task {name!r} is {found!r}, not a subclass of {Task.__module__}.Task.')
    return found


def create_task(name: str, options: Mapping[str, Any]) -> Task[Any, Any]:
    """
    Create a task.

    :param options: as a manifest holds them
    :raises TaskError: for an unknown name, or options that the task refuses
    """
    return task_class(name).from_options(options)


def _others() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}
