# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The accuracy of imported models on labelled pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dynamic_dnn_ros.bundles.manifest import Manifest
from dynamic_dnn_ros.engines.contract import Engine
from dynamic_dnn_ros.profiling.accuracy import measure_accuracies, open_labelled


def measured(
    engine: Engine, manifest: Manifest, data: Path, quiet: bool, say: Callable[[str], None]
) -> tuple[dict[str, float], int]:
    """
    Return the accuracy of each sub-network, 0..1, and the number of pictures.

    :param engine: of a bundle with this manifest
    :raises DataError: when the pictures cannot be read, or their labels do not fit
    :raises EngineError: when a sub-network cannot be run
    """
    pictures = open_labelled(data, manifest, say)
    prepared = [engine.prepare(entry, 'cpu') for entry in manifest.sub_networks]
    try:
        found = measure_accuracies(
            prepared,
            manifest.make_task(),
            manifest.labels,
            manifest.preprocessing,
            pictures,
            quiet=quiet or None,
        )
    finally:
        for each in prepared:
            each.close()
    if not any(found.values()):
        say(
            'accuracy: 0 of every sub-network: nothing right was found in any picture. Most often '
            'the labels have another order, or --mean, --std, --channels or --resize are not '
            'those of the training'
        )
    return found, len(pictures)
