# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a manager does with profiles, loads and clocks that are not what they should be."""

from __future__ import annotations

from dataclasses import replace
import math
from typing import Any

import pytest

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.management.decisions import Decision, PlatformState
from dynamic_dnn_ros.management.manager import Manager, ManagerSettings
from dynamic_dnn_ros.management.observations import DomainLoad, Load, Status, StatusEvent
from dynamic_dnn_ros.management.targets import Objective, Target
from support.applications import GPU, SUB_NETWORKS, application, operating_points

FRONT = '/front/inference_node'
ALIVE = Status(FRONT, f'instance of {FRONT}', StatusEvent.HEARTBEAT, 's3', 'gpu')
DOMAIN = DomainLoad('gpu', GPU, GPU[0], GPU[-1], GPU[-1])


def load(time: float, *domains: DomainLoad, **fields: Any) -> Load:
    return Load('board', 'boot', 0.1, domains or (DOMAIN,), monotonic_time=time, **fields)


def manager(points: Any = None, settings: ManagerSettings | None = None) -> Manager:
    subject = Manager('me', settings)
    subject.observe_load(load(0.0), 0.0)
    fields = {} if points is None else {'operating_points': points}
    if points is not None:
        fields['processor'] = points.processors[0]
    subject.add_application(application(**fields), 0.0)
    subject.set_target(Target(FRONT, latency=0.05), 1)
    return subject


def clock(decision: Decision) -> float:
    assert decision.setting is not None
    (domain,) = decision.setting
    return domain.maximum


def test_a_profile_without_the_platform_s_domains_leaves_the_clocks_alone() -> None:
    decision = manager(operating_points((7e8, 1e9), domain='dla')).decide(0.0)
    assert decision.setting is None
    assert decision.reports[0].decision.sub_network in SUB_NETWORKS


@pytest.mark.parametrize('inference', [math.inf, 1e200])
def test_frames_as_slow_as_none_can_be_cost_no_decision(inference: float) -> None:
    subject = manager()
    now = 0.0
    for number in range(80):
        now += 1 / 30
        broken = 35 <= number < 40
        frame = replace(
            ALIVE,
            event=StatusEvent.SERVED,
            preprocessing=0.0,
            inference=inference if broken else 0.02,
            total=0.021,
            received=number,
            served=number,
        )
        subject.observe_load(load(now), now)
        subject.observe(frame, now)
        (report,) = subject.decide(now).reports
        assert math.isfinite(report.slow_down)
    assert report.slow_down < 100


def test_a_profile_of_one_point_leaves_no_choice_but_is_served() -> None:
    points = operating_points((GPU[2],), {'s2': SUB_NETWORKS['s2']})
    decision = manager(points).decide(0.0)
    assert clock(decision) == GPU[2]
    assert decision.reports[0].decision.sub_network == 's2'
    assert decision.reports[0].reason


def test_latencies_that_are_no_numbers_are_refused_with_the_remedy() -> None:
    points = operating_points()
    broken = points.latency_mean.copy()
    broken[3] = math.nan
    with pytest.raises(BundleError, match='dynamic-dnn profile'):
        replace(points, latency_mean=broken)


def test_a_profile_without_power_keeps_no_cap_and_says_so() -> None:
    subject = manager(operating_points(power=False), ManagerSettings(power_cap=5.0))
    decision = subject.decide(0.0)
    assert math.isnan(decision.power)
    assert 'no cap of it can be kept' in decision.message


def test_a_cap_lowers_clocks_and_sub_networks() -> None:
    free, capped = manager(), manager(settings=ManagerSettings(power_cap=5.5))
    powers = []
    for subject in (free, capped):
        target = Target(FRONT, latency=0.05, objective=Objective.MAXIMUM_ACCURACY)
        subject.set_target(target, 5)
        powers.append(subject.decide(0.0).power)
    assert powers[0] > 5.5
    assert powers[1] <= 5.5


def test_the_budget_of_a_power_mode_is_a_cap() -> None:
    subject = manager()
    subject.set_target(Target(FRONT, latency=0.05, objective=Objective.MAXIMUM_ACCURACY), 5)
    assert subject.decide(0.0).power > 5.5
    subject.observe_load(load(0.1, power_budget=5.5), 0.1)
    decision = subject.decide(0.1)
    assert decision.power <= 5.5
    assert decision.reports[0].decision.sub_network != 's0'
    # What nothing can exceed bounds nothing, once the dwell is over.
    for now in (0.2, 2.5):
        subject.observe_load(load(now, power_budget=1000.0), now)
        subject.observe(ALIVE, now)
        for switch in decision.switches:
            subject.observe(
                replace(
                    ALIVE,
                    event=StatusEvent.SWITCH,
                    sub_network=switch.sub_network,
                    switch_manager=subject.instance,
                    switch_sequence=switch.sequence,
                    switch_result=1,
                ),
                now,
            )
        decision = subject.decide(now)
        assert (decision.power > 5.5) == (now > 2)


def test_a_profile_without_power_leaves_a_power_modes_budget_to_the_board() -> None:
    subject = manager(operating_points(power=False))
    subject.observe_load(load(0.1, power_budget=5.0), 0.1)
    assert 'power' not in subject.decide(0.1).message


def test_a_cap_below_everything_gets_the_least_and_says_so() -> None:
    decision = manager(settings=ManagerSettings(power_cap=1.0)).decide(0.0)
    assert clock(decision) < GPU[2]
    assert decision.reports[0].decision.sub_network == 's0'
    assert 'the least is chosen' in decision.message


def test_power_beside_ours_lowers_what_plans_may_take() -> None:
    subject = manager(settings=ManagerSettings(power_cap=9.0))
    subject.set_target(Target(FRONT, latency=0.05, objective=Objective.MAXIMUM_ACCURACY), 5)
    decision = subject.decide(0.0)
    now = 1.1
    for _ in range(100):
        subject.observe_load(load(now, power=decision.power + 3.0), now)
        subject.observe(ALIVE, now)
        decision = subject.decide(now)
        now += 0.1
    assert decision.power <= 9.0 - 2.5
    assert 'go to what is not ours' in decision.message


def test_without_power_rails_it_decides_by_the_profile() -> None:
    subject = manager(settings=ManagerSettings(power_cap=6.0))
    subject.decide(0.0)
    subject.observe_load(load(0.1, power=math.nan, temperature=math.nan), 0.1)
    assert subject.decide(0.1).power <= 6.0


def test_a_temperature_limit_that_cannot_be_kept_is_said_to_be() -> None:
    subject = manager(operating_points(power=False), ManagerSettings(temperature_limit=70.0))
    assert 'temperature' not in subject.decide(0.0).message
    subject.observe_load(load(0.1, temperature=69.0), 0.1)
    assert 'tell its power, so plans cannot be given less' in subject.decide(0.1).message
    subject.observe_load(load(0.2, temperature=50.0), 0.2)
    assert 'temperature' not in subject.decide(0.2).message


def test_a_load_that_comes_too_late_or_twice_changes_nothing() -> None:
    subject = manager()
    subject.observe_load(load(5.0), 0.1)
    before = subject.decide(0.1)
    lower = replace(DOMAIN, limit_maximum=GPU[0])
    assert not subject.observe_load(load(4.9, lower), 0.15)
    assert not subject.observe_load(load(5.0), 0.16)
    assert subject.decide(0.2).setting == before.setting


def test_a_load_that_lacks_a_domain_for_a_while_leaves_that_clock_alone() -> None:
    subject = manager()
    assert subject.decide(0.0).setting is not None
    other = DomainLoad('cpu', (1e9, 2e9), 1e9, 2e9, 2e9)
    assert subject.observe_load(load(0.1, other), 0.1)
    assert subject.decide(0.1).setting is None
    subject.observe_load(load(0.2), 0.2)
    assert subject.decide(0.2).setting is not None


def test_a_table_that_changes_with_the_power_mode_is_kept_to_at_once() -> None:
    subject = manager()
    subject.set_target(Target(FRONT, latency=0.008), 5)
    assert clock(subject.decide(0.0)) > GPU[2]
    lower = replace(DOMAIN, available=GPU[:3], limit_maximum=GPU[2], granted=GPU[2])
    assert subject.observe_load(load(0.1, lower), 0.1)
    assert clock(subject.decide(0.1)) in GPU[:3]
    # Profile and platform share no frequency any more.
    strange = replace(DOMAIN, available=(1.5e8, 6e8), limit_minimum=1.5e8, limit_maximum=6e8)
    subject.observe_load(load(0.2, strange), 0.2)
    assert subject.decide(0.2).setting is None


def test_clocks_that_jump_cost_no_target_and_no_clock() -> None:
    subject = manager()
    subject.decide(0.0)
    # The computer slept: the load is stale, the application silent.
    decision = subject.decide(3600.0)
    assert decision.platform_state is PlatformState.STALE
    assert decision.setting is None
    assert subject.targets.get(FRONT) is not None
    # A target stamped in the future does not block those that follow.
    subject.set_target(Target(FRONT, latency=0.04, stamp=10**18), 2 * 10**9)
    assert subject.set_target(Target(FRONT, latency=0.03), 3 * 10**9).latency == 0.03
    # The platform node starts again: its clock begins anew.
    subject.observe_load(load(9000.0), 3600.1)
    assert subject.observe_load(load(1.0, instance='second', power=4.0), 3605.0)
    assert subject.decide(3605.0).platform_state is PlatformState.FRESH
