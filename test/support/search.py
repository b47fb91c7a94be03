# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A search that takes seconds, and what it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from dynamic_dnn_ros.search.cost import CostMeter
from dynamic_dnn_ros.training.configuration import TrainingConfiguration
from support.bundles import PREPROCESSING, make_bundle
from support.training import colour_pictures, training_mapping, write_folder

SETTINGS: dict[str, Any] = {
    'population': 6,
    'generations': 3,
    'sub_networks': 3,
    'turns': 2,
    'final_turns': 2,
}


def search_mapping(folder: Path, **changes: Any) -> dict[str, Any]:
    """Return a training configuration, as a user writes it, for the files of `make_search`."""
    mapping = {
        'name': 'synthetic',
        'layout': 'ofa_mbv3_32x32',
        'mean': list(PREPROCESSING.mean),
        'standard_deviation': list(PREPROCESSING.standard_deviation),
        'held_out': 60,
        'recalibration_pictures': 40,
        'phases': [{'name': 'all', 'rule': 'sandwich', 'epochs': 1, 'learning_rate': 0.1}],
        'search': SETTINGS,
    }
    return training_mapping(folder, **{**mapping, **changes})


def make_search(folder: Path, **changes: Any) -> TrainingConfiguration:
    """Write pictures, a bundle with random weights and the configuration `search.yaml`."""
    make_bundle(folder / 'bundle')
    write_folder(folder / 'train', colour_pictures(120))
    write_folder(folder / 'test', colour_pictures(40, seed=1))
    mapping = search_mapping(folder, **changes)
    (folder / 'search.yaml').write_text(yaml.safe_dump(mapping), encoding='utf-8')
    return TrainingConfiguration.from_mapping(mapping)


class MultiplyAdds(CostMeter):
    """Costs that are the same in every run."""

    name = 'work'
    unit = 'M'
    processor = 'none'
    conditions = 'counted'

    def __init__(self, network: Any) -> None:
        self.network = network
        self.measured: list[Any] = []

    def measure(self, entries, turns, quiet=False):
        self.measured += [configuration for configuration, _ in entries]
        costs = [self.network.multiply_adds(configuration) for configuration, _ in entries]
        return np.tile(np.array(costs, dtype=float), (turns, 1))
