# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a simulated run to a `RunRecord`, with the events of its scenario."""

from __future__ import annotations

import math

from dynamic_dnn_ros.cli.report.record import (
    STAGES,
    ApplicationRecord,
    BoardSample,
    Frame,
    RunRecord,
    Standing,
    SwitchNote,
    TargetChange,
)
from dynamic_dnn_ros.management.decisions import SwitchReason, TargetState
from dynamic_dnn_ros.management.words import SWITCH_REASONS, metric_title, state_words
from dynamic_dnn_ros.simulation.runs import ApplicationRun, Run
from dynamic_dnn_ros.simulation.scenario import Scenario

_INFERENCE = STAGES.index('inference')


def run_record(run: Run, scenario: Scenario) -> RunRecord:
    """Return a simulated run as reports take it."""
    record = RunRecord(
        f'{run.scenario}: {run.manager}',
        platform=scenario.board,
        simulated=True,
        manager=run.manager,
        duration=run.duration,
        measured_from=run.measured_from,
        events=events_of(scenario),
    )
    total = run.rails.index(run.total_rail)
    record.samples = [
        BoardSample(
            sample.time,
            dict(zip(run.domains, sample.granted)),
            sample.power[total],
            max(sample.temperatures, default=math.nan),
        )
        for sample in run.samples
    ]
    for application in run.applications.values():
        record.applications[application.id] = _application(application, run)
    for time, switch in run.switches:
        own = record.applications.get(switch.application)
        if own is None or switch.reason is SwitchReason.TARGET_ECHO or switch.again:
            continue
        if own.switches and own.switches[-1].sub_network == switch.sub_network:
            continue
        own.switches.append(
            SwitchNote(time, switch.sub_network, SWITCH_REASONS[switch.reason], '')
        )
    for decision in run.decisions:
        for report in decision.reports:
            own = record.applications.get(report.application)
            if own is None or report.state is TargetState.ANSWERED:
                continue
            missed = {n: by for n, by in zip(report.names, report.missed_by) if by > 0}
            own.metric = metric_title(report.metric) or own.metric
            own.standings.append(
                Standing(decision.time, state_words(report.state), missed, report.message)
            )
    return record


def _application(application: ApplicationRun, run: Run) -> ApplicationRecord:
    start, end = run.measured_from, run.duration
    frames = []
    for one in application.frames:
        stages = [math.nan] * len(STAGES)
        stages[_INFERENCE] = one.inference
        frames.append(
            Frame(
                one.time,
                one.latency,
                one.sub_network,
                one.target,
                one.quantile,
                False,
                tuple(stages),
                work=one.path,
            )
        )
    return ApplicationRecord(
        application.id,
        accuracies=dict(application.accuracies),
        frames=frames,
        targets=[TargetChange(time, target) for time, target in application.targets],
        received=sum(start <= at < end for at in application.arrivals),
        replaced=sum(start <= at < end for at in application.replaced),
        dropped=sum(start <= at < end for at in application.dropped),
    )


def events_of(scenario: Scenario) -> list[tuple[float, str]]:
    """Return what happens in a scenario besides targets: when, s, and what."""
    events: list[tuple[float, str]] = []
    several = len(scenario.applications) > 1
    for script in scenario.applications:
        of = f' {script.id}' if several else ''
        if script.starts > 0:
            events.append((script.starts, f'{script.id} starts'))
        if script.ends is not None and script.ends < scenario.duration:
            events.append((script.ends, f'{script.id} ends'))
        events += [(at, f'camera{of} {rate:g} Hz') for at, rate in script.camera.changes]
        events += [(at, f'slow-down{of} x{factor:g}') for at, factor in script.slow_down]
        events += [(at, f'difficulty{of} {value:g}') for at, value in script.difficulty]
    for load in scenario.other_load:
        shares = ', '.join(f'{name} {share:.0%}' for name, share in load.load.items())
        events.append((load.at, f'other load{", polling" if load.polling else ""}: {shares}'))
        if load.until < scenario.duration:
            events.append((load.until, 'other load ends'))
    for cooling in scenario.cooling:
        parts = [f'{cooling.ambient:g} °C around'] if cooling.ambient is not None else []
        parts += ['cooling changes'] if cooling.resistance is not None else []
        events.append((cooling.at, ', '.join(parts)))
    events += [(at, f'power mode {mode}') for at, mode in scenario.power_modes]
    for held in scenario.held_clocks:
        events.append((held.at, f'{held.domain} held at {1e-6 * held.hertz:.0f} MHz'))
    events += [(at, 'sensors silent') for at, _ in scenario.sensors.silent]
    return sorted(event for event in events if 0 < event[0] < scenario.duration)
