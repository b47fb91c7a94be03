# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The tasks by name, and those of other packages."""

from __future__ import annotations

import pytest

from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.classification import Classification
from dynamic_dnn_ros.tasks.contract import TaskError, TensorSpec
from dynamic_dnn_ros.tasks.registry import (
    ENTRY_POINTS,
    TASK_NAMES,
    create_task,
    recognise,
    task_class,
    task_names,
)

LABELS = ('cat', 'dog', 'fox')
SIZE = Size(64, 96)


#: A task that another package might offer.
COUNTING = """
from dynamic_dnn_ros.tasks.classification import Classification
class Counting(Classification):
    name = 'counting'
"""


@pytest.mark.parametrize('name', TASK_NAMES)
def test_every_task_has_its_name(name):
    assert task_class(name).name == name


def test_tasks_are_made_from_options():
    task = create_task('classification', {'activation': 'none'})
    assert task.options()['activation'] == 'none'


def test_unknown_task_names_those_that_are_known():
    with pytest.raises(TaskError, match="'pose' is unknown. Known are: classification, detection"):
        create_task('pose', {})


def test_other_packages_offer_tasks(offer):
    offer(ENTRY_POINTS, COUNTING, counting='HERE:Counting', classification='nowhere:Nothing')
    assert task_names() == (*TASK_NAMES, 'counting')
    assert task_class('counting').name == 'counting'
    assert task_class('classification') is Classification


def test_a_task_that_cannot_be_loaded_is_named(offer):
    offer(ENTRY_POINTS, counting='no_such_package:Counting', adding='json:dumps')
    with pytest.raises(TaskError, match="'counting', no_such_package:Counting of .* be loaded"):
        create_task('counting', {})
    with pytest.raises(TaskError, match="'adding', .* is no subclass of .*contract.Task"):
        create_task('adding', {})


@pytest.mark.parametrize(
    ('shape', 'task'),
    [
        ((1, 3), 'classification'),
        ((1, 3, 1, 1), 'classification'),
        ((1, 3, 64, 96), 'segmentation'),
        ((1, 7, 126), 'detection'),
        ((1, 8, 4, 6), 'detection'),
    ],
)
def test_outputs_tell_the_task(shape, task):
    outputs = [TensorSpec('out', shape)]
    name, options = recognise(outputs, LABELS, SIZE)
    assert name == task
    assert recognise(outputs, LABELS, SIZE, task=task) == (name, options)
    create_task(name, options).check(outputs, LABELS, SIZE)


def test_a_decoder_is_of_detection():
    outputs = [TensorSpec('out', (1, 126, 8))]
    name, options = recognise(outputs, LABELS, SIZE, decoder='yolox')
    assert (name, options['decoder']) == ('detection', 'yolox')
    with pytest.raises(TaskError, match="Task 'segmentation' has no decoder 'yolox'"):
        recognise(outputs, LABELS, SIZE, task='segmentation', decoder='yolox')


@pytest.mark.parametrize(
    ('task', 'said'),
    [
        ('segmentation', 'which are no segmentation of 3 labels. Give the labels'),
        ('classification', 'which are no classification of 3 labels'),
        ('detection', 'which no decoder reads with 3 labels'),
        (None, 'which no decoder reads with 3 labels'),
        ('pose', "of task 'pose' cannot be told"),
    ],
)
def test_outputs_of_no_task(task, said):
    with pytest.raises(TaskError, match=said):
        recognise([TensorSpec('out', (1, 5, 7, 9))], LABELS, SIZE, task=task)
