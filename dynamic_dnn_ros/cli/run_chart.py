# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A run over time: latency against target, sub-network, clocks, power, temperature."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
import math
from pathlib import Path
from typing import Any, BinaryIO

from dynamic_dnn_ros.cli.report.record import ApplicationRecord, Frame, RunRecord
from dynamic_dnn_ros.cli.time_figure import draw_targets, event_levels, mark_events, time_figure
from dynamic_dnn_ros.palette import (
    DOMAINS,
    INFEASIBLE,
    MET,
    MISSED,
    NEUTRAL,
    PENDING,
    RAILS,
    TEMPERATURE,
    by_accuracy,
    colours_by_accuracy,
)
from dynamic_dnn_ros.simulation.figures import ACCURACY_TOLERANCE

MANY = 2_000
"""Frames from which on dots are drawn as pixels, which take less room in a page."""

STATES = {'met': MET, 'missed': MISSED, 'infeasible': INFEASIBLE, 'pending': PENDING}

_HIGHEST = 1.12
_STRIP = (0.0, 0.035)
_NAMES_SHOWN = 14


@dataclass
class Scales:
    """
    What the axes of runs that are looked at side by side have in common.

    By application, `latency` has the highest one shown, ms, `sub_networks` the accuracies of all
    that served, the lowest first, and `colours` those of all sub-networks of the bundle.
    """

    duration: float = 1.0
    clocks: float = 0.0
    power: float = 0.0
    temperatures: tuple[float, float] = (math.inf, -math.inf)
    latency: dict[str, float] = field(default_factory=dict)
    sub_networks: dict[str, dict[str, float]] = field(default_factory=dict)
    colours: dict[str, dict[str, str]] = field(default_factory=dict)


def scales_of(runs: Sequence[RunRecord]) -> Scales:
    """Return scales into which all runs fit; few frames that are far slower are cut off."""
    scales = Scales(duration=max([1e-3, *(run.duration for run in runs)]))
    accuracies: dict[str, dict[str, float]] = {}
    served: dict[str, set[str]] = {}
    for run in runs:
        for name, one in run.applications.items():
            shown = sorted(frame.latency for frame in one.frames if not frame.overrun)
            asked = [frame.limit for frame in one.frames]
            high = [shown[int(0.995 * (len(shown) - 1))]] if shown else []
            top = max([*high, *asked, 1e-3]) * 1e3
            scales.latency[name] = max(top, scales.latency.get(name, 0.0))
            used = {frame.sub_network for frame in one.frames}
            of = accuracies.setdefault(name, {})
            of.update({each: math.nan for each in used if each not in of})
            of.update(one.accuracies)
            served.setdefault(name, set()).update(used)
        for sample in run.samples:
            clocks = [value for value in sample.clocks.values() if math.isfinite(value)]
            scales.clocks = max([scales.clocks, *clocks])
            if math.isfinite(sample.power):
                scales.power = max(scales.power, sample.power)
            if math.isfinite(sample.temperature):
                low, high_ = scales.temperatures
                scales.temperatures = (
                    min(low, sample.temperature),
                    max(high_, sample.temperature),
                )
    for name, of in accuracies.items():
        scales.colours[name] = colours_by_accuracy(of)
        order = [each for each in by_accuracy(of) if each in served[name]]
        scales.sub_networks[name] = {each: of[each] for each in order}
    return scales


def draw_run(
    run: RunRecord,
    path: Path | BinaryIO,
    scales: Scales | None = None,
    width: float = 12.0,
    title: bool = True,
) -> None:
    """
    Draw a run: two rows for each application, then clocks, power, temperature where known.

    :param path: of the PNG to write, or an open file for an SVG
    :param scales: those of several runs; None: the run's own
    :param width: of the picture, inches
    :param title: whether to write the name above
    """
    scales = scales or scales_of([run])
    board = [
        (draw, height)
        for draw, height, known in (
            (_draw_clocks, 1.1, scales.clocks > 0),
            (_draw_power, 0.9, scales.power > 0),
            (_draw_temperature, 0.8, scales.temperatures[0] < math.inf),
        )
        if known
    ]
    heights: list[float] = []
    for name in scales.latency:
        heights += [2.0, 0.45 + 0.16 * min(_NAMES_SHOWN, len(scales.sub_networks[name]))]
    heights += [height for _, height in board]
    if not heights:
        heights = [1.0]
    placed = event_levels(run.events, scales.duration * 12 / width)
    above = 0.30 + 0.34 * title + 0.15 * (1 + max(placed, default=-1))
    size = (width, 1.02 * sum(heights) + above + 0.55 + 0.12 * len(heights))
    with time_figure(path, heights, size) as (figure, axes):
        rows: list[Any] = list(axes) if len(heights) > 1 else [axes]
        for place, name in enumerate(scales.latency):
            one = run.applications.get(name)
            colours = scales.colours[name]
            upper, lower = rows[2 * place : 2 * place + 2]
            _draw_latency(upper, name, one, colours, scales, run, width)
            _draw_sub_networks(lower, one, scales.sub_networks[name], colours, run)
        for (draw, _), axis in zip(board, rows[2 * len(scales.latency) :]):
            draw(axis, run, scales)
        rows[-1].set_xlim(0, scales.duration)
        mark_events(rows, run.events, placed, scales.duration)
        if title:
            words = 'simulated' if run.simulated else 'measured'
            figure.text(
                0.01, 1 - 0.1 / size[1], run.name, fontweight='bold', fontsize=11, va='top'
            )
            figure.text(
                0.99, 1 - 0.1 / size[1], words, color=NEUTRAL, fontsize=9, ha='right', va='top'
            )
        figure.subplots_adjust(
            left=1.18 / width,
            right=1 - 0.12 / width,
            top=1 - above / size[1],
            bottom=0.48 / size[1],
            hspace=0.28,
        )
        figure.align_ylabels(rows)


def _draw_latency(
    axis: Any,
    name: str,
    one: ApplicationRecord | None,
    colours: dict[str, str],
    scales: Scales,
    run: RunRecord,
    width: float,
) -> None:
    title = name if one is not None else f'{name}: not in this run'
    axis.set_title(title, loc='left', fontsize=9, color=NEUTRAL)
    axis.set_ylabel('latency\n[ms]')
    if one is None:
        return
    top = _HIGHEST * scales.latency[name]
    axis.set_ylim(0, top)
    pixels = len(one.frames) > MANY
    shown = [frame for frame in one.frames if not frame.overrun]
    inside = [frame for frame in shown if frame.latency * 1e3 <= top]
    for each in scales.sub_networks[name]:
        _dots(axis, [f for f in inside if f.sub_network == each], colours[each], 9, pixels)
    late = [frame for frame in inside if 0 < frame.limit < frame.latency]
    axis.scatter(
        [frame.time for frame in late],
        [frame.latency * 1e3 for frame in late],
        s=20,
        facecolors='none',
        edgecolors=MISSED,
        linewidths=0.7,
        rasterized=pixels,
        zorder=3,
    )
    beyond = [frame for frame in shown if frame.latency * 1e3 > top]
    if beyond:
        axis.scatter(
            [frame.time for frame in beyond],
            [0.985 * top] * len(beyond),
            s=16,
            marker='^',
            color=MISSED,
            linewidths=0,
            rasterized=pixels,
        )
    asked = [
        (change.target.latency * 1e3, change.time, end)
        for change, end in _stretches(one, run.duration)
        if change.target is not None and change.target.latency
    ]
    if asked:
        draw_targets(axis, asked)
        for level, start, end in asked:
            # Words that would not fit are left out: the axis tells the level.
            if end - start > scales.duration * 0.055 * 12 / width:
                axis.annotate(
                    f'≤ {level:.4g} ms',
                    (start, level),
                    xytext=(2, 3),
                    textcoords='offset points',
                    fontsize=7.5,
                    zorder=5,
                    bbox={'facecolor': 'white', 'alpha': 0.75, 'linewidth': 0, 'pad': 0.6},
                )
    for state, start, end in _states(one, run.duration):
        axis.axvspan(start, end, *_STRIP, color=STATES[state], linewidth=0, zorder=3)
    axis.set_title(f'{len(late) + len(beyond)} late', loc='right', fontsize=8, color=NEUTRAL)


def _dots(axis: Any, frames: Sequence[Frame], colour: str, size: float, pixels: bool) -> None:
    axis.scatter(
        [frame.time for frame in frames],
        [frame.latency * 1e3 for frame in frames],
        s=size,
        linewidths=0,
        color=colour,
        rasterized=pixels,
        zorder=2,
    )


def _draw_sub_networks(
    axis: Any,
    one: ApplicationRecord | None,
    accuracies: dict[str, float],
    colours: dict[str, str],
    run: RunRecord,
) -> None:
    axis.set_ylabel('served\nby')
    names = list(accuracies)
    axis.set_ylim(-0.6, max(0.6, len(names) - 0.4))
    axis.set_yticks([])
    axis.grid(axis='y', visible=False)
    if one is None:
        return
    if len(names) <= _NAMES_SHOWN:
        axis.set_yticks(
            range(len(names)), [_named(*row) for row in accuracies.items()], fontsize=7.5
        )
    served = list(_served(one.frames))
    for place, each in enumerate(names):
        # However short it served, it stays visible.
        spans = [
            (start, max(end, start + run.duration / 500))
            for name, start, end in served
            if name == each
        ]
        if spans:
            axis.hlines(
                [place] * len(spans),
                *zip(*spans),
                color=colours[each],
                linewidth=6.5,
                zorder=2,
                rasterized=len(spans) > MANY / 10,
            )
    levels = []
    for change, end in _stretches(one, run.duration):
        if change.target is not None and change.target.accuracy:
            least = change.target.accuracy * (1 - ACCURACY_TOLERANCE)
            enough = [place for place, each in enumerate(names) if accuracies[each] >= least]
            # Whatever lies above the line is accurate enough.
            levels.append(((enough[0] if enough else len(names)) - 0.5, change.time, end))
    if levels:
        draw_targets(axis, levels)


def _named(name: str, accuracy: float) -> str:
    return f'{name}  {accuracy:.1%}' if math.isfinite(accuracy) else name


def _draw_clocks(axis: Any, run: RunRecord, scales: Scales) -> None:
    for name in dict.fromkeys(name for sample in run.samples for name in sample.clocks):
        rows = _changes((s.time, s.clocks.get(name, math.nan) / 1e6) for s in run.samples)
        axis.step(
            *zip(*rows),
            where='post',
            color=DOMAINS.get(name, NEUTRAL),
            label=name,
            linewidth=1.3,
        )
    axis.set_ylim(0, 1.08 * scales.clocks / 1e6)
    axis.set_ylabel('clocks\n[MHz]')
    if axis.get_legend_handles_labels()[0]:
        axis.legend(
            loc='lower right', bbox_to_anchor=(1.0, 0.96), ncol=4, fontsize=7.5, borderpad=0
        )


def _draw_power(axis: Any, run: RunRecord, scales: Scales) -> None:
    rows = list(_thinned([(s.time, s.power) for s in run.samples]))
    if rows:
        axis.plot(*zip(*rows), color=RAILS[0], linewidth=1.0)
        axis.fill_between(*zip(*rows), color=RAILS[0], alpha=0.07, linewidth=0)
    axis.set_ylim(0, 1.1 * scales.power)
    axis.set_ylabel('power\n[W]')


def _draw_temperature(axis: Any, run: RunRecord, scales: Scales) -> None:
    rows = list(_thinned([(s.time, s.temperature) for s in run.samples]))
    if rows:
        axis.plot(*zip(*rows), color=TEMPERATURE, linewidth=1.2)
    low, high = scales.temperatures
    axis.set_ylim(low - 1.0, max(high + 1.0, low + 5.0))
    axis.set_ylabel('hottest\n[°C]')


def _stretches(one: ApplicationRecord, duration: float) -> Iterator[tuple[Any, float]]:
    """Return each change of the target with the time until which it held."""
    for change, following in zip(one.targets, [*one.targets[1:], None]):
        yield change, following.time if following is not None else duration


def _states(one: ApplicationRecord, duration: float) -> Iterator[tuple[str, float, float]]:
    """Return stretches of time in which a target stood the same, without those of no target."""
    begin, state = 0.0, ''
    for row in [*one.standings, None]:
        if row is not None and row.state == state:
            continue
        end = row.time if row is not None else duration
        if state in STATES and end > begin:
            yield state, begin, end
        if row is not None:
            begin, state = row.time, row.state


def _served(frames: Sequence[Frame]) -> Iterator[tuple[str, float, float]]:
    """Return each stretch of time in which one sub-network served, to its last frame."""
    start = 0
    for place in range(1, len(frames) + 1):
        if place == len(frames) or frames[place].sub_network != frames[start].sub_network:
            yield frames[start].sub_network, frames[start].arrival, frames[place - 1].time
            start = place


def _changes(rows: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return rows without those between two that are the same; at least the two ends."""
    every = list(rows)
    kept = [row for before, row in pairwise([(math.nan, math.nan), *every]) if row[1] != before[1]]
    return [*kept, *every[-1:]]


def _thinned(rows: Sequence[tuple[float, float]], most: int = 2_000) -> list[tuple[float, float]]:
    """Return rows of which lowest and highest of each stretch are kept, so that peaks stay."""
    if len(rows) <= most:
        return list(rows)
    size = math.ceil(2 * len(rows) / most)
    kept = []
    for start in range(0, len(rows), size):
        part = [row for row in rows[start : start + size] if math.isfinite(row[1])]
        if part:
            ends = {min(part, key=lambda r: r[1]), max(part, key=lambda r: r[1])}
            kept += sorted(ends)
    return kept
