# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from PIL import Image
import pytest

from support.bundles import make_bundle
from support.training import colour_pictures

Import = Callable[[str], ModuleType]


def test_three_sub_networks_in_every_state(
    benchmark: Import, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    suite = benchmark('suites.recalibration')
    monkeypatch.setattr(suite, 'COUNTS', (20, 60))
    monkeypatch.setattr(suite, 'PICTURES', 80)
    bundle = make_bundle(tmp_path / 'synthetic')
    training, test = colour_pictures(100), colour_pictures(120, seed=1)
    report = suite.compare(bundle, training, test, runs=2)
    rows = report.rows()
    assert report.configuration['test_pictures'] == 80
    for identifier in ('s0', 's1', 's2'):
        values = {state: rows[f'{identifier}: {state}'] for state in suite.STATES}
        assert all(0.0 <= row.low <= row.high <= 1.0 for row in values.values())
        # Those in the bundle are the same in each run.
        assert values[suite.BUNDLE].low == values[suite.BUNDLE].high
        lost = rows[f'{identifier}: lost without statistics of its own']
        difference = values[suite.BUNDLE].value - values[suite.LARGEST].value
        assert lost.value == pytest.approx(100 * difference, abs=1.0)
    # The last one is the largest: for it these are the same pictures and layers.
    assert rows[f's2: {suite.LARGEST}'].value == rows[f's2: {suite.STATES[2]}'].value
    assert rows[f's0: {suite.LARGEST}'].value != rows[f's0: {suite.STATES[2]}'].value
    suite.draw(report, tmp_path / 'images' / 'recalibration.png')
    with Image.open(tmp_path / 'images' / 'recalibration.png') as picture:
        assert picture.format == 'PNG'
