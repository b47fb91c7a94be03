# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest

from dynamic_dnn_ros.management.manager import Manager
from dynamic_dnn_ros.management.observations import DomainLoad, Load
from dynamic_dnn_ros.management.targets import Target, TargetError
from dynamic_dnn_ros.management.words import (
    in_unit,
    limit_title,
    milliseconds,
    paths_text,
    percent,
    quantity,
    told_apart,
)
from support.applications import GPU, application

FRONT = '/front/inference_node'


@pytest.mark.parametrize(
    ('name', 'metric', 'title'),
    [
        ('accuracy', 'map_50_95', 'accuracy (AP 50:95)'),
        ('accuracy', 'top1', 'accuracy (top-1)'),
        ('accuracy', 'of_another_package', 'accuracy (of_another_package)'),
        ('accuracy', '', 'accuracy'),
        ('latency', 'top1', 'latency'),
    ],
)
def test_accuracy_is_named_with_its_metric(name: str, metric: str, title: str) -> None:
    assert limit_title(name, metric) == title


@pytest.mark.parametrize(
    ('shares', 'text'),
    [
        ((0.62, 0.3, 0.08), '62% leave at first, 30% at middle, 8% at last'),
        ((0.0, 0.7, 0.3), '70% leave at middle, 30% at last'),
        ((0.998, 0.001, 0.001), '100% leave at first'),
    ],
)
def test_shares_of_paths_are_said_by_stage(shares: tuple[float, ...], text: str) -> None:
    assert paths_text(('first', 'middle', 'last'), shares) == text
    assert paths_text((), ()) == ''


def test_units() -> None:
    assert in_unit('latency', 0.0251) == '25.1 ms'
    assert in_unit('accuracy', 0.31) == '31.0%'
    assert (milliseconds(0.0251), quantity(98.26, '.1f', '%')) == ('25.1 ms', '98.3%')
    assert milliseconds(math.nan) == quantity(math.inf, '.1f') == percent(math.nan) == '–'


def test_a_limit_that_is_just_missed_does_not_read_as_met() -> None:
    assert told_apart('accuracy', 0.8478, 0.85) == ('84.8%', '85.0%')
    assert told_apart('accuracy', 0.8497, 0.85) == ('84.97%', '85.00%')
    assert told_apart('latency', 0.0401, 0.04) == ('40.1 ms', '40 ms')


@pytest.mark.parametrize(
    ('share', 'text'),
    [(1.0, '100.0%'), (0.99999, '99.9%'), (0.853, '85.3%'), (1e-6, '0.1%'), (0.0, '0.0%')],
)
def test_what_is_nearly_all_is_not_said_to_be_all(share: float, text: str) -> None:
    assert percent(share) == text


def test_sentences_of_the_manager_name_the_metric() -> None:
    subject = Manager('me')
    subject.observe_load(
        Load('board', 'boot', 0.1, (DomainLoad('gpu', GPU, GPU[0], GPU[-1], GPU[-1]),)), 0.0
    )
    subject.add_application(application(FRONT, metric='map_50_95'), 0.0)
    subject.set_target(Target(FRONT, accuracy=0.95), 1)
    (report,) = subject.decide(0.0).reports
    assert report.metric == 'map_50_95'
    assert 'accuracy (AP 50:95) 95.0% (expected: 92.0%)' in report.message
    assert report.runner_up_reason == 'its accuracy (AP 50:95) of 90.0% misses 95.0%'
    answer = subject.ask(Target(FRONT, latency=0.03, accuracy=0.95), 0.1)
    assert 'It would miss accuracy (AP 50:95) 95.0% (expected: 92.0%)' in answer.message
    assert answer.metric == 'map_50_95'


@pytest.mark.parametrize('field', ['latency', 'accuracy', 'energy', 'rate'])
def test_a_limit_that_nobody_can_mean_is_refused(field: str) -> None:
    with pytest.raises(TargetError, match=f'{field} = 1e[+]300 is above') as error:
        Target(FRONT, **{field: 1e300})
    assert error.value.field == field
