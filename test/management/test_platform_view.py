# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What may be set on a platform, and what others take of it."""

from __future__ import annotations

from dataclasses import replace
import math
from typing import Any

import pytest

from dynamic_dnn_ros.management.decisions import PlatformState
from dynamic_dnn_ros.management.observations import DomainLoad, Load, Status, StatusEvent
from dynamic_dnn_ros.management.platform_view import FOREIGN_WINDOW, PlatformView
from dynamic_dnn_ros.management.tables import JointTable, application_table, join
from dynamic_dnn_ros.platforms.load_source import LEAST_STALE
from support.applications import GPU, application, operating_points


def load(**fields: Any) -> Load:
    values: dict[str, Any] = {
        'name': 'gpu',
        'available': GPU,
        'limit_minimum': GPU[0],
        'limit_maximum': GPU[-1],
        'granted': GPU[2],
        'utilisation_foreign': 0.0,
    }
    values.update(fields)
    return Load('board', 'boot', 0.1, (DomainLoad(**values),))


def joint() -> JointTable:
    return join([application_table(application())])


def chosen(view: PlatformView, table: JointTable, now: float = 0.0) -> list[float]:
    return [table.frequencies(int(s))['gpu'] for s in view.choice(table, now).settings]


def test_without_a_platform_the_highest_setting_is_assumed_and_nothing_set() -> None:
    view = PlatformView()
    assert view.state(0.0) is PlatformState.NONE
    assert not view.choice(joint(), 0.0).controllable
    assert chosen(view, joint()) == [GPU[-1]]


def test_offers_what_limits_and_floors_allow() -> None:
    view = PlatformView({'gpu': 400e6})
    view.observe(load(limit_maximum=900e6), 0.0)
    assert chosen(view, joint()) == [510e6, 803.25e6]
    view.observe(load(limit_minimum=600e6), 0.0)
    assert chosen(view, joint()) == [803.25e6, 1109.25e6]


def test_another_number_of_cores_is_another_offer() -> None:
    view = PlatformView()
    view.observe(load(), 0.0)
    ours = {'name': 'cpu', 'utilisation_own': 0.2}
    told = []
    for step in range(1, 40):
        now = 0.1 * step
        view.cores.hear(
            Status('/a', 'one', StatusEvent.SERVED, 's0', 'cpu', busy={'cpu': 0.8 * now}), now
        )
        one = replace(
            load(),
            domains=(*load().domains, replace(load().domains[0], **ours)),
            monotonic_time=now,
        )
        view.observe(one, now)
        told.append((view.cores.number, view.offer_changed))
    # Once for the domain that is new, once for what is known of it.
    assert [number for number, changed in told if changed] == [1, 4]


def test_a_floor_above_the_limit_yields_to_the_limit() -> None:
    view = PlatformView({'gpu': 1e9})
    view.observe(load(limit_maximum=600e6), 0.0)
    assert chosen(view, joint()) == [510e6]


def test_frequencies_off_the_table_are_left_out() -> None:
    view = PlatformView()
    view.observe(load(available=(114.75e6, 510.0001e6, 900e6)), 0.0)
    assert chosen(view, joint()) == [114.75e6, 510e6]
    assert view.snapped('gpu', 510e6) == 510.0001e6


def test_without_a_setting_in_common_nothing_is_set() -> None:
    view = PlatformView()
    view.observe(load(available=(200e6, 700e6), granted=700e6), 0.0)
    choice = view.choice(joint(), 0.0)
    assert not choice.controllable
    assert chosen(view, joint()) == [803.25e6]


def test_a_domain_that_cannot_be_set_stays_where_it_runs() -> None:
    view = PlatformView()
    view.observe(load(available=(), granted=500e6), 0.0)
    choice = view.choice(joint(), 0.0)
    assert not choice.controllable
    assert chosen(view, joint()) == [510e6]


def test_one_domain_set_and_one_not() -> None:
    table = join(
        [
            application_table(application('/a')),
            application_table(
                application('/b', operating_points=operating_points((1e9, 2e9), domain='cpu'))
            ),
        ]
    )
    view = PlatformView()
    gpu = load().domains[0]
    cpu = DomainLoad('cpu', (), 1e9, 2e9, 1.1e9)
    view.observe(Load('board', 'boot', 0.1, (gpu, cpu)), 0.0)
    choice = view.choice(table, 0.0)
    assert choice.domains == ('gpu',)
    assert {table.frequencies(int(s))['cpu'] for s in choice.settings} == {1e9}
    assert len(choice.settings) == len(GPU)


def test_tables_without_domains_leave_the_clocks_alone() -> None:
    table = join([application_table(application(operating_points=operating_points(())))])
    view = PlatformView()
    view.observe(load(), 0.0)
    choice = view.choice(table, 0.0)
    assert not choice.controllable
    assert choice.settings.tolist() == [0]


def test_a_platform_that_is_silent_is_stale() -> None:
    view = PlatformView()
    view.observe(load(), 10.0)
    assert view.state(10.0 + LEAST_STALE) is PlatformState.FRESH
    assert view.state(10.1 + LEAST_STALE) is PlatformState.STALE
    assert not view.choice(joint(), 10.1 + LEAST_STALE).controllable
    assert view.observe(load(), 20.0)


def test_another_platform_is_left_out_while_the_first_is_heard() -> None:
    view = PlatformView()
    view.observe(load(), 0.0)
    assert not view.observe(replace(load(limit_maximum=GPU[0]), platform='linux'), 0.1)
    assert chosen(view, joint(), 0.1) == list(GPU)
    assert view.observe(replace(load(limit_maximum=GPU[0]), platform='linux'), 5.0)
    assert chosen(view, joint(), 5.0) == [GPU[0]]


def test_foreign_load_is_believed_at_once_and_forgotten_slowly() -> None:
    view = PlatformView()
    view.observe(load(utilisation_foreign=0.5, granted=800e6), 0.0)
    view.observe(load(utilisation_foreign=0.01, granted=800e6), 0.1)
    assert view.foreign() == {'gpu': pytest.approx(400e6)}
    view.observe(load(utilisation_foreign=math.nan), FOREIGN_WINDOW + 0.5)
    assert view.foreign() == {}


def test_what_others_kept_busy_at_a_lower_clock_is_no_more_for_a_clock_that_rose() -> None:
    """The first load after a setting tells of the time before it, and of the new clock."""
    view = PlatformView()
    for now, granted, busy in (
        (0.0, 500e6, 0.6), (0.1, 500e6, 0.6), (0.103, 1000e6, 0.6), (0.11, 1100e6, 0.6),
        (0.2, 1000e6, 0.31), (0.3, 1000e6, 0.3),
    ):  # fmt: skip
        view.observe(load(utilisation_foreign=busy, granted=granted), now)
        assert view.foreign() == {'gpu': pytest.approx(300e6)}
    view.observe(load(utilisation_foreign=0.5, granted=1000e6), 0.4)
    assert view.foreign() == {'gpu': pytest.approx(500e6)}


def test_cycles_of_others_are_not_known_where_the_clock_is_not() -> None:
    view = PlatformView()
    view.observe(load(utilisation_foreign=0.5, granted=math.nan), 0.0)
    assert view.foreign() == {}


def test_load_of_a_domain_that_is_no_longer_reported_is_forgotten_too() -> None:
    view = PlatformView()
    view.observe(load(utilisation_foreign=0.5), 0.0)
    view.observe(load(name='cpu'), 1.0)
    assert list(view.foreign()) == ['gpu']
    view.observe(load(name='cpu'), FOREIGN_WINDOW + 0.5)
    assert view.foreign() == {}


def test_says_when_others_need_notably_more_than_before() -> None:
    view = PlatformView()
    rose = []
    for utilisation in (0.0, 0.1, 0.11, 0.05, 0.12, 0.3, math.nan):
        view.observe(load(utilisation_foreign=utilisation, granted=GPU[-1]), 0.0)
        rose.append(view.foreign_rose)
    assert rose == [False, True, False, False, False, True, False]


def test_says_when_what_may_be_set_changes() -> None:
    view = PlatformView()
    assert view.observe(load(), 0.0)
    assert not view.observe(load(granted=GPU[0], utilisation_foreign=0.3), 0.1)
    assert view.observe(load(limit_maximum=GPU[2]), 0.2)


def test_a_load_that_arrives_out_of_order_is_ignored() -> None:
    view = PlatformView()
    view.observe(replace(load(), monotonic_time=5.0), 0.0)
    assert not view.observe(replace(load(limit_maximum=GPU[0]), monotonic_time=4.9), 0.1)
    assert chosen(view, joint(), 0.1) == list(GPU)
    restarted = replace(load(limit_maximum=GPU[0]), monotonic_time=1.0, instance='new')
    assert view.observe(restarted, 0.2)


def test_limits_that_are_not_known_do_not_change_with_each_sample() -> None:
    def unknown() -> Load:
        return load(available=(), limit_minimum=float('nan'), limit_maximum=float('nan'))

    view = PlatformView()
    assert view.observe(unknown(), 0.0)
    assert view.offer_changed
    assert not view.observe(unknown(), 0.1)
    assert not view.offer_changed
