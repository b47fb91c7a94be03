# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The summary of a run as a page in markdown, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
import json
import math
import platform
from typing import Any

from dynamic_dnn_ros.cli.demo.cameras import CAMERA_COLUMNS, camera_rows, cameras_as_data
from dynamic_dnn_ros.cli.demo.run_record import RunRecord
from dynamic_dnn_ros.cli.demo.summary import (
    PhaseSummary,
    caution,
    cells,
    columns,
    failures,
    notes,
    platform_text,
)


def as_json(run: RunRecord, phases: Sequence[PhaseSummary]) -> str:
    """Return the summary as JSON; what is not known is null."""
    content = {
        'kind': 'simulated' if run.simulated else 'measured',
        'extrapolated': run.extrapolated,
        'platform': run.platform,
        'host': {'machine': platform.machine(), 'system': platform.platform()},
        'application': run.application,
        'bundle': run.bundle,
        'engine': run.engine,
        'source': run.source,
        'frames': asdict(run.counts),
        'switches': len(run.switches),
        'failures': failures(run, phases),
        'phases': [asdict(phase) for phase in phases],
        'other_cameras': cameras_as_data(run),
    }
    return json.dumps(_without_nan(content), indent=2, allow_nan=False) + '\n'


def as_markdown(run: RunRecord, phases: Sequence[PhaseSummary]) -> str:
    """Return the summary as a page."""
    lines = [
        '# Run of the demo',
        '',
        f'- Platform: {platform_text(run)}',
        f'- Application: `{run.application}` serves bundle `{run.bundle}` ({run.engine})',
        f'- Frames: {_counts_text(run)}',
        f'- Switches of the sub-network: {len(run.switches)}',
        '',
        *([f'**{said}**', ''] if (said := caution(phases)) else []),
        *_table(columns(run), map(cells, phases)),
        '',
        *(f'{note}\n' for note in notes(run, phases)),
    ]
    rows = camera_rows(run)
    if rows:
        lines += ['## Cameras', '', *_table(CAMERA_COLUMNS, rows), '']
    problems = failures(run, phases)
    if problems:
        lines += ['**The run failed:**', '', *(f'- {problem}' for problem in problems)]
    return '\n'.join(lines).rstrip() + '\n'


def _counts_text(run: RunRecord) -> str:
    counts = run.counts
    return (
        f'{counts.received} received from {run.source}, {counts.served} served, '
        f'{counts.replaced} replaced by newer ones, {counts.rejected} rejected'
    )


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [_row(columns), _row(['---'] * len(columns)), *map(_row, rows)]


def _row(texts: Sequence[str]) -> str:
    return f'| {" | ".join(texts)} |'


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_without_nan(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
