# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A picture of what a search found."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import io
import textwrap

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
import numpy as np

from dynamic_dnn_ros.palette import CANDIDATE, FRONT, TESTED, TEXT
from dynamic_dnn_ros.search.pareto import Values


@dataclasses.dataclass(frozen=True)
class Plot:
    """
    What is drawn; costs in seconds or joules, accuracies in 0..1.

    :param metric: what accuracies are, as people call it.
    :param costs: of all candidates, with their `accuracies` on held-out pictures.
    :param front: cost and accuracy of the front, the cheapest first.
    :param chosen: the same of the sub-networks that are kept, with `identifiers` and
        `test_accuracies`.
    """

    title: str
    caption: str
    metric: str
    cost_name: str
    cost_unit: str
    costs: Values
    accuracies: Values
    front: tuple[Values, Values]
    chosen: tuple[Values, Values]
    identifiers: Sequence[str]
    test_accuracies: Values


def draw(plot: Plot) -> bytes:
    """Return a PNG picture of candidates, front, and the sub-networks that are kept."""
    figure = Figure(figsize=(8.0, 5.2), dpi=110, layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _draw_points(axes, plot)
    _use_scale(axes, np.concatenate((plot.costs, plot.chosen[0])) * 1e3)
    _limit_accuracy(axes, plot)
    axes.set_xlabel(f'measured {plot.cost_name} of one picture ({plot.cost_unit})')
    axes.set_ylabel(f'accuracy: {plot.metric} (%)')
    axes.grid(True, which='major', color='#e6e6e6', linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ('top', 'right'):
        axes.spines[side].set_visible(False)
    # Above the points, wherever they lie.
    axes.legend(
        loc='lower left',
        bbox_to_anchor=(0.0, 1.0),
        ncol=4,
        fontsize=8,
        frameon=False,
        columnspacing=1.2,
        handletextpad=0.4,
        borderpad=0.2,
    )
    axes.set_title(plot.title, fontsize=12, loc='left', pad=24)
    figure.supxlabel(
        '\n'.join(textwrap.wrap(plot.caption, 140)), x=0.01, ha='left', fontsize=8, color='#666666'
    )
    stream = io.BytesIO()
    figure.savefig(stream, format='png', metadata={'Software': None})
    return stream.getvalue()


def _draw_points(axes: Axes, plot: Plot) -> None:
    axes.scatter(
        plot.costs * 1e3,
        plot.accuracies * 100,
        s=16,
        color=CANDIDATE,
        linewidths=0,
        label=f'{len(plot.costs)} candidates, held-out accuracy',
    )
    axes.plot(
        plot.front[0] * 1e3,
        plot.front[1] * 100,
        color=FRONT,
        linewidth=1.2,
        alpha=0.6,
        label=f'front of {len(plot.front[0])}',
    )
    costs, accuracies = plot.chosen[0] * 1e3, plot.chosen[1] * 100
    axes.scatter(
        costs, accuracies, s=44, color=FRONT, zorder=3, label=f'{len(costs)} sub-networks kept'
    )
    axes.scatter(
        costs,
        plot.test_accuracies * 100,
        s=40,
        facecolors='none',
        edgecolors=TESTED,
        linewidths=1.3,
        marker='D',
        zorder=3,
        label='the same, test accuracy',
    )
    for identifier, cost, held_out, test in zip(
        plot.identifiers, costs, accuracies, plot.test_accuracies * 100
    ):
        axes.annotate(
            identifier,
            (cost, max(held_out, test)),
            xytext=(0, 7),
            textcoords='offset points',
            ha='center',
            fontsize=8,
            color=TEXT,
        )


def _use_scale(axes: Axes, costs: Values) -> None:
    """Give the axis of costs a logarithmic scale with plain numbers."""
    axes.set_xscale('log')
    axes.set_xlim(costs.min() / 1.08, costs.max() * 1.08)
    axis = axes.xaxis
    axis.set_major_locator(LogLocator(base=10, subs=(1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:g}'))
    axis.set_minor_formatter(NullFormatter())


def _limit_accuracy(axes: Axes, plot: Plot) -> None:
    """Let the front fill the picture: a candidate far below it is cut off."""
    shown = np.concatenate((plot.chosen[1], plot.test_accuracies, plot.front[1])) * 100
    span = max(shown.max() - shown.min(), 1.0)
    axes.set_ylim(max(0.0, shown.min() - 0.25 * span), shown.max() + 0.12 * span)
