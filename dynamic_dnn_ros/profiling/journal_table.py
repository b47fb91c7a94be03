# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What `dynamic-dnn profile` measured, as a table that a board is calibrated with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from dynamic_dnn_ros.platforms.calibration.power_fit import MODULE
from dynamic_dnn_ros.platforms.calibration.table import DOMAINS, Row, Table, TableError, table_of
from dynamic_dnn_ros.profiling.plan import Visit, VisitKind

SUFFIX = '.jsonl'
"""Ends the name of a journal."""


def journal_table(path: Path) -> Table:
    """
    Return a row for each sub-network at each setting: the median over all rounds.

    Power is that of the whole board while it ran, where the board has a rail.

    :raises TableError: when the file cannot be read, is no journal, or holds too little
    """
    groups: dict[tuple[str, str, int], list[tuple[int, Visit]]] = {}
    for line, visit in _visits(path):
        place = visit.place
        if place.kind is VisitKind.RUN and len(visit.latencies):
            key = place.sub_network, place.processor, place.setting
            groups.setdefault(key, []).append((line, visit))
    return table_of(path.name, [_row(key, visits) for key, visits in groups.items()])


def _visits(path: Path) -> Iterator[tuple[int, Visit]]:
    """Yield the visits of a journal with their lines; one that a kill cut off is left out."""
    try:
        content = path.read_text(encoding='utf-8')
        whole = content[: content.rfind('\n') + 1].splitlines()
        rows: list[Mapping[str, Any]] = [json.loads(line) for line in whole]
        if not rows or 'format_version' not in rows[0]:
            raise ValueError('it does not begin as one')
        for line, row in enumerate(rows[1:], 2):
            yield line, Visit.from_mapping(row)
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(
            path, f'cannot be read ({error})', 'Name a file that you may read'
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TableError(
            path,
            f'is no journal of a profile ({error})',
            'Give the file that `dynamic-dnn profile` names, or a table as CSV',
        ) from error


def _row(key: tuple[str, str, int], visits: Sequence[tuple[int, Visit]]) -> Row:
    sub_network, processor, _ = key
    latency = float(np.median([np.mean(visit.latencies) for _, visit in visits]))
    watts = [visit.energy / visit.duration for _, visit in visits if visit.duration > 0.0]
    known = [value for value in watts if not math.isnan(value)]
    return Row(
        line=visits[0][0],
        network=sub_network,
        processor=processor,
        image_size=0,
        cores=0,
        clocks={
            domain: float(np.median([visit.granted[domain] for _, visit in visits]))
            for domain in DOMAINS
            if all(visit.granted.get(domain, 0.0) > 0.0 for _, visit in visits)
        },
        latency=latency,
        power={MODULE: float(np.median(known))} if known else {},
    )
