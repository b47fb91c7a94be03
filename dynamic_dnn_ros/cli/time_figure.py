# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The frame of pictures that show a run over time: rows below each other on one time axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NEUTRAL = '#546e7a'
DOMAIN_COLOURS = {'gpu': '#1565c0', 'cpu': '#ef6c00', 'memory': '#6a1b9a'}

STYLE = {
    'font.size': 9,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.grid': True,
    'grid.color': '#e6e6e6',
    'grid.linewidth': 0.7,
    'axes.axisbelow': True,
    'legend.frameon': False,
}


@contextmanager
def time_figure(
    path: Path, heights: Sequence[float], size: tuple[float, float]
) -> Iterator[tuple[Any, Any]]:
    """
    Give a figure and its axes, and write them when the context ends.

    :param path: of the PNG to write
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
            figure.savefig(path, dpi=110)
        finally:
            plt.close(figure)


def shades(count: int) -> list[Any]:
    """Return so many colours, from light to dark."""
    import matplotlib

    scale = matplotlib.colormaps['viridis']
    return [scale(0.92 - 0.92 * index / max(1, count - 1)) for index in range(count)]
