# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which faults are left to do, and what their rows come to."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

Program = Callable[[str], ModuleType]


def row(fault: str, back: float | None, **fields: Any) -> dict[str, Any]:
    return {
        'fault': fault,
        'back': back,
        'after_end': back,
        'lost': 3,
        'clocks_unheld': 0.2,
        'left': 0,
        **fields,
    }


def test_every_fault_has_a_name_of_its_own(program: Program) -> None:
    names = [fault.name for fault in program('faults').all_faults()]
    assert len(set(names)) == len(names) >= 40
    assert {'kill inference', 'stop manager and guard', 'clock paused'} <= set(names)


def test_a_run_that_was_interrupted_goes_on_where_it_was(program: Program) -> None:
    chaos, faults = program('chaos'), program('faults').all_faults()
    chosen = chaos.choose('kill camera, clock paused', faults)
    done = chaos.counted([row('kill camera', 1.0), row('kill camera', 1.0)])
    work = chaos.left_to_do(chosen, 3, done)
    assert [[fault.name for fault in left] for _, left in work] == [
        ['kill camera'],
        ['clock paused'] * 3,
    ]
    assert chaos.left_to_do(chosen, 2, chaos.counted([row('clock paused', 1.0)] * 2 + [
        row('kill camera', 1.0)] * 2)) == []  # fmt: skip


def test_an_unknown_fault_is_named_with_those_that_there_are(program: Program) -> None:
    chaos, faults = program('chaos'), program('faults').all_faults()
    with pytest.raises(ValueError, match='no such fault: earthquake. There are: kill'):
        chaos.choose('earthquake', faults)


def test_a_fault_that_needs_a_person_fails_the_run(program: Program) -> None:
    chaos = program('chaos')
    rows = [row('a', 1.0), row('a', 3.0), row('b', 2.0), row('b', None), row('c', 1.0, left=1)]
    rows.append(row('d', 1.0, clocks_unheld=19.0))
    summary = chaos.summarised(rows, ['a', 'b', 'c', 'd', 'never done'])
    assert [one['fault'] for one in summary] == ['a', 'b', 'c', 'd']
    assert (summary[0]['back_median'], summary[0]['back_largest']) == (2.0, 3.0)
    assert chaos.failed(summary) == ['b', 'c', 'd']
    assert '| b | 2 | 2.0 s, 2.0 s; 1 of 2 not within 60 s |' in chaos.table(summary)
    grouped = chaos.document(rows, {'a': 'A', 'b': 'A', 'c': 'C', 'd': 'C'})
    assert '| A | 4 | 2.0 s, 3.0 s; 1 of 4 not within 60 s | 3, 3 | 0.2 s | 0 |' in grouped
