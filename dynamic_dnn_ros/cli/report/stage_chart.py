# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the time of a frame goes: a bar for each application and run, by stage."""

from __future__ import annotations

from collections.abc import Sequence
import io

from dynamic_dnn_ros.cli.report.figures import RunFigures
from dynamic_dnn_ros.cli.time_figure import STYLE
from dynamic_dnn_ros.palette import STAGES


def stage_chart(runs: Sequence[RunFigures]) -> bytes:
    """Return an SVG: mean time of each stage, and the 0.95 quantile of the whole as a mark."""
    import matplotlib

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    rows = [
        (f'{one.id}  ·  {run.name}' if len(runs) > 1 else one.id, one)
        for one_id in dict.fromkeys(a.id for run in runs for a in run.applications)
        for run in runs
        for one in run.applications
        if one.id == one_id and one.stages
    ]
    if not rows:
        return b''
    with plt.rc_context({**STYLE, 'axes.grid.axis': 'x'}):
        height = 0.95 + 0.34 * len(rows)
        figure, axis = plt.subplots(figsize=(12, height))
        try:
            for place, (_, one) in enumerate(rows):
                left = 0.0
                for name, (mean, _) in one.stages.items():
                    axis.barh(place, mean * 1e3, left=left, height=0.62, color=STAGES[name])
                    left += mean * 1e3
                axis.plot(
                    [one.p95 * 1e3] * 2, [place - 0.4, place + 0.4], color='black', linewidth=1.6
                )
            axis.set_yticks(range(len(rows)), [name for name, _ in rows])
            axis.set_ylim(len(rows) - 0.4, -0.6)
            axis.set_xlim(left=0)
            axis.set_xlabel('mean time of a frame [ms]; black: 95 % of frames take less')
            used = [name for name in STAGES if any(name in one.stages for _, one in rows)]
            axis.legend(
                [plt.Rectangle((0, 0), 1, 1, color=STAGES[name]) for name in used],
                used,
                loc='lower left',
                bbox_to_anchor=(0.0, 1.0),
                ncol=len(used),
                borderpad=0,
            )
            figure.tight_layout()
            written = io.BytesIO()
            figure.savefig(written, format='svg', metadata={'Date': None})
            return written.getvalue()
        finally:
            plt.close(figure)
