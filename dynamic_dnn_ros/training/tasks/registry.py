# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The training of each task, by the task's name."""

from __future__ import annotations

import importlib

from dynamic_dnn_ros.training.tasks.contract import TrainingTask

_TASKS = {
    'classification': ('classification', 'ClassificationTraining'),
    'detection': ('detection', 'DetectionTraining'),
}


def training_task(name: str) -> TrainingTask:
    """Return the training of a family's task."""
    module_name, class_name = _TASKS[name]
    module = importlib.import_module(f'dynamic_dnn_ros.training.tasks.{module_name}')
    task: TrainingTask = getattr(module, class_name)()
    return task
