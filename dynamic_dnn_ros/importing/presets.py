# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
How networks of known kinds take their pictures.

A graph does not say how pictures were prepared in training, but its kind does: the code that
its authors publish prepares them in one way. What is taken from here is said, line by line, and
every part can be given otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dynamic_dnn_ros.pictures.input import (
    Alignment,
    ChannelOrder,
    Interpolation,
    Preprocessing,
    Resize,
)

_NO_MEAN = (0.0, 0.0, 0.0)
_UNIT = (1.0, 1.0, 1.0)
_BYTES = (1 / 255, 1 / 255, 1 / 255)
_HALF = (0.5, 0.5, 0.5)
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_DEVIATION = (0.229, 0.224, 0.225)

_RGB = Preprocessing(Resize.STRETCH, _NO_MEAN, _UNIT)
_IMAGENET = Preprocessing(Resize.STRETCH, _IMAGENET_MEAN, _IMAGENET_DEVIATION)


@dataclass(frozen=True)
class Assumption:
    """A preparation, and whose it is."""

    preprocessing: Preprocessing
    source: str


#: By the beginning of a decoder's name; the longest that fits counts.
_DETECTORS = {
    'ultralytics': Assumption(replace(_RGB, resize=Resize.LETTERBOX), 'Ultralytics'),
    'yolox': Assumption(
        Preprocessing(
            Resize.LETTERBOX,
            _NO_MEAN,
            _BYTES,
            channels=ChannelOrder.BGR,
            alignment=Alignment.TOP_LEFT,
        ),
        'YOLOX',
    ),
    'nanodet': Assumption(
        # BGR (103.53, 116.28, 123.675) and (57.375, 57.12, 58.395) in its configurations.
        Preprocessing(
            Resize.STRETCH,
            (123.675 / 255, 116.28 / 255, 103.53 / 255),
            (58.395 / 255, 57.12 / 255, 57.375 / 255),
            channels=ChannelOrder.BGR,
        ),
        'NanoDet',
    ),
    'yolov7': Assumption(replace(_RGB, resize=Resize.LETTERBOX), 'YOLO v7'),
    'mmdetection': Assumption(
        replace(_IMAGENET, resize=Resize.LETTERBOX, alignment=Alignment.TOP_LEFT, padding=0),
        'most of MMDetection',
    ),
    'fastestdet': Assumption(replace(_RGB, channels=ChannelOrder.BGR), 'FastestDet'),
    'ultralytics_rt_detr': Assumption(_RGB, 'Ultralytics for RT-DETR'),
    'efficient_nms': Assumption(replace(_RGB, resize=Resize.LETTERBOX), 'YOLO for TensorRT'),
    'labelled_boxes': Assumption(_RGB, 'torchvision and RT-DETR'),
    'rf_detr': Assumption(_IMAGENET, 'RF-DETR'),
    'detr': Assumption(_IMAGENET, 'DETR'),
    'rt_detr': Assumption(_RGB, 'RT-DETR'),
    'tflite_ssd': Assumption(Preprocessing(Resize.STRETCH, _HALF, _HALF), 'TensorFlow detectors'),
}

_OF_IMAGENET = 'most classifiers of ImageNet'

_FIELDS = {
    'resize': 'resize',
    'interpolation': 'interpolation',
    'channels': 'channels',
    'alignment': 'alignment',
    'padding': 'padding',
    'mean': 'mean',
    'standard_deviation': 'std',
}


def assumed_preprocessing(
    task: str, options: Mapping[str, Any], outputs: int | None, metadata: Mapping[str, str]
) -> Assumption:
    """
    Return how a network of a kind takes its pictures.

    :param options: of the task
    :param outputs: the number of a classifier's classes
    :param metadata: what an exporter wrote into the model
    """
    if task == 'detection':
        return _of_decoder(str(options.get('decoder', '')), options)
    if metadata.get('author', '').startswith('Ultralytics'):
        return Assumption(replace(_RGB, resize=Resize.CENTER_CROP), 'Ultralytics')
    if outputs == 1001 or metadata.get('source', '').endswith('.tflite'):
        # The 1,001st is a background, which TensorFlow's classifiers have.
        resize = Resize.CENTER_CROP if task == 'classification' else Resize.STRETCH
        return Assumption(
            Preprocessing(resize, _HALF, _HALF), "TensorFlow's networks: (pixel - 127.5) / 127.5"
        )
    if task == 'classification':
        return Assumption(replace(_IMAGENET, resize=Resize.CENTER_CROP), _OF_IMAGENET)
    return Assumption(_IMAGENET, f'torchvision, as of {_OF_IMAGENET}')


def _of_decoder(decoder: str, options: Mapping[str, Any]) -> Assumption:
    fitting = [name for name in _DETECTORS if decoder.startswith(name)]
    if not fitting:
        return Assumption(_RGB, 'nobody: colours are scaled to 0..1, the picture is stretched')
    return _DETECTORS[max(fitting, key=len)]


@dataclass(frozen=True)
class Overrides:
    """
    What a user gave of the preparation; None was not given.

    `mean` and `standard_deviation` of red, green and blue on a scale of 0..`input_scale`, which
    are the values that the network takes: 1, or 255 where it takes bytes as they are.
    """

    resize: Resize | None = None
    interpolation: Interpolation | None = None
    channels: ChannelOrder | None = None
    alignment: Alignment | None = None
    padding: int | None = None
    mean: tuple[float, float, float] | None = None
    standard_deviation: tuple[float, float, float] | None = None
    input_scale: float | None = None

    def applied(self, assumed: Preprocessing) -> Preprocessing:
        """Return a preparation with what was given in place."""
        changes: dict[str, Any] = {
            name: value
            for name in ('resize', 'interpolation', 'channels', 'alignment', 'padding')
            if (value := getattr(self, name)) is not None
        }
        scale = 1.0 if self.input_scale is None else self.input_scale
        if self.input_scale is not None:
            changes['mean'], changes['standard_deviation'] = _NO_MEAN, (1 / scale,) * 3
        if self.mean is not None:
            changes['mean'] = tuple(value / scale for value in self.mean)
        if self.standard_deviation is not None:
            changes['standard_deviation'] = tuple(
                value / scale for value in self.standard_deviation
            )
        return replace(assumed, **changes)

    @property
    def of_numbers(self) -> bool:
        """Return whether something was given that changes the values of colours."""
        return (self.mean, self.standard_deviation, self.input_scale) != (None, None, None)


def described(preprocessing: Preprocessing, assumption: Assumption) -> list[str]:
    """Return a preparation, a line for each part, and whose it is."""
    lines = []
    for name, title in _FIELDS.items():
        letterbox = preprocessing.resize is Resize.LETTERBOX
        if name in ('alignment', 'padding') and not letterbox:
            continue
        value = getattr(preprocessing, name)
        given = value != getattr(assumption.preprocessing, name)
        text = value.value if hasattr(value, 'value') else value
        if isinstance(text, tuple):
            text = ', '.join(f'{number:.4g}' for number in text)
        lines.append(f'{title}: {text} ({"given" if given else f"as {assumption.source}"})')
    return lines
