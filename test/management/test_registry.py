# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable

import pytest

from dynamic_dnn_ros.management.baselines.static import Static
from dynamic_dnn_ros.management.decisions import Mode, TargetState
from dynamic_dnn_ros.management.manager import ManagerSettings
from dynamic_dnn_ros.management.registry import (
    DECIDERS,
    GROUP,
    UnknownDeciderError,
    create_decider,
    decider_names,
)
from dynamic_dnn_ros.management.targets import Target, TargetError
from support.applications import application, served_frame
from support.scenarios import FRONT


@pytest.mark.parametrize('name', DECIDERS)
def test_each_keeps_the_contract(name: str) -> None:
    decider = create_decider(name, 'me')
    assert decider.instance == 'me'
    assert decider.add_application(application(FRONT, sub_network='s2'), 0.0)
    assert list(decider.applications) == [FRONT]
    decider.set_target(Target(FRONT, latency=0.03), 1)
    for index in range(30):
        status = served_frame(FRONT, f'instance of {FRONT}', 's2', 0.02, received=index)
        decider.observe(status, 0.05 * index)
    decision = decider.reported(decider.choose(2.0))
    (report,) = decision.reports
    assert report.application == FRONT and report.target is not None
    assert decider.ask(Target(FRONT, latency=0.01), 0.1).state is TargetState.ANSWERED
    decider.refuse_target(FRONT, 'test', TargetError('latency', -1, 'is negative', 'Give 0'))
    (report,) = decider.reported(decider.choose(2.5)).reports
    assert report.state is TargetState.REFUSED and 'is negative' in report.message
    assert decider.remove_application(FRONT)
    assert not decider.applications


@pytest.mark.parametrize('name', DECIDERS)
def test_advise_changes_nothing(name: str) -> None:
    decider = create_decider(name, 'me', ManagerSettings(mode=Mode.ADVISE))
    decider.add_application(application(FRONT, sub_network='s2'), 0.0)
    decider.set_target(Target(FRONT, latency=0.001), 1)
    decision = decider.decide(5.0)
    assert decision.switches == () and decision.setting is None


@pytest.mark.parametrize(
    ('latency', 'state'), [(0.02, TargetState.MISSED), (0.04, TargetState.MET)]
)
def test_what_predicts_nothing_judges_by_what_was_measured(
    latency: float, state: TargetState
) -> None:
    decider = create_decider('largest', 'me')
    decider.add_application(application(FRONT, sub_network='s2'), 0.0)
    decider.set_target(Target(FRONT, latency=latency), 1)
    (report,) = decider.reported(decider.choose(0.0)).reports
    assert report.state is TargetState.PENDING
    for index in range(30):
        status = served_frame(FRONT, f'instance of {FRONT}', 's2', 0.03, received=index)
        decider.observe(status, 0.05 * index)
    (report,) = decider.reported(decider.choose(2.0)).reports
    assert report.state is state
    assert report.measured[0] == pytest.approx(0.03, abs=0.005)


def test_another_package_adds_one(offer: Callable[..., None]) -> None:
    offer(GROUP, theirs='support.deciders:second_largest')
    assert decider_names()[-1] == 'theirs'
    assert isinstance(create_decider('theirs', 'me'), Static)


def test_unknown_name_says_what_is_known() -> None:
    with pytest.raises(UnknownDeciderError, match="'dice' is unknown. Choose one of: dynamic_dnn"):
        create_decider('dice', 'me')


def test_one_that_cannot_be_loaded_is_named(offer: Callable[..., None]) -> None:
    offer(GROUP, 'raise OSError("no libm")', theirs='HERE:decider')
    with pytest.raises(UnknownDeciderError, match=r"decider 'theirs', .*: OSError: no libm"):
        create_decider('theirs', 'me')
