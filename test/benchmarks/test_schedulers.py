# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

import pytest

Import = Callable[[str], ModuleType]


def test_schedulers_are_compared_cell_by_cell(
    benchmark: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = benchmark('suites.schedulers')
    whole = suite._workload
    monkeypatch.setattr(suite, 'MULTIPLES', (10.0, 25.0))
    monkeypatch.setattr(suite, 'RATES', {'attention_requests': (30.0,), 'cnn_requests': (3.0,)})
    monkeypatch.setattr(suite, 'SWEPT', dict(suite.RATES))
    monkeypatch.setattr(suite, '_workload', lambda name: replace(whole(name), count=25))
    report = suite.run(2)
    assert len(report.figures) == 5  # as many as the page has room for
    cells = report.configuration['cells']
    assert len(cells) == 6
    for row in cells:
        assert set(row['late']) == set(row['turnaround']) >= {'dysta', 'oracle', suite.EQUAL}
    # One run of a scheduler that looks at no deadline tells of all multiples.
    near, far = cells[0], cells[2]
    assert (near['multiple'], far['multiple']) == (10.0, 25.0)
    assert near['turnaround']['prema'] == far['turnaround']['prema']
    assert near['late']['prema'] >= far['late']['prema']
    worse = [
        row
        for row in cells
        if row['late'][suite.EQUAL] > row['late']['dysta']
        or row['turnaround'][suite.EQUAL] > row['turnaround']['dysta']
    ]
    assert report.figures[-1].value == len(worse)
