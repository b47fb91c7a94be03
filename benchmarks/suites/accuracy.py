# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Top-1 accuracy of the running node on camera frames, against the networks without any node."""

from __future__ import annotations

from report import Report, figure

from support.accuracy import measure_accuracy
from support.offline import offline_classifier
from support.shared_data import shipped_bundle

RUNS = 1
PICTURES = 1000


def run(runs: int) -> Report:
    """Classify the pictures live and off line, with the smallest and the largest sub-network."""
    offline = offline_classifier(shipped_bundle())
    figures = []
    chosen = (offline.sub_networks[0], offline.sub_networks[-1])
    for identifier in chosen:
        found = [measure_accuracy(shipped_bundle(), identifier, PICTURES) for _ in range(runs)]
        name = f'{identifier}: '
        figures += [
            figure(f'{name}live', [one.live for one in found], '0..1'),
            figure(f'{name}off line', [one.offline for one in found], '0..1'),
            figure(
                f'{name}difference',
                [abs(one.live - one.offline) * 100 for one in found],
                'points',
                '<= 0.5',
            ),
            figure(
                f'{name}off line on the pictures before they were scaled to frames',
                [one.original for one in found],
                '0..1',
            ),
            figure(
                f'{name}frames classified differently',
                [one.different * 100 for one in found],
                '%',
            ),
            figure(f'{name}frames replaced', [one.replaced for one in found], 'frames', '<= 0'),
        ]
    configuration = {
        'pictures': PICTURES,
        'data': 'CIFAR-10 (JPEG), test, the first of each class in turn',
        'frames': '320x240 bgr8, the next one after the result of the last',
        'bundle': offline.bundle.manifest.name,
        'sub_networks': list(chosen),
    }
    return Report('accuracy', 'measured', configuration, figures)
