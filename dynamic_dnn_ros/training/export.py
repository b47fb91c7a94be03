# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a trained network and its chosen sub-networks to a bundle with a model card."""

from __future__ import annotations

from collections.abc import Sequence
import os
from pathlib import Path
import platform
from typing import Any

from tqdm import tqdm

from dynamic_dnn_ros.bundles.manifest import (
    Interpolation,
    Manifest,
    Preprocessing,
    Resize,
    SubNetwork,
)
from dynamic_dnn_ros.bundles.reader import Bundle, Weights
from dynamic_dnn_ros.bundles.writer import MODEL_CARD_NAME, weights_content, write_bundle
from dynamic_dnn_ros.networks.contract import DynamicNetwork
from dynamic_dnn_ros.training.batches import Normalisation
from dynamic_dnn_ros.training.configuration import TrainingConfiguration
from dynamic_dnn_ros.training.evaluation import accuracy
from dynamic_dnn_ros.training.pictures import Pictures
from dynamic_dnn_ros.training.selection import Candidate

#: Of camera frames, which are mostly many times as large as the network's input. A bilinear filter
#: blurs them, area averaging spoils frames that are hardly larger than the input; on 1,000 test
#: pictures shown at 320x240 and at their own size, this one was within 0.6 points of the best.
_INTERPOLATION = Interpolation.HAMMING


def write_trained_bundle(
    network: DynamicNetwork[Any],
    chosen: Sequence[Candidate],
    configuration: TrainingConfiguration,
    test: Pictures,
    training_report: str,
    quiet: bool = False,
) -> Bundle:
    """
    Measure the chosen sub-networks on the test pictures and write the bundle.

    :param chosen: the fastest first; they become s0, s1 and so on.
    :param training_report: a line for the model card: how long, on what.
    """
    normalisation = Normalisation(configuration.mean, configuration.standard_deviation)
    sub_networks = []
    statistics = {}
    for index, candidate in enumerate(tqdm(chosen, desc='testing', disable=quiet)):
        network.activate(candidate.configuration)
        network.load_batch_norm_statistics(candidate.statistics)
        module = network.extract(candidate.configuration)
        resolution = candidate.configuration.resolution
        identifier = f's{index}'
        statistics[identifier] = candidate.statistics
        sub_networks.append(
            SubNetwork(
                id=identifier,
                configuration=candidate.configuration.to_mapping(),
                resolution=resolution,
                accuracy=accuracy(module, test, resolution, normalisation),
                multiply_adds=candidate.multiply_adds,
                parameters=network.parameter_count(candidate.configuration),
                layers=network.layer_count(candidate.configuration),
            )
        )
    manifest = Manifest(
        name=configuration.name,
        family=configuration.family,
        layout=network.layout_mapping(),
        classes=test.classes,
        preprocessing=Preprocessing(
            resize=Resize.STRETCH,
            mean=configuration.mean,
            standard_deviation=configuration.standard_deviation,
            interpolation=_INTERPOLATION,
        ),
        sub_networks=tuple(sub_networks),
        weights='',
        profiles=(),
        files={},
        description=f'{configuration.family}, layout {configuration.layout}, '
        f'trained on {configuration.data_name}',
        accuracy_data=f'{configuration.data_name}, {len(test)} test pictures',
    )
    card = model_card(manifest, chosen, configuration, training_report)
    return write_bundle(
        configuration.output,
        manifest,
        weights_content(Weights(network.state(), statistics)),
        other_files={MODEL_CARD_NAME: card.encode()},
    )


def model_card(
    manifest: Manifest,
    chosen: Sequence[Candidate],
    configuration: TrainingConfiguration,
    training_report: str,
) -> str:
    """Return the model card: data, recipe, command, figures, limits."""
    rows = [
        f'| {entry.id} | {entry.accuracy * 100:.2f} % | {candidate.accuracy * 100:.2f} % '
        f'| {entry.multiply_adds / 1e6:.2f} M | {entry.parameters / 1e3:.0f} k | {entry.layers} '
        f'| {entry.resolution} | {candidate.latency * 1e3:.2f} ms |'
        for entry, candidate in zip(manifest.sub_networks, chosen)
    ]
    smaller = (
        'the smallest and a random one in turns'
        if configuration.sampled == 1
        else f'the smallest and {configuration.sampled - 1} random ones'
    )
    introduction = (
        f'{manifest.description}. {len(manifest.sub_networks)} sub-networks share one set of '
        'weights; each has its own batch-norm statistics.'
    )
    figures = (
        f'Test accuracy: top-1 on {manifest.accuracy_data}; no choice was made on them. '
        f'Held-out accuracy: on {configuration.held_out} training pictures that the network was '
        'not trained on, from which the sub-networks were chosen. Latency: measured, median of '
        f'one picture on one thread of {processor_name()} with PyTorch, while the machine did '
        'other work too; it serves to rank the sub-networks.'
    )
    data = (
        f'{configuration.data_name}: classes {", ".join(manifest.classes)}. Pictures of the data '
        "were scaled to the sub-network's resolution with an antialiased bilinear filter; camera "
        f'frames are (`{manifest.preprocessing.resize.value}`, '
        f'`{manifest.preprocessing.interpolation.value}`).'
    )
    recipe = (
        f'{training_report}. Sandwich rule with in-place distillation: each step trains the '
        f'largest sub-network on the labels (label smoothing {configuration.label_smoothing}) and '
        f'{smaller} on its outputs; the largest alone for the first '
        f'{configuration.largest_only:.0%}, then channels are sorted by importance. SGD with '
        f'Nesterov momentum {configuration.momentum}, peak learning rate '
        f'{configuration.learning_rate}, cosine schedule, weight decay '
        f'{configuration.weight_decay}, batches of {configuration.batch_size} a process, random '
        f'shifts by up to {configuration.padding} pixels and flips. Batch-norm statistics: '
        f'averaged over {configuration.recalibration_pictures} training pictures. Selection: '
        f'from the measured front of {configuration.candidates} sub-networks.'
    )
    header = (
        '| id | test accuracy | held-out accuracy | multiply-adds | parameters | layers '
        '| resolution | latency |'
    )
    table = [header, '| --- | --- | --- | --- | --- | --- | --- | --- |', *rows]
    sections = {
        'Sub-networks': '\n'.join(table) + f'\n\n{figures}',
        'Data': data,
        'Recipe': recipe,
        'Command': f'`dynamic-dnn train config/training/{configuration.name}.yaml`',
        'Limits': configuration.limits.strip() or 'None stated.',
    }
    text = f'# {manifest.name}\n\n{introduction}\n'
    return text + ''.join(f'\n## {title}\n\n{body}\n' for title, body in sections.items())


def processor_name() -> str:
    """Return what the operating system calls this machine's CPU, with its number of cores."""
    name = platform.machine()
    try:
        for line in Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines():
            if line.startswith('model name'):
                name = line.partition(':')[2].strip()
                break
    except OSError:
        pass
    return f'{name} ({os.cpu_count()} cores)'
