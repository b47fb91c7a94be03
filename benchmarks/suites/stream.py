# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Camera frames of 640x480 at 30 Hz for a minute, camera and node in separate processes.

The DDS profile that ships and the default transports take turns; both with 200 switches.
"""

from __future__ import annotations

from pathlib import Path
import tempfile

import numpy as np
from report import Figure, Report, figure

from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.msg import InferenceStatus
from support.bundles import make_bundle
from support.shared_data import REPOSITORY, SHIPPED_BUNDLE
from support.stream import Stream, run_stream

RUNS = 3
RATE = 30.0
FRAMES = 1800
SWITCHES = 200
DEFAULT_TRANSPORTS = {
    'FASTRTPS_DEFAULT_PROFILES_FILE': None,
    'FASTDDS_DEFAULT_PROFILES_FILE': None,
}
STAGES = ('transport', 'waiting', 'preprocessing', 'inference', 'total')


def run(runs: int) -> Report:
    """Run both transports in turn."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = REPOSITORY / 'models' / SHIPPED_BUNDLE
        if not (bundle / 'manifest.json').exists():
            bundle = make_bundle(Path(folder) / 'synthetic').folder
        identifiers = [entry.id for entry in read_bundle(bundle).manifest.sub_networks]
        shipped: list[Stream] = []
        default: list[Stream] = []
        for _ in range(runs):
            shipped.append(run_stream(bundle, identifiers, FRAMES, RATE, SWITCHES))
            default.append(
                run_stream(bundle, identifiers, FRAMES, RATE, SWITCHES, DEFAULT_TRANSPORTS)
            )
    figures = [
        *_figures('shipped profile', shipped, '<= 0'),
        *_figures('defaults', default, None),
        *(
            figure(
                f'defaults against shipped profile: {stage} latency of what arrived, median',
                [
                    np.nanmedian(other.stage(stage)) / np.nanmedian(one.stage(stage))
                    for one, other in zip(shipped, default)
                ],
                'ratio',
            )
            for stage in ('transport', 'total')
        ),
    ]
    configuration = {
        'frames': FRAMES,
        'rate': RATE,
        'image': '640x480 bgr8',
        'switches': SWITCHES,
        'bundle': bundle.name,
        'sub_networks': identifiers,
        'camera': 'reliable, keep last 5',
        'node': 'best effort, keep last 5',
    }
    return Report('stream', 'measured', configuration, figures)


def _figures(which: str, streams: list[Stream], none: str | None) -> list[Figure]:
    rows = [
        figure(
            f'{which}: frames lost in transport, of {FRAMES}',
            [stream.lost_in_transport for stream in streams],
            'frames',
            none,
        ),
        figure(
            f'{which}: frames replaced by a newer one',
            [stream.statuses[-1].replaced for stream in streams],
            'frames',
        ),
        figure(
            f'{which}: frames replaced around the {SWITCHES} switches',
            [stream.replaced_at_switches() for stream in streams],
            'frames',
            none,
        ),
        figure(
            f'{which}: switches acknowledged as applied, of {SWITCHES}',
            [
                sum(
                    answer.switch_result == InferenceStatus.SWITCH_APPLIED
                    for answer in stream.answers
                )
                for stream in streams
            ],
            'switches',
            f'>= {SWITCHES}' if none else None,
        ),
        figure(
            f'{which}: switch sent to acknowledgement received, median',
            [np.median(stream.answer_times) for stream in streams],
            's',
        ),
    ]
    for stage in STAGES:
        for name, quantile in (('median', 0.5), ('95 %', 0.95)):
            values = [np.nanquantile(stream.stage(stage), quantile) for stream in streams]
            rows.append(figure(f'{which}: {stage} latency, {name}', values, 's'))
    return rows
