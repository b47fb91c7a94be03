# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which faults are left to do, and what their rows come to."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
import time
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
    work = program('work').Work(chosen, 3, done)
    assert taken(work) == ['kill camera', 'clock paused', 'clock paused', 'clock paused']
    all_done = chaos.counted([*[row('clock paused', 1.0)] * 2, *[row('kill camera', 1.0)] * 2])
    assert taken(program('work').Work(chosen, 2, all_done)) == []


def taken(work: Any) -> list[str]:
    """Return the names of the faults that one system after the other does."""
    names = []
    while len(work):
        with work.system() as setting:
            while True:
                with work.fault(setting) as fault:
                    if fault is None:
                        break
                    names.append(fault.name)
    return names


def test_systems_side_by_side_take_different_settings_first(program: Program) -> None:
    faults = program('chaos').choose(
        'kill camera, clock paused, worker hangs', program('faults').all_faults()
    )
    work = program('work').Work(faults, 1, {})
    with work.system() as one, work.system() as two, work.system() as three:
        assert len({one, two, three}) == 3
        with work.fault(one) as fault:
            assert fault.name == 'kill camera'
        with work.system() as again:
            assert again == two


def test_what_takes_the_whole_computer_is_done_alone(program: Program) -> None:
    faults = program('chaos').choose('kill camera, all cores busy', program('faults').all_faults())
    work = program('work').Work(faults, 2, {})
    order = []
    with work.system() as setting:

        def crowd() -> None:
            with work.fault(setting) as fault:
                order.append(fault.name)
                time.sleep(0.05)
                order.append('over')

        def another() -> None:
            with work.fault(setting) as fault:
                order.append(fault.name)

        with ThreadPoolExecutor(2) as pool:
            with work.fault(setting):
                first = pool.submit(crowd)
                time.sleep(0.05)
                second = pool.submit(another)
                time.sleep(0.05)
                assert order == []  # neither together with a fault, nor overtaken by one
            first.result(), second.result()
    assert order == ['all cores busy', 'over', 'kill camera']


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
