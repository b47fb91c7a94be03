# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The frame of pictures over time."""

from __future__ import annotations

from pathlib import Path

from PIL import Image
import pytest

from dynamic_dnn_ros.cli.time_figure import shades, time_figure

pyplot = pytest.importorskip('matplotlib.pyplot')


def test_rows_share_the_time_and_are_written(tmp_path: Path) -> None:
    with time_figure(tmp_path / 'run.png', (2.0, 1.0), (6, 4)) as (_, axes):
        upper, lower = axes
        upper.set_xlim(3, 7)
        assert lower.get_xlim() == (3, 7)
    assert lower.get_xlabel() == 'time [s]'
    with Image.open(tmp_path / 'run.png') as picture:
        assert picture.size == (660, 440)


def test_nothing_is_left_of_a_figure_that_failed(tmp_path: Path) -> None:
    def fail() -> None:
        with time_figure(tmp_path / 'run.png', (1.0,), (6, 4)):
            raise ValueError('no data')

    before = pyplot.get_fignums()
    with pytest.raises(ValueError, match='no data'):
        fail()
    assert pyplot.get_fignums() == before
    assert not (tmp_path / 'run.png').exists()


def test_shades_differ() -> None:
    assert len(set(shades(12))) == 12
    assert len(shades(1)) == 1
    assert shades(0) == []
