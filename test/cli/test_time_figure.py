# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The frame of pictures over time."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from PIL import Image
import pytest

from dynamic_dnn_ros.cli.time_figure import event_levels, time_figure
from dynamic_dnn_ros.palette import SUB_NETWORKS, sub_network_colours

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


def test_words_of_events_do_not_lie_over_each_other() -> None:
    events = [(0.0, 'a' * 20), (1.0, 'b' * 20), (2.0, 'c'), (50.0, 'd')]
    assert event_levels(events, 100.0) == [0, 1, 2, 0]
    assert event_levels([], 100.0) == []


def test_neighbouring_sub_networks_have_colours_that_differ() -> None:
    def brightness(colour: str) -> float:
        red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        return 0.3 * red + 0.59 * green + 0.11 * blue

    count = len(SUB_NETWORKS)
    assert count >= 20
    colours = list(sub_network_colours(f's{i}' for i in range(count + 1)).values())
    assert len(set(colours)) == count
    for one, other in pairwise(colours):
        assert abs(brightness(one) - brightness(other)) > 20
