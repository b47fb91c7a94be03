# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What every task must keep, as a check for tests: of this package's tasks and of yours.

    from dynamic_dnn_ros.tasks.checks import check_task

    def test_my_task():
        check_task(MyTask(), outputs, labels=('cat', 'dog'), size=Size(240, 320))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
import dataclasses
import json
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.assertions import refused
from dynamic_dnn_ros.pictures.input import Alignment, Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Placement, Size
from dynamic_dnn_ros.tasks.contract import (
    DECIDING_LIMITS,
    ClassScores,
    Detections,
    LabelMap,
    Limits,
    Metric,
    Outputs,
    Task,
    TaskError,
    TensorSpec,
)
from dynamic_dnn_ros.tasks.tensors import specs_of

#: Sizes of cameras' pictures: wider and higher than inputs are, a single row and a single pixel.
_PICTURES = (Size(480, 640), Size(301, 97), Size(1, 50), Size(1, 1))
_LIMITS = (Limits(), Limits(score=0.0, number=7), Limits(score=0.9, number=0), Limits(score=1.0))


def check_task(
    task: Task[Any, Any],
    outputs: Outputs,
    labels: Sequence[str],
    size: Size,
    truth: Any = None,
) -> None:
    """
    Check that a task keeps its contract.

    :param outputs: of a network, in which the task finds something; the first axis is the picture
    :param labels: that fit the outputs
    :param size: of the network's input
    :param truth: of a picture of the input's size, where the scorer shall be checked too
    :raises AssertionError: naming what is not kept
    """
    _check_options(task)
    _check_specs(task, outputs, labels, size)
    _check_results(task, outputs, labels, size)
    _check_bad_values(task, outputs, labels, size)
    _check_confidence(task, outputs, size)
    _check_departure(task, outputs)
    if truth is not None:
        _check_scorer(task, outputs, labels, size, truth)


def _check_options(task: Task[Any, Any]) -> None:
    assert isinstance(task.name, str) and task.name, 'a task has a name'
    assert isinstance(task.metric, Metric), 'a task has a metric'
    options = task.options()
    assert json.loads(json.dumps(options)) == options, f'options are plain JSON data: {options}'
    again = type(task).from_options(options)
    assert again.options() == options, 'a task that is made from its options has the same'
    refused(
        lambda: type(task).from_options({**options, 'no_such_option': 1}),
        TaskError,
        'an option that is unknown',
        'no_such_option',
    )


def _check_specs(
    task: Task[Any, Any], outputs: Outputs, labels: Sequence[str], size: Size
) -> None:
    specs = specs_of(outputs)
    task.check(specs, labels, size)
    task.check([_open(spec) for spec in specs], labels, size)
    refused(lambda: task.check([], labels, size), TaskError, 'a network without outputs')
    others = [dataclasses.replace(spec, shape=(1, 2, 3, 4, 5)) for spec in specs]
    refused(
        lambda: task.check(others, labels, size),
        TaskError,
        'outputs of another rank',
        specs[0].name,
    )


def _open(spec: TensorSpec) -> TensorSpec:
    """Return an output whose batch is open."""
    return dataclasses.replace(spec, shape=(None, *spec.shape[1:]))


def _check_results(
    task: Task[Any, Any], outputs: Outputs, labels: Sequence[str], size: Size
) -> None:
    before = {name: value.copy() for name, value in outputs.items()}
    for value in outputs.values():
        value.flags.writeable = False
    for placement in _placements(size):
        for limits in _LIMITS:
            result = task.decode(outputs, 0, placement, labels, limits)
            _check_result(result, placement, labels, limits)
    first = next(_placements(size))
    result = task.decode(outputs, 0, first, labels, Limits(score=0.05))
    if isinstance(result, Detections):
        assert len(result), 'check_task needs outputs in which something is found'
    for name, value in outputs.items():
        assert np.array_equal(value, before[name], equal_nan=_is_real(value)), (
            f'decoding leaves outputs as they are: {name} was changed'
        )

    def again(_: int) -> Any:
        return task.decode(outputs, 0, first, labels, Limits(score=0.05))

    made = type(task).from_options(task.options())
    other = made.decode(outputs, 0, first, labels, Limits(score=0.05))
    assert _same(result, other), 'a task that is made from its options decodes the same'

    with ThreadPoolExecutor(4) as pool:
        for other in pool.map(again, range(8)):
            assert _same(result, other), 'threads may decode at once: results differ'


def _placements(size: Size) -> Iterator[Placement]:
    for picture in (size, *_PICTURES):
        for resize in Resize:
            for alignment in Alignment:
                way = Preprocessing(resize, (0, 0, 0), (1, 1, 1), alignment=alignment)
                yield Placement.of(picture, size, way)


def _check_result(
    result: Any, placement: Placement, labels: Sequence[str], limits: Limits
) -> None:
    if isinstance(result, ClassScores):
        scores = result.scores
        assert scores.shape == (len(labels),), 'there is a score for each label'
        assert np.all((scores >= 0) & (scores <= 1 + 1e-6)), 'scores are 0..1'
    elif isinstance(result, Detections):
        _check_detections(result, placement, labels, limits)
    elif isinstance(result, LabelMap):
        classes = result.classes
        assert classes.shape == tuple(placement.picture), 'a label map has the size of the picture'
        assert classes.dtype in (np.uint8, np.uint16), 'a label map holds small whole numbers'
        good = (classes < len(labels)) | (classes == LabelMap.UNLABELLED)
        assert good.all(), 'a label map holds indices of labels, or UNLABELLED'


def _check_detections(
    result: Detections, placement: Placement, labels: Sequence[str], limits: Limits
) -> None:
    boxes, scores, classes = result.boxes, result.scores, result.classes
    assert boxes.shape == (len(scores), 4) and classes.shape == scores.shape, 'a row for each box'
    kinds = [str(values.dtype) for values in (boxes, scores, classes)]
    assert kinds == ['float32', 'float32', 'int64'], f'types are as in Detections: {kinds}'
    assert np.isfinite(boxes).all() and np.isfinite(scores).all(), 'boxes and scores are finite'
    assert len(result) <= limits.number, 'the limit on the number is kept'
    assert np.all((scores >= np.float32(limits.score)) & (scores <= 1)), 'the limit on scores too'
    assert np.all(np.diff(scores) <= 0), 'the best comes first'
    assert np.all((classes >= 0) & (classes < len(labels))), 'classes are indices of labels'
    assert np.all(boxes[:, :2] < boxes[:, 2:]), 'boxes have an area'
    ends = (placement.picture.width, placement.picture.height)
    assert np.all(boxes >= 0) and np.all(boxes[:, 2:] <= ends), 'boxes end at the picture'


def _check_bad_values(
    task: Task[Any, Any], outputs: Outputs, labels: Sequence[str], size: Size
) -> None:
    generator = np.random.default_rng(0)
    placement = next(_placements(size))
    for bad in (math.nan, math.inf, -math.inf):
        for share in (0.01, 1.0):
            broken = {
                name: np.where(generator.random(value.shape) < share, bad, value).astype(
                    value.dtype
                )
                if _is_real(value)
                else value
                for name, value in outputs.items()
            }
            result = task.decode(broken, 0, placement, labels, Limits(score=0.0))
            _check_result(result, placement, labels, Limits(score=0.0))
    nothing = {name: np.zeros_like(value) for name, value in outputs.items()}
    result = task.decode(nothing, 0, placement, labels, Limits())
    _check_result(result, placement, labels, Limits())


def _check_confidence(task: Task[Any, Any], outputs: Outputs, size: Size) -> None:
    nothing = {name: np.zeros_like(value) for name, value in outputs.items()}
    for limits in (DECIDING_LIMITS, *_LIMITS):
        for values in (outputs, nothing):
            found = task.confidence(values, 0, size, limits)
            assert isinstance(found, (int, float)) and 0 <= found <= 1, (
                f'confidence is a number of 0..1: {found!r}'
            )
    again = task.confidence(outputs, 0, size, DECIDING_LIMITS)
    assert again == task.confidence(outputs, 0, size, DECIDING_LIMITS), (
        'the same outputs give the same confidence'
    )
    for bad in (math.nan, math.inf, -math.inf):
        broken = {
            name: np.full_like(value, bad) if _is_real(value) else value
            for name, value in outputs.items()
        }
        if any(_is_real(value) for value in outputs.values()):
            found = task.confidence(broken, 0, size, DECIDING_LIMITS)
            assert not found > 0, f'outputs that are not finite give no confidence: {found}'


def _check_departure(task: Task[Any, Any], outputs: Outputs) -> None:
    assert task.departure(outputs, outputs) == 0, 'outputs depart from themselves by 0'
    slight, strong = (_disturbed(outputs, share) for share in (1e-3, 0.3))
    if slight is not None and strong is not None:
        near, far = task.departure(slight, outputs), task.departure(strong, outputs)
        assert 0 < near < far < math.inf, f'more noise departs more: {near}, {far}'
        assert near < 0.05, f'departure is relative to the size: {near} for a thousandth of noise'
    name, value = next(iter(outputs.items()))
    renamed = {**{key: other for key, other in outputs.items() if key != name}, 'renamed': value}
    assert task.departure(renamed, outputs) == math.inf, (
        'outputs of another name depart infinitely'
    )
    for name, value in outputs.items():
        if _is_real(value):
            broken = {**outputs, name: np.full_like(value, math.nan)}
            assert task.departure(broken, outputs) == math.inf, f'{name} of NaN departs infinitely'


def _disturbed(outputs: Outputs, share: float) -> Outputs | None:
    """Return outputs with noise relative to their size; None where there are no real numbers."""
    generator = np.random.default_rng(0)
    if not any(_is_real(value) for value in outputs.values()):
        return None
    return {
        name: (value * (1 + share * generator.uniform(-1, 1, value.shape))).astype(value.dtype)
        if _is_real(value)
        else value
        for name, value in outputs.items()
    }


def _check_scorer(
    task: Task[Any, Any], outputs: Outputs, labels: Sequence[str], size: Size, truth: Any
) -> None:
    scorer = task.scorer(labels)
    assert math.isnan(scorer.value()), 'the accuracy of nothing is not a number'
    scorer.add(task.decode(outputs, 0, next(_placements(size)), labels, Limits()), truth)
    assert 0 <= scorer.value() <= 1, f'accuracy is 0..1, not {scorer.value()}'
    assert math.isnan(task.scorer(labels).value()), 'each scorer begins with nothing'


def _is_real(value: NDArray[Any]) -> bool:
    return bool(np.issubdtype(value.dtype, np.floating))


def _same(one: Any, other: Any) -> bool:
    """Return whether two results hold the same values."""
    fields = [field.name for field in dataclasses.fields(one)]
    return type(one) is type(other) and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in fields
    )
