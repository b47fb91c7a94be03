# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which applications are there, and what is remembered of them."""

from __future__ import annotations

from dataclasses import replace
import math

import pytest

from dynamic_dnn_ros.management.assignment import Assignment
from dynamic_dnn_ros.management.camera_variation import FRAMES_NEEDED
from dynamic_dnn_ros.management.measurements import ENOUGH
from dynamic_dnn_ros.management.observations import ApplicationState, Status, StatusEvent
from dynamic_dnn_ros.management.records import (
    IDS_KEPT_ASIDE,
    KEPT_ASIDE,
    LEAVE_TAKING,
    LONGEST_PAUSE,
    SILENT_AFTER,
    SUCCEEDED_AFTER,
    ApplicationRecord,
    Registry,
)
from dynamic_dnn_ros.management.targets import Target
from support.applications import GPU, STAGES, application, empty_points, operating_points

FRONT = '/front/inference_node'


def test_what_was_learnt_stays_while_the_profile_does() -> None:
    registry = Registry(1.0)
    record, changed = registry.add(application(), 0.0)
    assert record is not None and changed
    table = record.table
    record.learnt.update(2.0, 0.1)
    assert registry.add(application(sub_network='s1'), 1.0) == (None, False)
    assert record.table is table
    assert record.learnt.slow_down.observations == 1
    assert record.assignment.actual == ('s1', 'gpu')
    other = application(operating_points=operating_points(GPU[:2]))
    assert registry.add(other, 2.0) == (None, True)
    assert record.table is not table
    assert record.learnt.slow_down.observations == 0


def test_one_that_starts_again_and_again_has_one_table() -> None:
    registry = Registry(1.0)
    first, _ = registry.add(application(), 0.0)
    assert first is not None and first.table is not None
    for index in range(1, 4):
        again = application(instance=f'start {index}', started=index)
        registry.add(again, index * (SUCCEEDED_AFTER + 0.1))
        record = registry.get(FRONT)
        assert record is not None and record.application.instance == f'start {index}'
        assert record.table is first.table
    last = application(instance='last', started=9, operating_points=operating_points(GPU[:2]))
    registry.add(last, 4 * (SUCCEEDED_AFTER + 0.1))
    record = registry.get(FRONT)
    assert record is not None and record.table is not first.table


def test_points_are_seen_as_the_scene_has_them_and_laid_out_once() -> None:
    registry = Registry(1.0)
    record, _ = registry.add(application(), 0.0)
    assert record is not None
    assert record.seen(0.95) is record.table
    assert registry.add(application(stages={'s3': STAGES}), 1.0) == (None, True)
    seen = record.seen(0.95)
    assert seen is not None and record.table is not None
    assert seen.mean[3, 0] < record.table.mean[3, 0]
    assert record.seen(0.95) is seen
    assert record.seen(0.5) is not seen
    assert record.seen(0.95) is seen
    assert record.path_variation(0.95) == 0.0, 'the quantile tells of the longest path'
    assert record.path_variation(0.5) > 0.0
    while not record.learnt.scene.observe(0.9, 1.0):
        pass
    harder = record.seen(0.95)
    assert harder is not None
    assert seen.mean[3, 0] < harder.mean[3, 0] < record.table.mean[3, 0]
    assert harder.difficulty == record.learnt.scene.in_use
    assert registry.add(application(stages={}), 2.0) == (None, True)
    assert record.seen(0.95) is record.table


def test_operating_points_are_kept_once_as_a_table() -> None:
    registry = Registry(1.0)
    record, _ = registry.add(application(), 0.0)
    assert record is not None and record.table is not None
    assert len(record.application.operating_points) == 0
    table = record.table
    points = operating_points()
    cheaper = replace(points, energy=points.energy * 0.5)
    assert registry.add(application(operating_points=cheaper), 1.0) == (None, True)
    assert record.table is not table
    table = record.table
    registry.drop_silent(1.1 + SILENT_AFTER)
    back, _ = registry.hear(FRONT, application().instance, 10.0)
    assert back is not None
    assert back.table is table


def test_an_accuracy_that_was_measured_anew_counts() -> None:
    registry = Registry(1.0)
    accuracies = {'s0': 0.7, 's1': math.nan, 's2': 0.9, 's3': 0.92}
    record, _ = registry.add(application(accuracies=accuracies), 0.0)
    assert record is not None and record.table is not None
    table = record.table
    assert registry.add(application(accuracies=dict(accuracies)), 1.0) == (None, False)
    assert record.table is table
    accuracies['s1'] = 0.8
    assert registry.add(application(accuracies=accuracies), 2.0) == (None, True)
    assert record.table.accuracy.tolist() == [0.7, 0.8, 0.9, 0.92]


def test_of_one_that_dies_again_and_again_few_instances_are_remembered() -> None:
    registry = Registry(1.0)
    instances = [str(number) for number in range(10)]
    for number, instance in enumerate(instances):
        now = number * 2 * SILENT_AFTER
        registry.drop_silent(now)
        record, _ = registry.add(application(instance=instance, started=number), now)
        assert record is not None
    registry.drop_silent(1000.0)
    known = [i for i in instances if registry.hear(FRONT, i, 2000.0 + 10 * int(i))[0]]
    assert known == instances[-KEPT_ASIDE:]


def test_an_application_comes_back_from_silence() -> None:
    registry = Registry(1.0)
    registry.add(application(), 0.0)
    assert registry.drop_silent(SILENT_AFTER) == []
    assert registry.drop_silent(SILENT_AFTER + 0.1) == [FRONT]
    assert FRONT not in registry
    record, new = registry.hear(FRONT, application().instance, 10.0)
    assert record is not None and new
    assert FRONT in registry


def test_a_later_instance_takes_over_once_the_first_is_silent() -> None:
    registry = Registry(1.0)
    registry.add(application(), 0.0)
    second = application(instance='second', started=2)
    assert registry.add(second, 0.1) == (None, False)
    assert registry.hear(FRONT, 'second', 0.2) == (None, False)
    record, new = registry.hear(FRONT, 'second', SUCCEEDED_AFTER + 0.1)
    assert new and record is not None
    assert record.application.instance == 'second'


def test_one_that_was_succeeded_is_known_when_the_later_one_gives_way() -> None:
    registry = Registry(1.0)
    first = application()
    registry.add(first, 0.0)
    second = application(instance='second', started=2)
    registry.add(second, 1.0)
    assert registry.hear(FRONT, 'second', SUCCEEDED_AFTER + 0.1)[1]
    assert registry.hear(FRONT, first.instance, 2.0) == (None, False)
    registry.add(replace(second, state=ApplicationState.DEPARTED), 2.1)
    record, new = registry.hear(FRONT, first.instance, 2.2)
    assert new and record is not None
    assert record.application.instance == first.instance


def test_a_departure_of_another_instance_means_nothing() -> None:
    registry = Registry(1.0)
    registry.add(application(), 0.0)
    gone = replace(application(instance='second'), state=ApplicationState.DEPARTED)
    assert registry.add(gone, 0.1) == (None, False)
    assert FRONT in registry
    gone = replace(application(), state=ApplicationState.DEPARTED)
    assert registry.add(gone, 0.1) == (None, True)
    assert list(registry) == []


def test_one_that_goes_on_speaking_has_not_left() -> None:
    """Whoever said so in its name: it presents itself only once."""
    registry = Registry(1.0)
    record, _ = registry.add(application(), 0.0)
    assert record is not None
    table, instance = record.table, application().instance
    assert registry.add(replace(application(), state=ApplicationState.DEPARTED), 1.0)[1]
    assert registry.hear(FRONT, instance, 1.1) == (None, False), 'said before it left'
    back, new = registry.hear(FRONT, instance, 1.0 + LEAVE_TAKING)
    assert new and back is not None and back.table is table
    assert FRONT in registry


def test_of_many_ids_the_last_ones_are_remembered() -> None:
    registry = Registry(1.0)
    for number in range(3 * IDS_KEPT_ASIDE):
        now = 10.0 * number
        registry.drop_silent(now)
        registry.add(application(f'/a{number}', instance='i'), now)
    registry.drop_silent(1e6)
    known = [n for n in range(3 * IDS_KEPT_ASIDE) if registry.hear(f'/a{n}', 'i', 2e6)[0]]
    assert known == list(range(2 * IDS_KEPT_ASIDE, 3 * IDS_KEPT_ASIDE))


def test_strangers_are_not_heard() -> None:
    assert Registry(1.0).hear(FRONT, 'x', 0.0) == (None, False)


def test_has_a_choice_until_all_is_refused() -> None:
    registry = Registry(1.0)
    record, _ = registry.add(application(), 0.0)
    assert record is not None and record.table is not None
    record.exclude(record.table.options[:3], 0.0, 5.0, 'no')
    assert record.has_choice(1.0)
    record.exclude(record.table.options[3:], 0.0, 5.0, 'no')
    assert not record.has_choice(1.0)
    assert record.has_choice(5.0)
    registry.add(application('/b', operating_points=empty_points()), 0.0)
    assert not registry['/b'].has_choice(0.0)


def test_a_refusal_ends_when_the_application_presents_itself_anew() -> None:
    registry = Registry(1.0)
    record, _ = registry.add(application(), 0.0)
    assert record is not None and record.table is not None
    others = (
        application(operating_points=operating_points(GPU[:2])),
        application(operating_points=operating_points(GPU[:2]), state=ApplicationState.INACTIVE),
    )
    for other in others:
        record.exclude(record.table.options, 0.0, 5.0, 'no')
        assert not record.has_choice(0.1)
        registry.add(other, 0.2)
        assert not any(record.is_excluded(option, 0.2) for option in record.table.options)
        assert record.refusal == ''


def test_the_pause_after_a_refusal_has_an_end() -> None:
    record, _ = Registry(1.0).add(application(), 0.0)
    assert record is not None
    for _ in range(100):
        record.exclude([('s1', 'gpu')], 0.0, 30.0, 'no')
    assert not record.is_excluded(('s1', 'gpu'), LONGEST_PAUSE)


def test_a_target_asked_for_again_needs_no_new_handover() -> None:
    target = Target(FRONT, latency=0.1, sender='a', stamp=1)
    one = Assignment(application(target=target))
    assert one.is_handed_over(replace(target, stamp=9))
    assert not one.is_handed_over(replace(target, sender='b'))
    assert not one.is_handed_over(None)
    one = Assignment(application())
    assert not one.is_handed_over(target)
    assert one.is_handed_over(None)


def held(adopted: bool, rate: float) -> ApplicationRecord:
    """Return an application that is left alone for 3 s from time 0, and its camera heard."""
    record, _ = Registry(1.0).add(application(), 0.0)
    assert record is not None
    record.adopted = adopted
    record.hold(0.0, 3.0)
    for frame in range(int(rate)):
        status = Status(
            FRONT, 'instance', StatusEvent.SERVED, 's3', 'gpu', total=0.01, received=frame
        )
        record.learnt.measurements.count(status, frame / rate)
    return record


@pytest.mark.parametrize(
    ('adopted', 'rate', 'until'),
    [(True, 30.0, 3.0), (True, 10.0, 4.0), (True, 5.0, 8.0), (True, 2.0, 9.0), (False, 5.0, 3.0)],
)
def test_who_was_taken_over_is_left_alone_until_a_slow_camera_could_be_known(
    adopted: bool, rate: float, until: float
) -> None:
    record = held(adopted, rate)
    assert record.is_held(until - 0.1) and not record.is_held(until + 0.1)


def test_a_late_frame_ends_that_a_slow_camera_is_waited_for() -> None:
    record = held(True, 5.0)
    record.release_when_late(2.9)
    assert record.is_held(2.9)
    record.release_when_late(3.1)
    assert not record.is_held(3.1)


def test_who_was_taken_over_is_left_alone_until_its_camera_is_known_too() -> None:
    for adopted in (True, False):
        record = held(adopted, 30.0)
        for _ in range(ENOUGH):
            record.learnt.update(1.0, 0.05)
        record.release_when_known()
        assert record.is_held(1.0) is adopted
        for frame in range(FRAMES_NEEDED):
            sent = 5.0 + frame / 30
            status = Status(
                FRONT, 'instance', StatusEvent.SERVED, 's3', 'gpu',
                preprocessing=0.0, inference=0.01, total=0.01, sent=sent,
            )  # fmt: skip
            record.learnt.measurements.frame(status, 1 / 30)
        record.release_when_known()
        assert not record.is_held(1.0)
