# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What counts as growth, and what as shedding against the order of priority."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

Program = Callable[[str], ModuleType]


def looks(growth: float, threads: int = 8) -> list[dict[str, Any]]:
    return [
        {
            'time': float(index),
            'processes': {
                'manager': {
                    'resident': 5e7,
                    'private': 4e7 + growth * (index > 10),
                    'threads': threads if index > 10 else 8,
                    'files': 30,
                }
            },
            'shared_memory': 1_000_000,
            'rates': {'/front/inference_node': 60.0},
            'switches': index,
            'lacks': [],
        }
        for index in range(20)
    ]


def test_two_megabytes_or_a_thread_more_are_said(program: Program) -> None:
    soak = program('soak')
    for rows, expected in (
        (looks(1e6), []),
        (looks(4e6), ['manager grew by 4.0 MB']),
        (looks(0.0, threads=9), ['manager has 9 threads, 8 at first']),
    ):
        summary = soak.summarised(rows)
        assert soak.problems_of(rows, summary) == expected
    assert '60.0 results and 1.00 switches a second, over 19 s.' in soak.table(rows, summary)


def test_who_has_the_lower_priority_gives_up_frames_first(program: Program) -> None:
    load = program('load')
    first = load.Share('/a/camera_1of2', 2, 30.0, 29.0, 0.0, 0.0, 'met', 's0', '')
    second = replace(first, application='/a/camera_2of2', priority=1, served=12.0, shed=0.6)
    said = replace(second, state='missed', message='the rate cannot be met')
    assert load.problems_of([first, said]) == []
    assert load.problems_of([first, second]) == [
        '/a/camera_2of2 reads met, and 60% of its frames were shed'
    ]
    turned = [replace(first, served=12.0), replace(said, served=29.0)]
    assert 'priority 2) served 12.0 Hz' in load.problems_of(turned)[0]
    assert load.problems_of([first, replace(said, served=0.0)]) == ['/a/camera_2of2 is starved']
