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

from dynamic_dnn_ros.cli.demo import picture
from dynamic_dnn_ros.cli.demo.page import as_markdown
from dynamic_dnn_ros.cli.demo.picture import draw, sub_network_colours
from dynamic_dnn_ros.cli.demo.summary import summarise
from support.demo_run import demo_run

to_rgb = pytest.importorskip('matplotlib.colors').to_rgb
figure = pytest.importorskip('matplotlib.figure')


def test_picture_is_drawn(tmp_path: Path) -> None:
    run = demo_run()
    draw(run, summarise(run), tmp_path / 'run.png')
    with Image.open(tmp_path / 'run.png') as drawn:
        assert drawn.width >= 1200
        pixels = np.asarray(drawn.convert('RGB'))
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50


def test_exits_have_a_row_of_their_own(tmp_path: Path) -> None:
    run = demo_run(6.0)
    draw(run, summarise(run), tmp_path / 'plain.png')
    run.stages = {'s6': ('early', 'last')}
    run.frames = [
        replace(frame, exit_stage=('early', 'last')[index % 4 == 0])
        if frame.sub_network == 's6'
        else frame
        for index, frame in enumerate(run.frames)
    ]
    draw(run, summarise(run), tmp_path / 'exits.png')
    drawn = [Image.open(tmp_path / name).convert('RGB') for name in ('plain.png', 'exits.png')]
    plain, exits = map(np.asarray, drawn)
    assert (plain != exits).any(axis=(1, 2)).mean() > 0.5
    (first, *_) = summarise(run)
    left = first.exits['s6']
    assert left['early'] + left['last'] == first.frames and left['early'] > left['last']
    assert f'({left["early"] / first.frames:.0%} leave at early, ' in as_markdown(run, [first])
    assert not any(phase.exits for phase in summarise(demo_run(6.0)))


def test_short_run_without_loads_or_latencies_is_drawn(tmp_path: Path) -> None:
    run = demo_run(3.0)
    run.loads = []
    run.frames = []
    draw(run, summarise(run), tmp_path / 'run.png')
    assert (tmp_path / 'run.png').stat().st_size > 10_000


def test_what_a_computer_cannot_read_is_said_in_place_of_an_empty_row() -> None:
    run = demo_run(3.0)
    for row in (picture._draw_frequencies, picture._draw_power):
        said = []
        for loads in (run.loads, []):
            axis = figure.Figure().add_subplot()
            row(axis, replace(run, loads=loads))
            said.append([text.get_text() for text in axis.texts])
        assert said == [[], ['cannot be read here']]


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


def test_a_sub_network_has_one_colour_whatever_else_served() -> None:
    run = demo_run()
    whole = sub_network_colours(run)
    assert len(whole) > 2
    for name, colour in whole.items():
        alone = replace(run, frames=[one for one in run.frames if one.sub_network == name])
        assert sub_network_colours(alone) == {name: colour}
