# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The report as one page of HTML that needs nothing beside it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
import io
import math
import time

from dynamic_dnn_ros.cli.report.figures import RunFigures, Verdict
from dynamic_dnn_ros.cli.report.record import ApplicationRecord, RunRecord
from dynamic_dnn_ros.cli.report.stage_chart import stage_chart
from dynamic_dnn_ros.cli.report.words import clock, platform_title, sentences
from dynamic_dnn_ros.cli.run_chart import STATES, draw_run, scales_of
from dynamic_dnn_ros.management.words import (
    milliseconds,
    paths_text,
    percent,
    quality_title,
    quantity,
)
from dynamic_dnn_ros.palette import MET, MISSED, NEUTRAL

ROWS = 40
"""Switches that are shown at once; the others are folded away."""

_STYLE = f"""
:root {{ color-scheme: light; }}
body {{ font: 15px/1.5 system-ui, sans-serif; color: #1c2429; margin: 0 auto; max-width: 1240px;
  padding: 1.2rem 1.6rem 3rem; }}
h1 {{ font-size: 1.6rem; margin: .2rem 0; }}
h2 {{ font-size: 1.2rem; margin: 2.2rem 0 .4rem; border-bottom: 2px solid #dfe5e8; }}
h3 {{ font-size: 1rem; margin: 1.2rem 0 .3rem; overflow-wrap: anywhere; }}
p, ul {{ margin: .35rem 0; max-width: 62rem; }}
.small {{ color: {NEUTRAL}; font-size: .87rem; }}
.cards {{ display: flex; flex-wrap: wrap; gap: .7rem; margin: .7rem 0; }}
.card {{ background: #f3f6f7; border-radius: 8px; padding: .5rem .95rem; min-width: 6.6rem; }}
.card b {{ display: block; font-size: 1.35rem; line-height: 1.3; }}
.table {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: .88rem; margin: .5rem 0; }}
th, td {{ padding: .22rem .7rem .22rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid #e6ebed; overflow-wrap: break-word; }}
th {{ color: {NEUTRAL}; font-weight: 600; }}
td.n, th.n {{ text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }}
.met {{ color: {MET}; font-weight: 600; }} .missed {{ color: {MISSED}; font-weight: 600; }}
.key {{ display: inline-block; width: .8em; height: .8em; border-radius: 2px;
  margin: 0 .2em 0 .8em; }}
img {{ width: 100%; height: auto; display: block; }}
.side {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(30rem, 1fr)); gap: 1rem; }}
details {{ margin: .4rem 0; }} summary {{ cursor: pointer; color: #1565c0; }}
@media print {{
  body {{ font-size: 11px; padding: 0; max-width: none; }}
  h2, h3 {{ break-after: avoid; }} tr, figure, img {{ break-inside: avoid; }}
  figure {{ margin: 0; }} .card {{ border: 1px solid #ccd5d9; }}
}}
figure {{ margin: .4rem 0; }}
"""


def page(runs: Sequence[RunRecord], figures: Sequence[RunFigures], version: str) -> str:
    """
    Return the page.

    :param figures: of the runs, in their order
    :param version: of this package
    """
    parts = [_head(runs), *(_run_words(*pair, len(runs) > 1) for pair in zip(runs, figures))]
    if len(runs) > 1:
        parts.append(_differences(runs, figures))
    quality = _quality(one for run in runs for one in run.applications.values())
    parts += [_targets(figures, quality), _time_lines(runs), _stages(figures), _paths(figures)]
    parts += [_applications(figures, quality), _switches(runs), _how(quality, version)]
    title = escape(', '.join(run.name for run in runs))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>Report: {title}</title><style>{_STYLE}</style></head>\n'
        f'<body>{"".join(parts)}</body></html>\n'
    )


def _head(runs: Sequence[RunRecord]) -> str:
    if len(runs) == 1:
        return f'<h1>Report: {escape(runs[0].name)}</h1>'
    return f'<h1>Report: {len(runs)} runs side by side</h1>'


def _quality(applications: Iterable[ApplicationRecord]) -> str:
    """Return what the accuracy of applications is called: by its metric, or by several."""
    return ' or '.join(sorted({quality_title(one.metric) for one in applications})) or 'accuracy'


def _run_words(run: RunRecord, figures: RunFigures, named: bool) -> str:
    kind = 'simulated' if run.simulated else 'measured'
    facts = [platform_title(run), f'{figures.seconds:.1f} s', f'all figures are {kind}']
    if math.isfinite(run.started):
        facts.insert(0, time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime(run.started)))
    bundles = sorted({one.bundle for one in run.applications.values()} - {''})
    facts += [f'bundle {", ".join(bundles)}'] if bundles else []
    cards = [
        (percent(figures.on_time), 'of frames on time'),
        (f'{figures.met} of {figures.judged}', 'targets met'),
        (quantity(figures.energy, '.0f', 'J'), 'energy of the board'),
        (quantity(figures.power, '.2f', 'W'), 'mean power'),
        (f'{figures.served:,}'.replace(',', '\u202f'), 'frames served'),
        (str(figures.switches), 'switches'),
    ]
    return ''.join(
        (
            f'<h2>{escape(run.name) if named else "What happened"}</h2>',
            f'<p class="small">{escape(" · ".join(facts))}</p>',
            '<div class="cards">',
            *(
                f'<div class="card"><b>{escape(value)}</b>{escape(name)}</div>'
                for value, name in cards
            ),
            '</div><ul>',
            *(f'<li>{escape(sentence)}</li>' for sentence in sentences(run, figures)),
            '</ul>',
            *(f'<p class="small">{escape(note)}</p>' for note in run.notes),
        )
    )


def _differences(runs: Sequence[RunRecord], figures: Sequence[RunFigures]) -> str:
    first = figures[0]
    rows: list[tuple[str, list[float], str, str]] = [
        ('frames on time', [f.on_time * 100 for f in figures], '.1f', '%'),
        (
            'targets met',
            [f.met / f.judged * 100 if f.judged else math.nan for f in figures],
            '.0f',
            '%',
        ),
        ('energy', [f.energy for f in figures], '.0f', 'J'),
        ('mean power', [f.power for f in figures], '.2f', 'W'),
        ('energy of a frame', [f.energy_per_frame for f in figures], '.3f', 'J'),
        ('hottest zone', [f.hottest for f in figures], '.1f', '°C'),
        ('frames served', [float(f.served) for f in figures], '.0f', ''),
        ('switches', [float(f.switches) for f in figures], '.0f', ''),
    ]
    names = dict.fromkeys(one.id for f in figures for one in f.applications)
    for name in names:
        own = [next((a for a in f.applications if a.id == name), None) for f in figures]
        p95 = [one.p95 * 1e3 if one else math.nan for one in own]
        accuracy = [one.accuracy * 100 if one else math.nan for one in own]
        rows.append((f'{name}: 95 % of frames within', p95, '.1f', 'ms'))
        quality = _quality(run.applications[name] for run in runs if name in run.applications)
        rows.append((f'{name}: mean {quality}', accuracy, '.1f', '%'))
    cells = [
        [name]
        + [
            quantity(value, form, unit)
            + ('' if place == 0 else _difference(values[0], value, form))
            for place, value in enumerate(values)
        ]
        for name, values, form, unit in rows
    ]
    columns = ['', first.name, *(f'{f.name} (difference)' for f in figures[1:])]
    return '<h2>Differences</h2>' + _table(columns, cells, numbers=range(1, len(columns)))


def _difference(base: float, value: float, form: str) -> str:
    """Return how a figure differs from that of the first run."""
    if not (math.isfinite(base) and math.isfinite(value)):
        return ''
    return f' ({value - base:+{form}})'.replace('-', '\u2212')


def _targets(figures: Sequence[RunFigures], quality: str) -> str:
    rows = [
        [
            *([run.name] if len(figures) > 1 else []),
            one.application,
            f'{clock(one.start)} – {clock(one.end)}',
            one.target,
            _verdict(one),
            f'{percent(one.on_time)} of {one.frames} (asked {one.quantile:.4g})'
            if one.limit
            else f'{one.frames} frames',
            milliseconds(one.latency),
            percent(one.accuracy),
            ', '.join(f'{state} {part:.0%}' for state, part in one.said.items()) or '–',
        ]
        for run in figures
        for one in run.verdicts
    ]
    if not rows:
        return '<h2>Targets</h2><p>No target was set.</p>'
    columns = [
        *(['run'] if len(figures) > 1 else []),
        'application',
        'in force',
        'target',
        'result',
        'frames on time',
        'latency at quantile',
        quality,
        'the manager said',
    ]
    return (
        '<h2>Targets</h2>'
        + _table(columns, rows)
        + '<p class="small">Judged by the frames that were recorded, without the first 1.5 s of '
        'each target (at most a quarter), in which decision and switch take place.</p>'
    )


def _verdict(one: Verdict) -> str:
    if one.met is None:
        return 'too short to tell'
    return 'met' if one.met else f'missed by {" and ".join(one.missed)}'


def _time_lines(runs: Sequence[RunRecord]) -> str:
    scales = scales_of(runs)
    pictures = []
    for run in runs:
        written = io.BytesIO()
        width = 12.0 if len(runs) == 1 else 7.2
        draw_run(run, written, scales, width, title=len(runs) > 1)
        pictures.append(_image(written.getvalue(), f'time lines of {run.name}'))
    keys = ''.join(
        f'<span class="key" style="background:{colour}"></span>{state}'
        for state, colour in STATES.items()
    )
    words = (
        '<p class="small">A dot is a frame, in the colour of the sub-network that served it; a '
        'red ring is one that was late, a triangle one beyond the scale. Black lines are targets: '
        'latency below the line, accuracy above it. The strip at the bottom of the latency is '
        f'how the target stood by the manager:{keys}.</p>'
    )
    return f'<h2>Time lines</h2>{words}<div class="side">{"".join(pictures)}</div>'


def _stages(figures: Sequence[RunFigures]) -> str:
    drawn = stage_chart(figures)
    if not drawn:
        return ''
    names = dict.fromkeys(
        name for run in figures for one in run.applications for name in one.stages
    )
    rows = [
        [
            *([run.name] if len(figures) > 1 else []),
            one.id,
            *(
                f'{one.stages[n][0] * 1e3:.2f} ({one.stages[n][1] * 1e3:.2f})'
                if n in one.stages
                else '–'
                for n in names
            ),
        ]
        for run in figures
        for one in run.applications
        if one.stages
    ]
    columns = [
        *(['run'] if len(figures) > 1 else []),
        'application',
        *(f'{n} [ms]' for n in names),
    ]
    first = len(columns) - len(names)
    return (
        '<h2>Latency by stage</h2>'
        + _image(drawn, 'mean latency by stage')
        + _table(columns, rows, numbers=range(first, len(columns)))
        + '<p class="small">Mean, and in brackets what 95 % of the frames keep.</p>'
    )


def _paths(figures: Sequence[RunFigures]) -> str:
    rows = [
        [
            *([run.name] if len(figures) > 1 else []),
            one.id,
            paths_text(tuple(one.paths), tuple(one.paths.values())) or '–',
            percent(one.work),
        ]
        for run in figures
        for one in run.applications
        if one.paths or one.work < 1.0
    ]
    if not rows:
        return ''
    columns = [
        *(['run'] if len(figures) > 1 else []),
        'application',
        'pictures',
        'mean work',
    ]
    return (
        '<h2>Pictures that leave early</h2>'
        + _table(columns, rows, numbers=(len(columns) - 1,))
        + '<p class="small">After which stage of its network a picture left, and the share of the '
        'largest path that a picture took in the mean.</p>'
    )


def _applications(figures: Sequence[RunFigures], quality: str) -> str:
    rows = [
        [
            *([run.name] if len(figures) > 1 else []),
            one.id,
            f'{one.served}',
            percent(one.on_time),
            milliseconds(one.p50),
            milliseconds(one.p95),
            milliseconds(one.p99),
            percent(one.accuracy),
            f'{one.replaced}',
            f'{one.dropped}',
            f'{one.rejected}',
            f'{one.switches}',
        ]
        for run in figures
        for one in run.applications
    ]
    columns = [
        *(['run'] if len(figures) > 1 else []),
        'application',
        'frames served',
        'on time',
        'p50',
        'p95',
        'p99',
        quality,
        'replaced',
        'dropped',
        'rejected',
        'switches',
    ]
    first = 2 if len(figures) > 1 else 1
    return '<h2>Applications</h2>' + _table(columns, rows, numbers=range(first, len(columns)))


def _switches(runs: Sequence[RunRecord]) -> str:
    parts = ['<h2>Switches</h2>']
    for run in runs:
        rows = sorted(
            (switch.time, one.id, switch, one)
            for one in run.applications.values()
            for switch in one.switches
        )
        if len(runs) > 1:
            parts.append(f'<h3>{escape(run.name)}</h3>')
        if not rows:
            parts.append('<p>None.</p>')
            continue
        cells = []
        last: dict[str, str] = {}
        for at, name, switch, one in rows:
            accuracy = one.accuracies.get(switch.sub_network, math.nan)
            change = f'{last[name]} → {switch.sub_network}' if name in last else switch.sub_network
            last[name] = switch.sub_network
            why = switch.reason + (f': {switch.explanation}' if switch.explanation else '')
            cells.append([clock(at), name, change, percent(accuracy), why])
        quality = _quality(run.applications.values())
        columns = ['time', 'application', 'sub-network', quality, 'because']
        parts.append(_table(columns, cells[:ROWS]))
        if len(cells) > ROWS:
            parts.append(
                f'<details><summary>{len(cells) - ROWS} more</summary>'
                f'{_table(columns, cells[ROWS:])}</details>'
            )
    return ''.join(parts)


def _how(quality: str, version: str) -> str:
    return (
        '<h2>How to read this</h2><ul class="small">'
        '<li>Latency: from the arrival of a picture in the node to the publication of its result.'
        '</li><li>On time: within the latency that was asked for when the picture came.</li>'
        f'<li>{escape(quality[0].upper() + quality[1:])}: of the sub-networks, on the '
        "bundle's own test data.</li>"
        '<li>Energy: of the whole board, summed from the recorded power.</li>'
        '<li>Replaced: a newer picture came before work on it began. Dropped: it could no longer '
        'be on time, and the target says so. Rejected: it could not be read.</li></ul>'
        f'<p class="small">Written by dynamic-dnn {escape(version)}.</p>'
    )


def _table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = ()
) -> str:
    right = set(numbers)
    head = ''.join(
        f'<th{" class=n" if place in right else ""}>{escape(column)}</th>'
        for place, column in enumerate(columns)
    )
    body = ''.join(
        '<tr>'
        + ''.join(
            f'<td{_class(cell, place in right)}>{escape(cell)}</td>'
            for place, cell in enumerate(row)
        )
        + '</tr>'
        for row in rows
    )
    return (
        f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        '</div>'
    )


def _class(cell: str, right: bool) -> str:
    if right:
        return ' class=n'
    if cell == 'met':
        return ' class=met'
    return ' class=missed' if cell.startswith('missed by') else ''


def _image(svg: bytes, words: str) -> str:
    """Return a picture as a part of the page; as an image, so that it cannot do anything."""
    data = base64.b64encode(svg).decode()
    return f'<figure><img alt="{escape(words)}" src="data:image/svg+xml;base64,{data}"></figure>'
