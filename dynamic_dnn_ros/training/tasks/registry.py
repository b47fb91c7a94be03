# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The training of each task by the task's name, and those that other packages offer."""

from __future__ import annotations

import importlib

from dynamic_dnn_ros.extensions import ExtensionError, Extensions
from dynamic_dnn_ros.networks.contract import ConfigurationError
from dynamic_dnn_ros.training.tasks.contract import TrainingTask

#: The group of entry points in which another package offers a training: task = module:class.
ENTRY_POINTS = 'dynamic_dnn_ros.training_tasks'

_TASKS = {
    'classification': ('classification', 'ClassificationTraining'),
    'detection': ('detection', 'DetectionTraining'),
}

_OTHERS = Extensions(ENTRY_POINTS, 'training of task', _TASKS, TrainingTask)


def training_task(name: str) -> TrainingTask:
    """
    Return the training of a family's task.

    :raises ConfigurationError: when nothing trains it, or what does cannot be loaded.
    """
    task: type[TrainingTask] | None
    if name in _TASKS:
        module_name, class_name = _TASKS[name]
        module = importlib.import_module(f'dynamic_dnn_ros.training.tasks.{module_name}')
        task = getattr(module, class_name)
    else:
        try:
            task = _OTHERS.find(name)
        except ExtensionError as error:
            raise ConfigurationError('task', name, f'one that is of use. {error}') from error
    if task is None:
        known = ', '.join((*_TASKS, *_OTHERS.names()))
        raise ConfigurationError('task', name, f'one that can be trained: {known}')
    return task()
