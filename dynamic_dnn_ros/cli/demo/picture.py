# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The picture of a run over time."""

from __future__ import annotations

from collections.abc import Sequence
import math
from pathlib import Path
import re
from typing import Any

from dynamic_dnn_ros import palette
from dynamic_dnn_ros.cli.demo.run_record import RunRecord
from dynamic_dnn_ros.cli.demo.summary import PhaseSummary, platform_place
from dynamic_dnn_ros.cli.demo.texts import honesty
from dynamic_dnn_ros.cli.time_figure import draw_targets, time_figure
from dynamic_dnn_ros.management.words import percent, quality_title

#: Stretches of time in which exits are counted.
_STRETCHES = 60


def draw(run: RunRecord, phases: Sequence[PhaseSummary], path: Path) -> None:
    """
    Draw latency against target, accuracy, frequencies and power over time.

    Where networks have exits, also the share of the pictures that leaves after each stage.

    :param path: of the PNG to write
    """
    exits = any(frame.exit_stage for frame in run.frames)
    heights = (2.6, 1.2, *([1.0] if exits else []), 1.2, 1.0)
    with time_figure(path, heights, (12, 9)) as (figure, axes):
        latency, accuracy, *between, frequency, power = axes
        colours = sub_network_colours(run)
        for axis in between:
            _draw_exits(axis, run)
        _draw_latency(latency, run, colours)
        _draw_accuracy(accuracy, run, colours)
        _draw_frequencies(frequency, run)
        _draw_power(power, run)
        _draw_phases(axes, run, phases)
        power.set_xlim(run.phases[0].start, run.phases[-1].end)
        origin = run.phases[0].start
        power.xaxis.set_major_locator(_seconds_locator(origin, run.phases[-1].end))
        power.xaxis.set_major_formatter(lambda value, position: f'{value - origin:g}')
        handles, labels = latency.get_legend_handles_labels()
        figure.legend(
            handles,
            labels,
            loc='lower center',
            ncol=9,
            fontsize=8.5,
            handletextpad=0.3,
            columnspacing=1.4,
        )
        figure.text(
            0.065,
            0.98,
            f'{run.bundle} on {platform_place(run)}{_camera(run)}',
            fontsize=12,
            fontweight='bold',
            va='top',
        )
        figure.text(
            0.985, 0.977, honesty(run), fontsize=8.5, color=palette.NEUTRAL, va='top', ha='right'
        )
        figure.subplots_adjust(left=0.065, right=0.985, top=0.868, bottom=0.082, hspace=0.16)


def _camera(run: RunRecord) -> str:
    """Return which camera is drawn, where there are several."""
    return f', {run.application.rsplit("/", 1)[1]}' if run.others else ''


def sub_network_colours(run: RunRecord) -> dict[str, str]:
    """Return a colour for each sub-network that served, from the least to the most accurate."""
    served = {frame.sub_network for frame in run.frames}
    colours = palette.colours_by_accuracy(run.accuracies)
    return {name: colour for name, colour in colours.items() if name in served}


def _draw_latency(axis: Any, run: RunRecord, colours: dict[str, str]) -> None:
    for name in colours:
        frames = [frame for frame in run.frames if frame.sub_network == name and not frame.overrun]
        axis.scatter(
            [frame.time for frame in frames],
            [frame.latency * 1e3 for frame in frames],
            s=11,
            color=colours[name],
            linewidths=0,
            label=f'{name} ({percent(run.accuracies[name])})',
        )
    overruns = [frame for frame in run.frames if frame.overrun]
    if overruns:
        axis.scatter(
            [frame.time for frame in overruns],
            [frame.latency * 1e3 for frame in overruns],
            s=9,
            facecolors='none',
            edgecolors='#9e9e9e',
            linewidths=0.7,
            label='overrun of this machine',
        )
    _draw_limits(axis, run, 'latency', 1e3, 'target (p95)')
    # A single outlier must not flatten everything else.
    shown = sorted(frame.latency * 1e3 for frame in run.frames if not frame.overrun)
    targets = [record.phase.goal.latency * 1e3 for record in run.phases]
    if shown:
        highest = max(shown[int(0.995 * (len(shown) - 1))], *targets)
        lowest = min([shown[0], *(target for target in targets if target > 0.0)])
        axis.set_yscale('log')
        axis.set_ylim(lowest * 0.75, highest * 1.35)
        axis.yaxis.set_major_locator(_decade_locator())
        axis.yaxis.set_major_formatter(lambda value, position: f'{value:g}')
        axis.minorticks_off()
    axis.set_ylabel('latency [ms]')


def _draw_limits(axis: Any, run: RunRecord, name: str, factor: float, label: str = '') -> None:
    """Draw what each phase asks for under a name, where it asks for anything."""
    asked = [
        (getattr(record.phase.goal, name) * factor, record.start, record.end)
        for record in run.phases
        if getattr(record.phase.goal, name)
    ]
    if asked:
        draw_targets(axis, asked, label)


def _seconds_locator(start: float, end: float) -> Any:
    from matplotlib.ticker import FixedLocator

    step = next(
        step for step in (1, 2, 5, 10, 20, 60, 300, math.inf) if (end - start) / step <= 14
    )
    return FixedLocator([start + index * step for index in range(int((end - start) / step) + 1)])


def _decade_locator() -> Any:
    from matplotlib.ticker import LogLocator

    return LogLocator(base=10.0, subs=(1.0, 2.0, 3.0, 5.0))


def _draw_accuracy(axis: Any, run: RunRecord, colours: dict[str, str]) -> None:
    for name, start, end in _served_spans(run):
        axis.hlines(run.accuracies[name] * 100, start, end, color=colours[name], linewidth=8.0)
    _draw_limits(axis, run, 'accuracy', 100)
    known = [100 * value for value in run.accuracies.values() if math.isfinite(value)]
    if known:
        margin = max(0.5, 0.15 * (max(known) - min(known)))
        axis.set_ylim(min(known) - margin, max(known) + margin)
    elif run.accuracies:
        axis.text(0.5, 0.5, 'not known of this bundle', transform=axis.transAxes, ha='center')
    axis.set_ylabel(f'{quality_title(run.metric)} [%]')


def _draw_exits(axis: Any, run: RunRecord) -> None:
    """Draw what share of the frames left after which stage, in equal stretches of time."""
    start, end = run.phases[0].start, run.phases[-1].end
    width = (end - start) / _STRETCHES
    names = list(dict.fromkeys(name for stages in run.stages.values() for name in stages))
    left: dict[str, list[float]] = {name: [0.0] * _STRETCHES for name in names}
    totals = [0.0] * _STRETCHES
    for frame in run.frames:
        place = int((frame.time - start) / width)
        if frame.exit_stage in left and 0 <= place < _STRETCHES:
            left[frame.exit_stage][place] += 1
            totals[place] += 1
    times = [start + (place + 0.5) * width for place in range(_STRETCHES)]
    bottom = [0.0] * _STRETCHES
    colours = palette.sub_network_colours(names)
    for name in (name for name in names if any(left[name])):
        shares = [100 * one / max(total, 1.0) for one, total in zip(left[name], totals)]
        axis.bar(times, shares, width, bottom=bottom, color=colours[name], label=name, alpha=0.8)
        bottom = [below + share for below, share in zip(bottom, shares)]
    axis.set_ylim(0, 100)
    axis.set_ylabel('leave after [%]')
    axis.legend(loc='lower right', bbox_to_anchor=(1.0, 0.97), ncol=8, fontsize=8, borderpad=0)


def _served_spans(run: RunRecord) -> list[tuple[str, float, float]]:
    """Return each stretch of time in which one sub-network served."""
    spans: list[tuple[str, float, float]] = []
    for frame in run.frames:
        if spans and spans[-1][0] == frame.sub_network:
            spans[-1] = (frame.sub_network, spans[-1][1], frame.time)
        elif frame.sub_network in run.accuracies:
            if spans:
                spans[-1] = (spans[-1][0], spans[-1][1], frame.time)
            spans.append((frame.sub_network, frame.time, frame.time))
    return spans


def _draw_frequencies(axis: Any, run: RunRecord) -> None:
    for name in sorted({name for load in run.loads for name in load.frequencies}):
        rows = [
            (load.time, load.frequencies[name] * 1e-6)
            for load in run.loads
            if math.isfinite(load.frequencies.get(name, math.nan))
        ]
        if rows:
            axis.step(
                *zip(*rows),
                where='post',
                label=name,
                color=palette.DOMAINS.get(name),
                linewidth=1.6,
            )
    axis.set_ylim(bottom=0)
    axis.set_ylabel('frequency [MHz]')
    if not axis.get_legend_handles_labels()[0]:
        _say_unreadable(axis)
    else:
        axis.legend(loc='lower right', bbox_to_anchor=(1.0, 0.97), ncol=4, fontsize=8, borderpad=0)


def _draw_power(axis: Any, run: RunRecord) -> None:
    rows = [(load.time, load.power) for load in run.loads if math.isfinite(load.power)]
    if rows:
        axis.plot(*zip(*rows), color=palette.RAILS[0], linewidth=1.6)
        axis.fill_between(*zip(*rows), color=palette.RAILS[0], alpha=0.08)
    else:
        _say_unreadable(axis)
    axis.set_ylim(bottom=0)
    axis.set_ylabel('power [W]')


def _say_unreadable(axis: Any) -> None:
    axis.text(0.5, 0.5, 'cannot be read here', transform=axis.transAxes, ha='center')
    axis.set_yticks([])


def _draw_phases(axes: Any, run: RunRecord, phases: Sequence[PhaseSummary]) -> None:
    for record, summary in zip(run.phases, phases):
        colour = (
            palette.NEUTRAL
            if summary.met is None
            else (palette.MET if summary.met else palette.MISSED)
        )
        for axis in axes:
            axis.axvspan(record.start, record.end, color=colour, alpha=0.045, linewidth=0)
            axis.axvline(record.start, color='#b0bec5', linewidth=0.8)
        target = '\n'.join(record.phase.goal.text.split(', '))
        # By how much, or why, stands in the summary.
        verdict = re.split(' by |: ', summary.verdict)[0]
        for text, height, style in (
            (f'{record.phase.name}: {verdict}', 1.245, {'fontweight': 'bold', 'color': colour}),
            (target, 1.225, {'va': 'top', 'color': '#263238'}),
        ):
            axes[0].text(
                record.start,
                height,
                f' {text}' if '\n' not in text else ' ' + text.replace('\n', '\n '),
                transform=axes[0].get_xaxis_transform(),
                fontsize=8.5,
                clip_on=False,
                **style,
            )
