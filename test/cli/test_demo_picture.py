# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The picture of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
import pytest

from dynamic_dnn_ros.cli.demo.picture import draw
from dynamic_dnn_ros.cli.demo.summary import summarise
from support.demo_run import demo_run

pytest.importorskip('matplotlib')


def test_picture_is_drawn(tmp_path: Path) -> None:
    run = demo_run()
    draw(run, summarise(run), tmp_path / 'run.png')
    with Image.open(tmp_path / 'run.png') as picture:
        assert picture.width >= 1200
        pixels = np.asarray(picture.convert('RGB'))
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50


def test_short_run_without_loads_or_latencies_is_drawn(tmp_path: Path) -> None:
    run = demo_run(3.0)
    run.loads = []
    run.frames = []
    draw(run, summarise(run), tmp_path / 'run.png')
    assert (tmp_path / 'run.png').stat().st_size > 10_000
