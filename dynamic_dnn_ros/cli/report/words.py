# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What happened in a run, in sentences."""

from __future__ import annotations

from dynamic_dnn_ros.cli.report.figures import RunFigures, Verdict
from dynamic_dnn_ros.cli.report.record import RunRecord
from dynamic_dnn_ros.cli.run_summary import title_of
from dynamic_dnn_ros.management.words import percent

NAMED = 3
"""Missed targets that the sentences name; the table has them all."""


def count(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f'{number:,} {noun}{"" if number == 1 else "s"}'.replace(',', '\u202f')


def platform_title(run: RunRecord) -> str:
    """Return the platform as people call it, with the word that says where figures come from."""
    return title_of(run.platform, run.simulated, 'a board without a name')


def clock(seconds: float) -> str:
    """Return a time of the run as minutes and seconds."""
    return f'{int(seconds) // 60}:{seconds % 60:04.1f}'


def sentences(run: RunRecord, figures: RunFigures) -> list[str]:
    """Return what happened: who served what, frames on time, targets, energy, switches."""
    names = ', '.join(run.applications)
    first = (
        f'{count(len(run.applications), "application")} ({names}) served '
        f'{count(figures.served, "frame")} in {figures.seconds:.0f} s on {platform_title(run)}.'
    )
    found = [first]
    if figures.asked:
        found.append(
            f'{percent(figures.on_time)} of the {count(figures.asked, "frame")} with a latency '
            'target were on time.'
        )
    else:
        found.append('No frame had a latency target.')
    lost = sum(one.replaced + one.dropped for one in figures.applications)
    if lost:
        found.append(
            f'{count(lost, "frame")} gave way to newer ones, or came too late to be served.'
        )
    found += _targets(figures)
    if figures.energy_time:
        part = (
            ''
            if figures.energy_time > 0.98 * figures.seconds
            else (f' in the {figures.energy_time:.0f} s in which its power is known')
        )
        found.append(
            f'The board took {figures.energy:.0f} J{part}, {figures.power:.2f} W on average.'
        )
    else:
        found.append('The energy is not known, as no power was recorded.')
    times = 'once' if figures.switches == 1 else count(figures.switches, 'time')
    found.append(f'The sub-network changed {times}.')
    if run.manager == 'advises only':
        found.append('The manager only advised: nothing was switched, no clock was set by it.')
    overruns = sum(one.overruns for one in figures.applications)
    if overruns:
        found.append(
            f'The computer that simulates was too slow for {count(overruns, "frame")}; they are '
            'left out of all latencies.'
        )
    return found


def _targets(figures: RunFigures) -> list[str]:
    if not figures.judged:
        return ['No target can be judged.' if figures.verdicts else 'No target was set.']
    missed = [one for one in figures.verdicts if one.met is False]
    if not missed:
        if figures.judged == 1:
            return ['The target was met.']
        return [f'All {figures.judged} targets were met.']
    named = '; '.join(_miss(one) for one in missed[:NAMED])
    rest = f'; and {len(missed) - NAMED} more' if len(missed) > NAMED else ''
    return [f'{figures.met} of {count(figures.judged, "target")} met. Missed: {named}{rest}.']


def _miss(one: Verdict) -> str:
    announced = ', as the manager had said at once' if one.said.get('infeasible', 0) > 0.5 else ''
    return (
        f'{one.application} at {clock(one.start)} ({one.target}) by {" and ".join(one.missed)}'
        f'{announced}'
    )
