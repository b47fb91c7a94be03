# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One user's model made ready for a bundle: what it is, what it takes, what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from dynamic_dnn_ros.bundles.manifest import TaskChoice
from dynamic_dnn_ros.bundles.responses import probe_picture
from dynamic_dnn_ros.importing.cost import Cost, cost_of
from dynamic_dnn_ros.importing.errors import ImportingError
from dynamic_dnn_ros.importing.float16 import compute_in_float32, uses_float16
from dynamic_dnn_ros.importing.known_labels import LABEL_SETS, known_labels
from dynamic_dnn_ros.importing.open_detections import fix_detections
from dynamic_dnn_ros.importing.picture_input import PictureInput, find_picture_input
from dynamic_dnn_ros.importing.preparation import put_in_front
from dynamic_dnn_ros.importing.presets import (
    Assumption,
    Overrides,
    assumed_preprocessing,
    described,
)
from dynamic_dnn_ros.importing.recognition import task_of
from dynamic_dnn_ros.importing.trial import TIME_LIMIT, Trial, run_model, shapes_in
from dynamic_dnn_ros.pictures.input import Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import TaskError
from dynamic_dnn_ros.tasks.registry import create_task

#: Pictures that a model is tried with: as few as show what changes from one to the next.
_TRIALS = 2

#: What graphs are recognised with; only shapes and kinds of values are looked at.
_NEUTRAL = Preprocessing(Resize.STRETCH, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@dataclass(frozen=True)
class Given:
    """
    A model as it comes in.

    :param stem: what it is called, a file's name without suffix
    :param where: named in errors, its path usually
    :param labels: that its maker says it has; None where nobody does
    :param assumption: how it takes pictures, where its library knows
    :param metadata: what its exporter wrote
    """

    stem: str
    where: str
    model: ModelProto
    labels: tuple[str, ...] | None = None
    assumption: Assumption | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Choices:
    """What a user gave of how models are read; None was not given."""

    task: str | None = None
    decoder: str | None = None
    overrides: Overrides = field(default_factory=Overrides)
    resolutions: tuple[Size, ...] = ()
    time_limit: float = TIME_LIMIT


@dataclass(frozen=True)
class Ready:
    """A model that a bundle can take, with its cost at each size."""

    given: Given
    content: bytes
    task: TaskChoice
    preprocessing: Preprocessing
    costs: Mapping[Size, Cost]
    notes: tuple[str, ...]


def made_ready(given: Given, labels: tuple[str, ...], choices: Choices) -> Ready:
    """
    Recognise a model, put its preparation in front and try it at each size.

    :raises ImportingError: when it cannot be served; the text says why and what to do
    """
    where = given.where
    seen = _seen(given, choices)
    trial, found, notes = seen.trial, seen.found, list(seen.notes)
    task = task_of(
        trial, labels, seen.sizes[0], where, choices.task, choices.decoder, given.metadata
    )
    model = seen.model
    if task.options.get('coco_numbers'):
        notes.append("outputs: classes have COCO's numbers, 1 to 90 with gaps")
    if fix_detections(model, trial.outputs, task.options):
        notes.append('outputs: its detections are put into arrays of a fixed size')
    assumption = given.assumption or assumed_preprocessing(
        task.name, task.options, _classes(trial), given.metadata
    )
    preprocessing = choices.overrides.applied(assumption.preprocessing)
    if found.dtype == np.uint8:
        if choices.overrides.of_numbers:
            raise ImportingError(
                where,
                'takes bytes and scales them by itself, so --mean, --std and --input-scale have '
                'no place',
                'Leave them out',
            )
        preprocessing = replace(
            preprocessing, mean=_NEUTRAL.mean, standard_deviation=(1 / 255,) * 3
        )
        notes.append('numbers: bytes, as its input takes them')
    whole = _with_front(model, found, preprocessing)
    costs = {
        size: _tried(whole, size, task, labels, where, choices.time_limit) for size in seen.sizes
    }
    unknown = {name for cost in costs.values() for name in cost.unknown}
    if unknown:
        notes.append(f'cost: without {len(unknown)} operators whose size is not known')
    proposals = max(cost.of_proposals for cost in costs.values())
    if proposals:
        notes.append(
            'cost: of what every picture takes. The boxes that it proposes took '
            f'{proposals / 1e6:.0f} M multiply-adds more in the picture tried: how many it '
            'proposes depends on the picture, so measure its latency on pictures of your own'
        )
    notes = [*described(preprocessing, assumption), *notes]
    return Ready(given, whole.SerializeToString(), task, preprocessing, costs, tuple(notes))


def guessed_labels(given: Given, choices: Choices) -> tuple[str, ...]:
    """
    Return labels that are known so well that outputs tell them: of COCO, VOC or ImageNet.

    :raises ImportingError: when none fit
    """
    seen = _seen(given, choices)
    refused: ImportingError | None = None
    for name in LABEL_SETS:
        try:
            labels = known_labels(name)
            task_of(
                seen.trial,
                labels,
                seen.sizes[0],
                given.where,
                choices.task,
                choices.decoder,
                given.metadata,
            )
        except ImportingError as error:
            refused = refused or error
        else:
            return labels
    assert refused is not None
    raise ImportingError(
        given.where,
        f'says no labels, and those of {", ".join(LABEL_SETS)} do not fit: {refused.problem}',
        'Give the names of its classes with --labels FILE',
    ) from refused


@dataclass(frozen=True)
class _Seen:
    """A model as it was read, and what it answers before anything is known of it."""

    model: ModelProto
    found: PictureInput
    sizes: tuple[Size, ...]
    trial: Trial
    notes: tuple[str, ...]


def _seen(given: Given, choices: Choices) -> _Seen:
    model = ModelProto()
    model.CopyFrom(given.model)
    found = find_picture_input(model, given.where)
    notes = []
    if uses_float16(model):
        compute_in_float32(model)
        notes.append('numbers: float16, stored so and computed in float32')
        if found.dtype == np.float16:
            found = replace(found, dtype=np.dtype(np.float32))
    sizes = sizes_of(found, given, choices.resolutions)

    neutral = _with_front(model, found, _NEUTRAL)
    trial = run_model(neutral, probes(sizes[0]), given.where, choices.time_limit)
    return _Seen(model, found, sizes, trial, tuple(notes))


def sizes_of(found: PictureInput, given: Given, wanted: Sequence[Size]) -> tuple[Size, ...]:
    """
    Return the sizes at which a model is to run.

    :param wanted: that the user gave; none stands for the one that the model has
    :raises ImportingError: when it takes another one only, or any and none is wanted
    """
    if found.height is not None and found.width is not None:
        own = Size(found.height, found.width)
        if wanted and own not in wanted:
            raise ImportingError(
                given.where,
                f'takes pictures of {own} only, and --resolutions does not have it',
                'Leave --resolutions out, or export the model with free height and width',
            )
        return (own,)
    if wanted:
        for size in wanted:
            if size.height != (found.height or size.height) or size.width != (
                found.width or size.width
            ):
                raise ImportingError(
                    given.where,
                    f'has a height of {found.height or "any"} and a width of '
                    f'{found.width or "any"}, which {size} does not fit',
                    'Give sizes that fit with --resolutions',
                )
        return tuple(dict.fromkeys(wanted))
    told = _told_size(given.metadata)
    if told is not None:
        return (told,)
    raise ImportingError(
        given.where,
        'takes pictures of any size, and which ones to serve is not said',
        'Give them, --resolutions 320,416,640 for example: each becomes a sub-network, and all '
        'share the weights',
    )


def probes(size: Size) -> NDArray[np.uint8]:
    """Return the pictures that a model is tried with."""
    return np.stack([probe_picture(index, size) for index in range(_TRIALS)])


def _with_front(
    model: ModelProto, found: PictureInput, preprocessing: Preprocessing
) -> ModelProto:
    copy = ModelProto()
    copy.CopyFrom(model)
    put_in_front(copy, found, preprocessing)
    return copy


def _tried(
    model: ModelProto,
    size: Size,
    task: TaskChoice,
    labels: Sequence[str],
    where: str,
    time_limit: float,
) -> Cost:
    trial = run_model(model, probes(size), where, time_limit)
    if trial.not_finite:
        raise ImportingError(
            where,
            f'answers with values that are no finite numbers (NaN or infinite) in '
            f'{", ".join(trial.not_finite)} at {size}',
            'Its weights may be damaged, its numbers may overflow in float16, or the picture is '
            'prepared wrongly: compare --mean, --std and --input-scale with its training',
        )
    try:
        create_task(task.name, task.options).check(trial.outputs, labels, size)
    except TaskError as error:
        raise ImportingError(
            where, f'at {size}: {str(error).rstrip(".")}', 'docs/import.md has what is known'
        ) from error
    cost = cost_of(model, size)
    if cost.unknown:
        asked = _inputs_of(model, cost.unknown)
        shapes = shapes_in(model, asked, probes(size)[0], where)
        cost = cost_of(model, size, shapes)
    if cost.multiply_adds < 1 or cost.parameters < 1:
        raise ImportingError(
            where, 'has no convolution and no matrix product', 'Name a trained neural network'
        )
    return replace(cost, layers=max(1, cost.layers))


def _inputs_of(model: ModelProto, unknown: Sequence[str]) -> list[str]:
    """Return the values beside operators whose size is not known."""
    values: list[str] = []
    for node in model.graph.node:
        if node.name in unknown or node.output[0] in unknown:
            values += [*node.input, *node.output]
    return values


def _classes(trial: Trial) -> int | None:
    outputs = trial.outputs
    return outputs[0].shape[1] if len(outputs) == 1 and len(outputs[0].shape) > 1 else None


def _told_size(metadata: Mapping[str, str]) -> Size | None:
    """Return the size that Ultralytics wrote: `imgsz`, height and width."""
    text = metadata.get('imgsz', '').strip('[]() ')
    parts = [part.strip() for part in text.split(',')]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        return None
    numbers = [int(part) for part in parts]
    return Size(numbers[0], numbers[-1]) if len(numbers) <= 2 else None
