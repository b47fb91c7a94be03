# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Put graphs in int8 into a bundle, those that are near enough to the sub-networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
import random

from dynamic_dnn_ros.bundles.graphs import graph_name
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.bundles.writer import rewrite_bundle
from dynamic_dnn_ros.cli.bundle.check import measure_accuracies
from dynamic_dnn_ros.cli.bundle.labelled_pictures import DataError, LabelledPictures
from dynamic_dnn_ros.engines.contract import EngineError, Picture, Precision
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.engines.verification import VerifyingEngine
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.pictures.scaling import CompressedPicture, PictureError, fitted

#: Pictures to calibrate with, drawn from those given; half of them where there are fewer.
CALIBRATION_PICTURES = 200

#: Pictures below which neither a calibration nor an accuracy means anything.
LEAST_PICTURES = 20


def quantise(bundle: Bundle, data: Path, say: Callable[[str], None] = print) -> Bundle:
    """
    Quantise all sub-networks, measure them, and write those that answer as recorded.

    Accuracy is measured on the pictures that were not calibrated with.

    :param data: folder or tar archive with labelled pictures
    :return: the bundle as it is then
    :raises BundleError: when the bundle does not fit or cannot be written
    :raises DataError: when the pictures cannot be used
    :raises EngineError: when no sub-network in int8 answers as recorded; nothing is written
    :raises ExportError: when a sub-network cannot be exported
    :raises ModuleNotFoundError: when `onnx` or `onnxruntime` is not installed
    """
    # Here, since it needs PyTorch.
    from dynamic_dnn_ros.networks.quantisation import quantised_graphs

    manifest = bundle.manifest
    pictures = LabelledPictures.find(data)
    pictures.check_classes(manifest.labels)
    if len(pictures) < LEAST_PICTURES:
        raise DataError(
            f'{data} holds {len(pictures)} pictures: at least {LEAST_PICTURES} are needed, some '
            'to calibrate with and others to measure accuracy on'
        )
    # The same pictures each time, whatever their order.
    count = min(CALIBRATION_PICTURES, len(pictures) // 2)
    drawn = set(random.Random(0).sample(sorted(pictures.names), count))
    calibration = f'{count} pictures of {data.name}'
    inputs = _inputs(bundle, pictures.some(drawn))
    files = {
        graph_name(manifest.sub_network(graph.sub_network), quantised=True): graph.content()
        for graph in quantised_graphs(bundle, inputs, calibration)
    }
    candidate = replace(bundle, other_files={**bundle.other_files, **files})
    engine = VerifyingEngine(
        create_engine('onnxruntime', candidate, 1, Precision.INT8),
        bundle.responses,
        manifest.make_task(),
    )
    prepared = []
    for entry in manifest.sub_networks:
        try:
            prepared.append(engine.prepare(entry, engine.processors[0]))
        except EngineError as error:
            say(f'{entry.id}: not written in int8. {error}')
            del files[graph_name(entry, quantised=True)]
    if not prepared:
        raise EngineError(
            f'no sub-network of {manifest.name!r} can be served in int8. Nothing was written; ask '
            "for 'float32' or 'bfloat16'."
        )
    others = pictures.some(set(pictures.names) - drawn)
    for name, accuracy in measure_accuracies(bundle, prepared, others).items():
        expected = manifest.sub_network(name).accuracy
        say(
            f'{name}: accuracy {accuracy:.2%} in int8 on {len(others)} pictures of {data.name}, '
            f'{expected:.2%} in the bundle'
        )
    written = rewrite_bundle(bundle, other_files=files)
    size = sum(map(len, files.values()))
    say(
        f'{written.folder}: {len(files)} graphs in int8, {size / 1e6:.2f} MB together, '
        f'calibrated with {calibration}'
    )
    return written


def _inputs(bundle: Bundle, pictures: LabelledPictures) -> dict[Size, list[Picture]]:
    """Return pictures as sub-networks get them, by size."""
    preprocessing = bundle.manifest.preprocessing
    found: dict[Size, list[Picture]] = {entry.size: [] for entry in bundle.manifest.sub_networks}
    for name, content in pictures:
        picture = CompressedPicture(content)
        for size, made in found.items():
            try:
                made.append(fitted(picture, size, preprocessing)[0])
            except PictureError as error:
                raise DataError(
                    f'{pictures.path}: picture {name} cannot be read '
                    f'({error.__cause__ or error}): replace or remove it'
                ) from error
    return found
