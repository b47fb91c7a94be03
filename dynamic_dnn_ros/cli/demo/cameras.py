# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A row for each of several cameras: what it was asked for, what became of its frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from dynamic_dnn_ros.cli.demo.run_record import RunRecord
from dynamic_dnn_ros.cli.demo.summary import PhaseSummary, latency_quantile, summarise
from dynamic_dnn_ros.management.words import quantity

CAMERA_COLUMNS = (
    'camera',
    'target',
    'result',
    'sub-networks',
    'p50 [ms]',
    'p95 [ms]',
    'p99 [ms]',
    'served',
    'replaced',
    'dropped',
)


def camera_rows(run: RunRecord) -> list[list[str]]:
    """Return the cells of each camera's row, under `CAMERA_COLUMNS`; none where there is one."""
    if not run.others:
        return []
    frames = [frame for frame in run.frames if run.phase_at(frame.time) is not None]
    served = dict.fromkeys(frame.sub_network for frame in frames)
    latencies = [latency_quantile(frames, quantile) for quantile in (0.5, 0.95, 0.99)]
    rows = [[_name(run), 'see above', '–', ', '.join(served), *_figures(latencies), *_counts(run)]]
    for other in run.others:
        for phase in summarise(other):
            rows.append(
                [
                    _name(other),
                    phase.target,
                    phase.verdict,
                    ', '.join(phase.sub_networks) or '–',
                    *_figures([phase.p50, phase.p95, phase.p99]),
                    *_counts(other),
                ]
            )
    return rows


def cameras_as_data(run: RunRecord) -> list[Mapping[str, Any]]:
    """Return what is known of the cameras beside the first one, for JSON."""
    phases: list[tuple[RunRecord, PhaseSummary]] = [
        (other, phase) for other in run.others for phase in summarise(other)
    ]
    return [
        {'application': other.application, 'counts': asdict(other.counts), **asdict(phase)}
        for other, phase in phases
    ]


def _name(run: RunRecord) -> str:
    return run.application.rpartition('/')[2]


def _figures(latencies: list[float]) -> list[str]:
    return [quantity(latency * 1e3, '.1f') for latency in latencies]


def _counts(run: RunRecord) -> list[str]:
    counts = run.counts
    return [str(counts.served), str(counts.replaced), str(counts.dropped)]
