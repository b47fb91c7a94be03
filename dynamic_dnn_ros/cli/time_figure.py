# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The frame of pictures that show a run over time: rows below each other on one time axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from dynamic_dnn_ros.palette import NEUTRAL, TARGET

STYLE = {
    'font.size': 9,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.grid': True,
    'grid.color': '#e6e6e6',
    'grid.linewidth': 0.7,
    'axes.axisbelow': True,
    'legend.frameon': False,
    # Names come from files and recordings: a dollar is no formula. Text stays text in an SVG.
    'text.parse_math': False,
    'svg.fonttype': 'none',
    'svg.hashsalt': 'dynamic_dnn_ros',
}


@contextmanager
def time_figure(
    path: Path | BinaryIO, heights: Sequence[float], size: tuple[float, float]
) -> Iterator[tuple[Any, Any]]:
    """
    Give a figure and its axes, and write them when the context ends.

    :param path: of the PNG to write, or an open file for an SVG
    :param heights: of the rows, in ratio to each other
    :param size: of the figure, inches
    """
    import matplotlib

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(heights), 1, figsize=size, sharex=True, gridspec_kw={'height_ratios': heights}
        )
        try:
            yield figure, axes
            axes[-1].set_xlabel('time [s]')
            if isinstance(path, Path):
                figure.savefig(path, dpi=110)
            else:
                figure.savefig(path, format='svg', dpi=130, metadata={'Date': None})
        finally:
            plt.close(figure)


def draw_targets(axis: Any, lines: Sequence[tuple[float, float, float]], label: str = '') -> None:
    """
    Draw what is asked for as black lines that stand out from whatever they cross.

    :param lines: level, begin and end of each
    """
    from matplotlib.patheffects import Normal, Stroke

    axis.hlines(
        *zip(*lines),
        color=TARGET,
        linewidth=1.6,
        zorder=4,
        label=label or None,
        path_effects=[Stroke(linewidth=3.6, foreground='white'), Normal()],
    )


def event_levels(events: Sequence[tuple[float, str]], span: float) -> list[int]:
    """
    Return how many lines up the words of each event stand, so that none lie over each other.

    :param span: seconds that 12 inches show
    """
    # A letter takes about 1/170 of 12 inches.
    widths = [len(text) * span / 170 for _, text in events]
    ends: list[float] = []
    levels = []
    for (time, _), width in zip(events, widths):
        level = next((i for i, end in enumerate(ends) if end <= time), len(ends))
        ends[level : level + 1] = [time + width]
        levels.append(level)
    return levels


def mark_events(
    axes: Sequence[Any], events: Sequence[tuple[float, str]], levels: Sequence[int], end: float
) -> None:
    """
    Mark what happens as dotted lines through all rows, with its words above the first one.

    :param levels: lines that the words stand above the first row's title
    :param end: of the time axis, s; words that begin near it stand to the left
    """
    for (time, text), level in zip(events, levels):
        for axis in axes:
            axis.axvline(time, color=NEUTRAL, linewidth=0.9, linestyle=':', zorder=1)
        late = time > 0.8 * end
        axes[0].annotate(
            text,
            (time, 1.0),
            xycoords=axes[0].get_xaxis_transform(),
            xytext=(-2 if late else 2, 17 + 10 * level),
            textcoords='offset points',
            ha='right' if late else 'left',
            fontsize=7.5,
            color=NEUTRAL,
            annotation_clip=False,
            arrowprops={
                'arrowstyle': '-',
                'relpos': (float(late), 0.0),
                'shrinkA': 0,
                'color': NEUTRAL,
                'linewidth': 0.7,
                'linestyle': ':',
            },
        )
