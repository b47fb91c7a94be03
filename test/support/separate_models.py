# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A small bundle of separate models with random weights, without an import."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import math
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from dynamic_dnn_ros.bundles.manifest import (
    AccuracySource,
    Manifest,
    SeparateModels,
    SubNetwork,
    TaskChoice,
)
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.verification import write_recorded_bundle
from dynamic_dnn_ros.pictures.input import Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Size
from support.onnx_models import model_of

LABELS = ('crane', 'crane', 'dog')
FREE = ('N', 'height', 'width', 3)
PREPROCESSING = Preprocessing(Resize.LETTERBOX, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def picture_classifier(
    seed: int = 0,
    shape: Sequence[int | str] = FREE,
    width: int = 8,
    factor: float = 1.0,
    opset: int = 17,
) -> bytes:
    """
    Return a classifier of three labels as a bundle has it: pictures, uint8, to logits.

    :param width: channels, by which models differ in cost
    :param factor: of the logits; not a number for a model that gives no numbers
    """
    random = np.random.default_rng(seed)
    weights = {
        'filters': random.normal(size=(width, 3, 3, 3)).astype(np.float32) / 255,
        'linear': factor * random.normal(size=(width, len(LABELS))).astype(np.float32),
    }
    nodes = [
        helper.make_node('Cast', ['pictures'], ['real'], to=TensorProto.FLOAT),
        helper.make_node('Transpose', ['real'], ['planes'], perm=[0, 3, 1, 2]),
        helper.make_node('Conv', ['planes', 'filters'], ['maps'], pads=[1] * 4, strides=[2, 2]),
        helper.make_node('Relu', ['maps'], ['active']),
        helper.make_node('GlobalAveragePool', ['active'], ['mean']),
        helper.make_node('Flatten', ['mean'], ['flat']),
        helper.make_node('MatMul', ['flat', 'linear'], ['scores']),
    ]
    return model_of(
        nodes,
        [('pictures', TensorProto.UINT8, shape)],
        [('scores', TensorProto.FLOAT, [shape[0], len(LABELS)])],
        weights,
        opset,
    ).SerializeToString()


def entry(identifier: str, model: str, size: Size, **changes: Any) -> SubNetwork:
    """Return what a manifest says of a model at a size; figures are made up."""
    values: dict[str, Any] = {
        'id': identifier,
        'configuration': {'model': model},
        'size': size,
        'accuracy': math.nan,
        'multiply_adds': size.height * size.width * 27,
        'parameters': 240,
        'layers': 2,
        'accuracy_source': AccuracySource.GIVEN,
    }
    return SubNetwork(**{**values, **changes})


def models_manifest(
    models: Sequence[str], entries: Sequence[SubNetwork], task: TaskChoice | None = None
) -> Manifest:
    """Return the manifest of a bundle of separate models, before it is written."""
    return Manifest(
        name='models',
        source=SeparateModels(dict.fromkeys(models, '')),
        labels=LABELS,
        preprocessing=PREPROCESSING,
        sub_networks=tuple(entries),
        task=task or TaskChoice('classification'),
        description='Random weights, for tests.',
    )


def make_models_bundle(
    folder: Path,
    content: Mapping[str, bytes] | None = None,
    entries: Sequence[SubNetwork] | None = None,
    engine_name: str = '',
) -> Bundle:
    """
    Write a bundle of two models: ``small`` at two sizes, and ``large`` at one that is fixed.

    :param content: others, with their `entries`
    :raises BundleError, EngineError: as `write_recorded_bundle`
    """
    content = content or {
        'small': picture_classifier(0),
        'large': picture_classifier(1, (1, 48, 64, 3), width=16),
    }
    entries = entries or (
        entry('small_24', 'small', Size(24, 40), accuracy=0.5),
        entry('small_48', 'small', Size(48, 64), accuracy=0.6),
        entry('large', 'large', Size(48, 64), accuracy=0.7),
    )
    manifest = models_manifest(list(content), entries)
    return write_recorded_bundle(folder, manifest, content, engine_name=engine_name)
