# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A bundle without a profile is served at once, managed, and learnt, on a simulated board."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import math
from typing import Any

import numpy as np

from dynamic_dnn_ros.management.manager import Manager
from dynamic_dnn_ros.management.observations import Application, DomainLoad, Load
from dynamic_dnn_ros.simulation.figures import application_figures
from dynamic_dnn_ros.simulation.runner import boards_of
from dynamic_dnn_ros.simulation.runs import Run
from dynamic_dnn_ros.simulation.without_profile import without_profile
from dynamic_dnn_ros.simulation.world import World
from support.scenarios import FRONT, application, job, mapping

Change = Callable[[Load], Load]


class Told(Manager):
    """A manager that hears a load as a test changes it, and of bundles by their digests."""

    def __init__(self, change: Change = lambda load: load) -> None:
        super().__init__('test')
        self._change = change

    def observe_load(self, load: Load, now: float) -> bool:
        return super().observe_load(self._change(load), now)

    def add_application(self, application: Application, now: float) -> bool:
        return super().add_application(replace(application, bundle_sha256='abc'), now)


def run(manager: Manager, profiled: bool = False, seconds: float = 45.0, **fields: Any) -> Run:
    """Serve one application at 12 Hz within 75 ms, with four sub-networks to choose from."""
    made = job(mapping(application(), duration=seconds, **fields))
    board = boards_of(made.scenario)('')
    networks = made.workloads
    if not profiled:
        networks = {n: without_profile(w, board, n, 3) for n, w in networks.items()}
    return World(made.scenario, boards_of(made.scenario), networks, manager).run()


def power(run: Run, begin: float) -> float:
    rail = run.rails.index(run.total_rail)
    return float(np.mean([s.power[rail] for s in run.samples if s.time > begin]))


def late(run: Run, begin: float = 0.5) -> float:
    return application_figures(run.applications[FRONT], begin, run.duration).late


def of_domains(change: Callable[[DomainLoad], DomainLoad]) -> Change:
    return lambda load: replace(load, domains=tuple(map(change, load.domains)))


def tried(run: Run) -> bool:
    """Tell whether a setting was tried for what it teaches."""
    reports = [report for decision in run.decisions for report in decision.reports]
    return any('are tried' in report.reason for report in reports)


def said(run: Run) -> str:
    return run.decisions[-1].message


def test_what_is_learnt_saves_as_much_as_a_profile_and_costs_no_target() -> None:
    with_profile, without = run(Told(), profiled=True), run(Told(), seconds=110.0)
    assert power(without, 95.0) < 1.02 * power(with_profile, 30.0)
    assert late(without) <= 0.06
    assert all(f.accuracy >= 0.72 for f in without.applications[FRONT].frames)
    assert tried(without) and not tried(with_profile)
    assert 'No profile of /front/inference_node' in said(without)
    assert 'learnt from' in said(without)


def test_what_was_learnt_is_taken_up_at_the_next_start() -> None:
    first = Told()
    run(first)
    second = Told()
    second.remember(first.memories())
    begun = run(second, seconds=20.0)
    tries = len({setting for _, setting in run(Told(), seconds=20.0).settings})
    assert len({setting for _, setting in begun.settings}) < tries
    assert second.memories()[0].frames.frames > first.memories()[0].frames.frames


def test_without_a_power_sensor_latency_is_learnt_alone() -> None:
    found = run(Told(lambda load: replace(load, power=math.nan)), seconds=30.0)
    assert late(found) <= 0.06
    assert 'no power sensor' in said(found)
    assert math.isnan(found.decisions[-1].power)


def test_one_clock_that_can_be_set_is_learnt_alone() -> None:
    manager = Told(of_domains(lambda d: d if d.name == 'gpu' else replace(d, available=())))
    found = run(manager, seconds=30.0)
    assert late(found) <= 0.06
    assert {d.name for d in found.decisions[-1].setting or ()} == {'gpu'}
    # One of one frequency is no choice either.
    manager = Told(of_domains(lambda d: replace(d, available=d.available[-1:])))
    found = run(manager, seconds=6.0)
    assert said(found) == ''
    assert found.decisions[-1].setting is None


def test_while_the_board_is_throttled_nothing_is_tried() -> None:
    throttled = of_domains(
        lambda d: replace(d, granted=0.9 * d.requested_maximum) if d.requested_maximum else d
    )
    found = run(Told(throttled), seconds=12.0)
    assert 'the board runs slower than it was asked to' in said(found)
    assert not tried(found)


def test_load_of_others_that_comes_and_goes_costs_no_target() -> None:
    load = [{'at': float(at), 'until': at + 5.0, 'gpu': 0.2, 'cpu': 0.2} for at in (8, 18, 28)]
    found = run(Told(), seconds=32.5, other_load=load)
    assert late(found) <= 0.06
    assert any('other programs load the board' in d.message for d in found.decisions)


def test_where_nobody_tells_what_is_busy_the_frames_do() -> None:
    found = run(Told(of_domains(lambda d: replace(d, utilisation_own=math.nan))), seconds=20.0)
    assert late(found) <= 0.06
    assert math.isfinite(found.decisions[-1].power)
