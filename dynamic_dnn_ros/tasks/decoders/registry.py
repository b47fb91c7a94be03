# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The decoders by name, those of other packages too, and which of them fits a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import importlib
from typing import Any

from dynamic_dnn_ros.extensions import ExtensionError, Extensions
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import Outputs, TaskError, TensorSpec
from dynamic_dnn_ros.tasks.decoders.contract import Decoder
from dynamic_dnn_ros.tasks.tensors import described

#: The group of entry points in which another package offers a decoder: name = module:class.
ENTRY_POINTS = 'dynamic_dnn_ros.decoders'

_ROOM = 'dynamic_dnn_ros.tasks.decoders'

#: The class of each decoder, in the module of its name.
_DECODERS = {
    'ultralytics_v8': 'UltralyticsV8',
    'ultralytics_v5': 'UltralyticsV5',
    'ultralytics_end_to_end': 'UltralyticsEndToEnd',
    'ultralytics_rt_detr': 'UltralyticsRtDetr',
    'yolov7_end_to_end': 'Yolov7EndToEnd',
    'yolox': 'Yolox',
    'yolox_decoded': 'YoloxDecoded',
    'nanodet': 'Nanodet',
    'nanodet_levels': 'NanodetLevels',
    'nanodet_plus': 'NanodetPlus',
    'fastestdet': 'FastestDet',
    'detr': 'Detr',
    'rt_detr': 'RtDetr',
    'rf_detr': 'RfDetr',
    'labelled_boxes': 'LabelledBoxesDecoder',
    'mmdetection': 'MmDetection',
    'efficient_nms': 'EfficientNms',
    'tflite_ssd': 'TfliteSsd',
    'points': 'Points',
}

#: The decoders of this package.
DECODER_NAMES = tuple(_DECODERS)

_OTHERS = Extensions(ENTRY_POINTS, 'decoder', DECODER_NAMES, Decoder)

#: How many values a point may have beside its scores, to tell for how many labels outputs are.
_VALUES_BESIDE = (0, 1, 4, 5, 32, 64)


def decoder_names() -> tuple[str, ...]:
    """Return the names of all decoders, those of other packages last."""
    return (*DECODER_NAMES, *_OTHERS.names())


def decoder_class(name: str) -> type[Decoder]:
    """
    Return the class of a decoder.

    :raises TaskError: for an unknown name, or a decoder that cannot be loaded
    """
    if name in _DECODERS:
        own: type[Decoder] = getattr(importlib.import_module(f'{_ROOM}.{name}'), _DECODERS[name])
        return own
    try:
        found: type[Decoder] | None = _OTHERS.find(name)
    except ExtensionError as error:
        raise TaskError(str(error)) from error
    if found is None:
        raise TaskError(
            f'decoder {name!r} is unknown. Known are:\n{known_decoders()}\nOther packages offer '
            f'decoders by the entry points {ENTRY_POINTS!r}.'
        )
    return found


def create_decoder(name: str, options: Mapping[str, Any]) -> Decoder:
    """
    Create a decoder.

    :param options: without its name
    :raises TaskError: for an unknown name, or options that the decoder refuses
    """
    return decoder_class(name).from_options(options)


def known_decoders() -> str:
    """Return what each decoder reads, a line each."""
    return '\n'.join(f'  {name}: {decoder.reads}' for name, decoder in _decoders().items())


def recognise(
    outputs: Sequence[TensorSpec],
    labels: Sequence[str],
    size: Size,
    samples: Sequence[Outputs] = (),
    decoder: str | None = None,
) -> dict[str, Any]:
    """
    Return the options of the detection task that a network's outputs ask for.

    Shapes that the graph leaves open do not tell much: run the network once and give what came
    out (`tensors.specs_of`).

    :param size: of the network's input
    :param samples: what the network answered to pictures; some decoders need it to know whether
        values are already those of the picture
    :param decoder: its name, where the user gave one
    :raises TaskError: when none fits, or several do; lists the outputs found and the decoders
        known, and says how to name one
    """
    decoders = _decoders() if decoder is None else {decoder: decoder_class(decoder)}
    matches = dict(_matches(decoders, outputs, labels, size, samples))
    if len(matches) == 1:
        ((name, options),) = matches.items()
        return {'decoder': name, **options}
    found = f'The network takes {size} and has {described(outputs)}'
    if len(matches) > 1:
        raise TaskError(
            f'{found}, which {" and ".join(matches)} could read. Name the one to take, for '
            f'example: --decoder {next(iter(matches))}.\n'
            + '\n'.join(f'  {name}: {decoders[name].reads}' for name in matches)
        )
    if decoder is not None:
        raise TaskError(
            f'{found}, which decoder {decoder!r} cannot read with {len(labels)} labels; it reads '
            f'{decoders[decoder].reads}.{_other_labels(decoders, outputs, labels, size)}'
        )
    raise TaskError(
        f'{found}, which no decoder reads with {len(labels)} labels.'
        f'{_other_labels(decoders, outputs, labels, size)} Known are:\n{known_decoders()}\n'
        'Name one with --decoder NAME, export the network in one of these ways, or offer a '
        f'decoder by the entry points {ENTRY_POINTS!r}.'
    )


def _decoders() -> dict[str, type[Decoder]]:
    """Return all decoders, but those of other packages that cannot be loaded."""
    return {**{name: decoder_class(name) for name in DECODER_NAMES}, **dict(_OTHERS.working())}


def _matches(
    decoders: Mapping[str, type[Decoder]],
    outputs: Sequence[TensorSpec],
    labels: Sequence[str],
    size: Size,
    samples: Sequence[Outputs],
) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, decoder in decoders.items():
        options = decoder.recognise(outputs, labels, size, samples)
        if options is not None:
            yield name, options


def _other_labels(
    decoders: Mapping[str, type[Decoder]],
    outputs: Sequence[TensorSpec],
    labels: Sequence[str],
    size: Size,
) -> str:
    """Return for how many labels outputs would be read, as a sentence, or nothing."""
    lengths = {length for spec in outputs for length in spec.shape[1:] if length}
    counts = sorted({length - beside for length in lengths for beside in _VALUES_BESIDE})
    for count in counts:
        if count < 1 or count == len(labels):
            continue
        matches = dict(_matches(decoders, outputs, ('',) * count, size, ()))
        if matches:
            return (
                f' With {count} labels it would be {" or ".join(matches)}: give the labels that '
                'it was trained with, one a class.'
            )
    return ''
