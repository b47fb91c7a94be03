# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from PIL import Image
import pytest

from dynamic_dnn_ros.datasets.registry import open_dataset
from support.bundles import make_bundle
from support.training import colour_pictures, write_folder

Import = Callable[[str], ModuleType]


def test_cascades_are_timed_against_their_parts(
    benchmark: Import, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    suite = benchmark('suites.adaptive')
    # The networks are not trained: any answer will do.
    monkeypatch.setattr(suite, 'PROMISES', {0.9: 1.0})
    monkeypatch.setattr(suite, 'ENGINE', 'torch')
    monkeypatch.setattr(suite, 'OVERHEAD_PICTURES', 5)
    # These networks were never trained: they know nothing of any picture.
    monkeypatch.setattr('dynamic_dnn_ros.exits.cascades.LEAST_FIT', 0.0)
    bundle = make_bundle(tmp_path / 'synthetic')
    data = write_folder(tmp_path / 'data', colour_pictures(120))
    pictures = open_dataset(data, 'classification', bundle.manifest.labels)
    report = suite.compare(bundle, pictures, pictures, runs=1)
    rows = report.rows()
    (made,) = report.configuration['cascades'].values()
    assert made['stages'][-1] == 's2'
    title = f'cascade {" > ".join(made["stages"])}, promised 90 points'
    against = rows[f'{title}: throughput against s2 alone']
    assert against.low <= against.value <= against.high
    below, missed = rows[f'{title}: below s2'], rows[f'{title}: missed its promise by']
    assert missed.value == pytest.approx(below.value - 90.0, abs=0.01)
    assert 0.0 <= rows['s2 alone: accuracy'].value <= 1.0
    suite.draw(report, tmp_path / 'adaptive.png')
    with Image.open(tmp_path / 'adaptive.png') as picture:
        assert picture.format == 'PNG'
