# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The picture of a run."""

from __future__ import annotations

from dataclasses import replace
import math
from pathlib import Path

import numpy as np
from PIL import Image
import pytest

from dynamic_dnn_ros.cli.demo.picture import draw, sub_network_colours
from dynamic_dnn_ros.cli.demo.summary import summarise
from support.demo_run import demo_run

to_rgb = pytest.importorskip('matplotlib.colors').to_rgb


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


def test_a_run_of_a_bundle_whose_accuracies_nobody_knows_is_drawn(tmp_path: Path) -> None:
    run = demo_run()
    run.accuracies = dict.fromkeys(run.accuracies, math.nan)
    draw(run, summarise(run), tmp_path / 'run.png')
    assert (tmp_path / 'run.png').stat().st_size > 10_000
    assert len(set(sub_network_colours(run).values())) == len(sub_network_colours(run)) > 1


def test_neighbours_that_served_have_colours_that_differ() -> None:
    run = demo_run()
    run.accuracies.update({f'n{index}': 0.80 + 0.01 * index for index in range(12)})
    frames = [replace(run.frames[0], sub_network=name) for name in ('n0', 'n10', 'n11')]
    run.frames = frames
    colours = np.array([to_rgb(colour) for colour in sub_network_colours(run).values()])
    assert len(colours) == 3
    assert min(np.abs(np.diff(colours, axis=0)).sum(axis=1)) > 0.5
