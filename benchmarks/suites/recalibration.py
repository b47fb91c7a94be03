# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Accuracy of three sub-networks with batch-norm statistics of their own, and without.

A run draws other training pictures to average statistics over.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from report import Figure, Report, figure
from torch import nn

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle, read_bundle
from dynamic_dnn_ros.networks.contract import DynamicNetwork, statistics_of
from dynamic_dnn_ros.networks.registry import network_of
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.training.batches import Normalisation, use_channels_last
from dynamic_dnn_ros.training.evaluation import accuracy, recalibrate
from dynamic_dnn_ros.training.pictures import Pictures, read_pictures
from support.shared_data import CIFAR10_TEST, shared_data, shipped_bundle

CIFAR10_TRAIN = 'cifar10_jpeg/train.tar.xz'

RUNS = 3
PICTURES = 10_000
"""To test on."""

COUNTS = (500, 2000)
"""Training pictures that statistics are averaged over; the last is what training uses."""

BUNDLE = 'statistics in the bundle'
LARGEST = "the largest's statistics"
STATES = (LARGEST, *(f'recalibrated on {count:,} pictures' for count in COUNTS), BUNDLE)


def run(runs: int) -> Report:
    """Test the fastest sub-network, one in the middle and the slowest."""
    training, test = (read_pictures(shared_data(name)) for name in (CIFAR10_TRAIN, CIFAR10_TEST))
    return compare(read_bundle(shipped_bundle()), training, test, runs)


def compare(bundle: Bundle, training: Pictures, test: Pictures, runs: int) -> Report:
    """Return the accuracies of three sub-networks of a bundle in each state, and what is lost."""
    entries = bundle.manifest.sub_networks
    chosen = [entries[0], entries[len(entries) // 2], entries[-1]]
    # They are sorted by class: of each its share.
    spread = np.linspace(0, len(test) - 1, min(PICTURES, len(test)))
    tested = test.take(spread.round().astype(np.int64))
    found: dict[tuple[str, str], list[float]] = {}
    for turn in range(runs):
        order = np.random.default_rng(turn).permutation(len(training))
        for key, value in _accuracies(bundle, chosen, training.take(order), tested):
            found.setdefault(key, []).append(value)
    figures = []
    for entry in chosen:
        figures += [
            figure(f'{entry.id}: {state}', found[entry.id, state], '0..1') for state in STATES
        ]
        figures.append(_lost(entry.id, found))
    configuration = {
        'bundle': bundle.manifest.name,
        'sub_networks': [entry.id for entry in chosen],
        'test_pictures': len(tested),
        'statistics': f"the largest's: of the whole super-network, over {COUNTS[-1]} pictures",
        'data': 'CIFAR-10 (JPEG), scaled as in training',
    }
    return Report('recalibration', 'measured', configuration, figures)


def _accuracies(
    bundle: Bundle, chosen: list[SubNetwork], training: Pictures, test: Pictures
) -> Iterator[tuple[tuple[str, str], float]]:
    """Yield sub-network and state with the accuracy; the first training pictures are averaged."""
    manifest = bundle.manifest
    preprocessing = manifest.preprocessing
    normalisation = Normalisation(preprocessing.mean, preprocessing.standard_deviation)
    weights = bundle.weights()
    network = network_of(manifest).eval()
    network.load_state(weights.network)
    _give_statistics_of_largest(network, training.take(np.arange(COUNTS[-1])), normalisation)
    for entry in chosen:
        configuration = network.configuration(entry.configuration)

        def tested(module: nn.Module, size: Size = entry.size) -> float:
            return accuracy(module, test, size, normalisation)

        module = network.extract(configuration)
        use_channels_last(module)
        yield (entry.id, LARGEST), tested(module)
        for count, state in zip(COUNTS, STATES[1:]):
            recalibrate(module, training.take(np.arange(count)), entry.size, normalisation)
            yield (entry.id, state), tested(module)
    # Last, since they go into the same layers as those of the largest.
    for entry in chosen:
        configuration = network.configuration(entry.configuration)
        network.activate(configuration)
        network.load_batch_norm_statistics(weights.batch_norm_statistics[entry.id])
        module = network.extract(configuration)
        use_channels_last(module)
        yield (entry.id, BUNDLE), accuracy(module, test, entry.size, normalisation)


def _give_statistics_of_largest(
    network: DynamicNetwork[Any], pictures: Pictures, normalisation: Normalisation
) -> None:
    """Leave the super-network as it is where the largest was recalibrated, and none else."""
    largest = network.largest()
    module = network.extract(largest)
    use_channels_last(module)
    recalibrate(module, pictures, largest.size, normalisation)
    network.activate(largest)
    network.load_batch_norm_statistics(statistics_of(module))


def _lost(identifier: str, found: dict[tuple[str, str], list[float]]) -> Figure:
    pairs = zip(found[identifier, BUNDLE], found[identifier, LARGEST])
    return figure(
        f'{identifier}: lost without statistics of its own',
        [(own - other) * 100 for own, other in pairs],
        'points',
    )


def draw(report: Report, path: Path) -> None:
    """Draw the accuracies as groups of bars."""
    from matplotlib.figure import Figure as Canvas

    rows = report.rows()
    names = report.configuration['sub_networks']
    canvas = Canvas(figsize=(8.0, 4.0), dpi=110, layout='constrained')
    axes = canvas.add_subplot()
    width = 0.8 / len(STATES)
    colours = ('#d9661f', '#a9c4e6', '#5b92cf', '#1f4f8f')
    for number, (state, colour) in enumerate(zip(STATES, colours)):
        places = np.arange(len(names)) + (number - (len(STATES) - 1) / 2) * width
        values = [rows[f'{name}: {state}'].value * 100 for name in names]
        bars = axes.bar(places, values, 0.92 * width, color=colour, label=state)
        axes.bar_label(bars, fmt='%.1f', fontsize=7, padding=2)
    axes.set_xticks(range(len(names)), names)
    axes.set_ylim(0, 105)
    axes.set_ylabel('top-1 accuracy (%)')
    axes.set_title(
        f'{report.configuration["bundle"]}: batch-norm statistics', loc='left', fontsize=12
    )
    for side in ('top', 'right'):
        axes.spines[side].set_visible(False)
    canvas.legend(loc='outside lower center', ncols=2, fontsize=8, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path, metadata={'Software': None})
