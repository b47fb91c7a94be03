# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What tests ask of prepared sub-networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
import pytest

from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.contract import Engine, PreparedSubNetwork
from dynamic_dnn_ros.engines.registry import create_engine, installed_engines
from support.images import noise


def with_graphs(bundle: Bundle) -> Bundle:
    """Return a bundle with graphs, where they can be made."""
    try:
        import onnx  # noqa: F401
    except ModuleNotFoundError:
        return bundle
    from dynamic_dnn_ros.networks.graph_export import export_into

    return export_into(bundle)


def created(name: str, bundle: Bundle) -> Engine:
    """Return an engine of one thread, or skip the test where it cannot run here."""
    if name not in installed_engines():
        pytest.skip(f'{name} is not installed')
    if name != 'torch':
        pytest.importorskip('onnx', reason='the graphs of the engine are made with it')
    return create_engine(name, bundle, threads=1)


def write_as_classified(bundle: Bundle, sub_network: str, count: int, folder: Path) -> None:
    """Write noise into folders named as a sub-network classifies it, so it is always right."""
    prepared = create_engine('torch', bundle, 1).prepare(
        bundle.manifest.sub_network(sub_network), 'cpu'
    )
    for label in bundle.manifest.labels:
        (folder / label).mkdir()
    for index in range(count):
        picture = noise(32, 32, index)
        name = bundle.manifest.labels[int(logits(prepared, picture).argmax())]
        Image.fromarray(picture).save(folder / name / f'{index:03}.png')


def logits(prepared: PreparedSubNetwork, picture: np.ndarray) -> np.ndarray:
    """Return what a classifier of a super-network says of one picture, shape (classes,)."""
    outputs = prepared.run(picture)
    assert list(outputs) == ['logits'] and len(outputs['logits']) == 1
    return outputs['logits'][0]
