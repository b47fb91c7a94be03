# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Figures of runs that are made up frame by frame."""

from __future__ import annotations

import pytest

from dynamic_dnn_ros.management.targets import Target
from dynamic_dnn_ros.simulation.figures import application_figures, energy, shortfall, table
from dynamic_dnn_ros.simulation.runs import ApplicationRun, Run, SimulatedFrame
from support.scenarios import FRONT


def made_up(latencies: list[float], replaced: int = 0) -> ApplicationRun:
    """Return frames at 10 Hz against a target of 50 ms, 60 % and 10 Hz from the beginning."""
    run = ApplicationRun(FRONT)
    run.targets.append((0.0, Target(FRONT, latency=0.05, accuracy=0.6, rate=10.0)))
    for index, latency in enumerate(latencies):
        at = index / 10
        run.arrivals.append(at)
        if index < replaced:
            run.replaced.append(at)
        else:
            run.frames.append(
                SimulatedFrame(at, at + latency, latency, 's0', 'gpu', 0.7, 0.05, 0.95)
            )
    return run


def test_deadlines_and_latencies() -> None:
    found = application_figures(made_up([0.04] * 95 + [0.06] * 5), 0.0, 10.0)
    assert (found.frames, found.late, found.served) == (100, 0.05, 1.0)
    assert found.allowed == pytest.approx(0.05)
    assert found.p50 == pytest.approx(0.04)
    assert found.accuracy == pytest.approx(0.7)
    assert found.met
    assert not application_figures(made_up([0.04] * 93 + [0.06] * 7), 0.0, 10.0).met


def test_replaced_frames_miss_a_rate() -> None:
    found = application_figures(made_up([0.04] * 100, replaced=10), 0.0, 10.0)
    assert found.served == pytest.approx(0.9)
    assert found.shortfall == pytest.approx(0.07)


def test_an_accuracy_counts_while_it_is_asked_for() -> None:
    run = made_up([0.04] * 100)
    run.targets.append((5.0, Target(FRONT, latency=0.05, accuracy=0.8)))
    found = application_figures(run, 0.0, 10.0)
    assert found.shortfall == pytest.approx(0.5 * (0.8 * 0.999 - 0.7) / 0.8)


def test_an_application_that_got_nothing_misses_everything() -> None:
    found = application_figures(made_up([0.04] * 10, replaced=10), 0.0, 1.0)
    assert found.late == 1.0
    assert found.frames == 0
    assert not found.met
    # One in work and one in the mailbox at the end of a stretch are no miss.
    assert application_figures(made_up([0.04] * 10, replaced=10), 0.0, 0.15).met


def test_energy_above_idle_and_the_table() -> None:
    run = Run('s', 'm', {}, (), ('VDD_IN', 'VDD_CPU_GPU_CV'), 'VDD_IN', (), 10.0, 0.0, 7)
    run.energy = {'VDD_IN': 50.0, 'VDD_CPU_GPU_CV': 20.0}
    run.idle_power = {'VDD_IN': 3.0, 'VDD_CPU_GPU_CV': 0.5}
    run.applications[FRONT] = made_up([0.04] * 50 + [0.06] * 50)
    assert energy(run, 'VDD_IN') == 50.0
    assert energy(run, 'VDD_CPU_GPU_CV', above_idle=True) == pytest.approx(15.0)
    assert shortfall(run) == pytest.approx(0.5 - 0.05 - 0.01)
    row = table([run]).splitlines()[-1]
    assert '50.0% (5%) missed' in row
    assert '| 50.0 | 20.0 | 20.0 | 15.0 |' in row
