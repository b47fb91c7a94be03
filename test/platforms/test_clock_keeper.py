# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The life of a lease: guard, apply, renew, relieve, restore, retry; time is an argument."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest

from dynamic_dnn_ros.platforms.clock_keeper import Answer, ClockKeeper, Log
from dynamic_dnn_ros.platforms.contract import (
    DomainLimits,
    DomainRange,
    DomainState,
    HardwareError,
    LimitsFound,
    Notice,
    NoticeKind,
    Platform,
    PlatformError,
    PlatformKind,
    PlatformSample,
    StateError,
)
from dynamic_dnn_ros.platforms.lease import SILENT_SHARE, Setting, SettingResult

NOW = 1000.0
LEASE = 2.0
GPU = DomainRange('gpu', 4e8, 4e8)
SETTING = Setting('board', 'boot', 'manager_1', 1, NOW, LEASE, False, (GPU,))
STATE = DomainState('gpu', (1e8, 2e8, 4e8), 1e8, 4e8, None, 4e8, 0.0, 0.0, 'nvhost_podgov')
FOUND = (LimitsFound('min_freq', 'max_freq', '100000000', '400000000'),)


class Board(Platform):
    """A board with one clock, whose file may refuse; it notes what happens to it, in order."""

    id = 'board'
    kind = PlatformKind.MEASURED
    processors = ('gpu',)

    def __init__(self, events: list[str]) -> None:
        self.events = events
        self.found = FOUND
        self.in_force: tuple[DomainRange, ...] = ()
        self.refuses_apply = False
        self.refuses_restore = False
        self.grants = 4e8
        self.notices: tuple[Notice, ...] = ()

    def limits(self) -> tuple[DomainLimits, ...]:
        return (DomainLimits('gpu', (1e8, 2e8, 4e8), 1e8, 4e8),)

    def observe(
        self,
        now: float,
        application: str,
        instance: str,
        processor: str,
        busy: Mapping[str, float],
        frames: int = 0,
    ) -> None:
        raise AssertionError('a keeper does not observe applications')

    def read(self, now: float) -> PlatformSample:
        return PlatformSample((STATE,), power={'VDD_IN': now}, notices=self.notices)

    def limits_found(self) -> tuple[LimitsFound, ...]:
        return self.found

    def apply(self, now: float, setting: Sequence[DomainRange]) -> tuple[DomainRange, ...]:
        self.events.append('apply')
        if self.refuses_apply:
            raise HardwareError('max_freq', 'refused 400000000', 'Look into the kernel log')
        self.in_force = tuple(setting)
        return tuple(replace(row, maximum=min(row.maximum, self.grants)) for row in setting)

    def restore(self, now: float) -> None:
        self.events.append('restore')
        if self.refuses_restore:
            raise HardwareError('min_freq', 'refused 100000000', 'It is tried again')
        self.in_force = ()


class Watcher:
    """A guard that may be mute, or find something that an earlier run left behind."""

    def __init__(self, events: list[str]) -> None:
        self.events = events
        self.armed: tuple[LimitsFound, ...] = ()
        self.expiry: float | None = None
        self.unreadable = False
        self.left_behind: tuple[LimitsFound, ...] = ()
        self.mute = False
        self.stuck = False

    def recover(self) -> tuple[LimitsFound, ...]:
        self.events.append('recover')
        if self.unreadable:
            raise StateError('state.json', 'holds no limits', 'Delete the file')
        if self.stuck:
            raise PlatformError('state.json', 'cannot be restored', 'Write it back by hand')
        return self.left_behind

    def arm(self, found: Sequence[LimitsFound], expiry: float | None = None) -> None:
        self.events.append('arm')
        if self.mute:
            raise PlatformError('guard process 7', 'does not answer', 'No clock is set without it')
        self.armed, self.expiry = tuple(found), expiry

    def disarm(self) -> None:
        self.events.append('disarm')
        self.armed = ()
        if self.mute:
            raise PlatformError('guard process 7', 'does not answer', 'It was ended')

    def close(self) -> None:
        self.events.append('close')


class House:
    """A keeper, its board and its guard; what was logged, by severity; what happened, in order."""

    def __init__(
        self,
        change_board: Callable[[Board], None] = lambda _: None,
        change_guard: Callable[[Watcher], None] = lambda _: None,
    ) -> None:
        self.events: list[str] = []
        self.logged: dict[str, list[str]] = {
            severity: [] for severity in ('info', 'warning', 'error', 'complaint')
        }
        self.board, self.guard = Board(self.events), Watcher(self.events)
        change_board(self.board)
        change_guard(self.guard)
        self.keeper = ClockKeeper(
            self.board,
            'boot',
            30.0,
            lambda: self.guard,
            Log(
                self.logged['info'].append,
                self.logged['warning'].append,
                self.logged['error'].append,
                lambda text, kind: self.logged['complaint'].append(text),
            ),
        )
        self.begun = self.events[:]
        self.events.clear()

    def take(self, now: float = NOW, **changes: object) -> Answer:
        return self.keeper.take(replace(SETTING, **{'issued': now, **changes}), now)  # type: ignore[arg-type]


@pytest.fixture
def house() -> House:
    return House()


def test_a_guard_is_armed_with_what_was_found_before_anything_is_written(house: House) -> None:
    assert house.begun == ['recover']
    assert house.take() == Answer(SettingResult.APPLIED, '', 1, 'manager_1')
    assert house.events == ['arm', 'apply']
    assert house.guard.armed == FOUND
    assert house.board.in_force == (GPU,)
    report = house.keeper.report(NOW + 0.5)
    assert (report.lease_manager, report.lease_remaining) == ('manager_1', 1.5)
    assert report.answer is house.keeper.answer
    assert report.sample.power == {'VDD_IN': NOW + 0.5}


def test_before_the_first_setting_there_is_nothing_to_say(house: House) -> None:
    report = house.keeper.report(NOW)
    assert report.answer == Answer(SettingResult.NONE, '', 0, '')
    assert (report.lease_manager, report.lease_remaining) == ('', 0.0)
    assert house.events == []
    assert not any(house.logged.values())


def test_a_lease_that_is_not_renewed_ends_once(house: House) -> None:
    house.take()
    assert not house.keeper.expire(NOW + LEASE - 0.001)
    assert house.board.in_force == (GPU,)
    assert house.keeper.expire(NOW + LEASE)
    assert house.board.in_force == ()
    assert house.guard.armed == ()
    assert house.keeper.answer == Answer(
        SettingResult.EXPIRED, 'the lease ran out; renew it in time', 1, 'manager_1'
    )
    assert house.logged['info'] == [
        'The limits found are in force again: the lease ran out; renew it in time'
    ]
    assert not house.keeper.expire(NOW + LEASE)
    assert house.events.count('restore') == 1


def test_a_renewal_moves_the_end(house: House) -> None:
    house.take()
    house.take(NOW + 1.0, sequence=2)
    assert not house.keeper.expire(NOW + LEASE)
    assert house.keeper.remaining(NOW + LEASE) == pytest.approx(1.0)
    assert 'restore' not in house.events
    assert house.keeper.expire(NOW + 1.0 + LEASE)


def test_another_manager_relieves_one_that_fell_silent(house: House) -> None:
    house.take()
    early = NOW + SILENT_SHARE * LEASE - 0.01
    refused = house.take(early, manager='manager_2')
    assert refused.refused
    assert refused.result is SettingResult.REFUSED_MANAGER
    assert house.keeper.holder(early) == 'manager_1'
    late = NOW + SILENT_SHARE * LEASE
    assert house.take(late, manager='manager_2', sequence=2).result is SettingResult.APPLIED
    assert house.keeper.holder(late) == 'manager_2'
    assert 'restore' not in house.events  # the clocks go on as they are
    assert house.take(late, sequence=3).result is SettingResult.REFUSED_MANAGER


def test_a_setting_that_meets_the_end_of_a_lease_is_taken(house: House) -> None:
    house.take()
    answer = house.take(NOW + LEASE, manager='manager_2')
    assert answer.result is SettingResult.APPLIED
    assert house.events == ['arm', 'apply', 'restore', 'disarm', 'arm', 'apply']
    assert house.logged['info'] == ['The limits found are in force again: the lease ran out']


def test_a_release_restores_and_frees_the_board(house: House) -> None:
    house.take()
    answer = house.take(sequence=2, release=True, lease=0.0)
    assert answer == Answer(SettingResult.RELEASED, '', 2, 'manager_1')
    assert house.events == ['arm', 'apply', 'restore', 'disarm']
    assert house.keeper.holder(NOW) == ''
    assert house.take(manager='manager_2').result is SettingResult.APPLIED


def test_a_refused_setting_costs_only_itself(house: House) -> None:
    house.take()
    answer = house.take(sequence=2, domains=(DomainRange('gpu', 5e8, 5e8),))
    assert answer.refused
    assert (answer.result, answer.sequence) == (SettingResult.REFUSED_FREQUENCY, 2)
    assert house.board.in_force == (GPU,)
    assert house.keeper.holder(NOW) == 'manager_1'
    assert house.logged['complaint'] == [f'Setting refused: {answer.text}']


def test_hardware_that_refuses_a_setting_ends_the_lease(house: House) -> None:
    house.take()
    house.board.refuses_apply = True
    answer = house.take(sequence=2)
    assert answer.result is SettingResult.REFUSED_HARDWARE
    assert 'Look into the kernel log' in answer.text
    assert house.keeper.holder(NOW) == ''
    assert house.board.in_force == ()
    assert house.guard.armed == ()


def test_a_file_that_refuses_to_be_restored_is_tried_again(house: House) -> None:
    house.take()
    house.board.refuses_restore = True
    assert house.keeper.expire(NOW + LEASE)
    assert house.keeper.unrestored == house.keeper.answer.text
    assert 'refused 100000000' in house.keeper.unrestored
    assert house.guard.armed == FOUND  # for the end of this process
    for second in (1.0, 2.0):
        house.keeper.retry(NOW + LEASE + second)
    assert house.events.count('restore') == 3
    assert len(house.logged['error']) == 1  # the same words once
    house.board.refuses_restore = False
    house.keeper.retry(NOW + LEASE + 3.0)
    assert (house.keeper.unrestored, house.guard.armed) == ('', ())
    assert house.logged['info'][-1] == 'The limits found are in force again'
    house.keeper.retry(NOW + LEASE + 4.0)
    assert house.events.count('restore') == 4


def test_a_release_says_what_could_not_be_restored(house: House) -> None:
    house.take()
    house.board.refuses_restore = True
    answer = house.take(sequence=2, release=True)
    assert answer.result is SettingResult.RELEASED
    assert 'refused 100000000' in answer.text


def test_what_is_left_over_becomes_part_of_the_next_setting(house: House) -> None:
    house.take()
    house.board.refuses_restore = True
    house.keeper.end(NOW)
    assert house.keeper.unrestored
    assert house.take(sequence=2).result is SettingResult.APPLIED
    assert house.keeper.unrestored == ''
    house.keeper.retry(NOW + 1.0)
    assert house.events.count('restore') == 1  # none while the lease lasts


def test_a_mute_guard_keeps_clocks_from_being_set(house: House) -> None:
    house.guard.mute = True
    answer = house.take()
    assert answer.result is SettingResult.REFUSED_HARDWARE
    assert 'does not answer' in answer.text
    assert 'apply' not in house.events
    assert house.keeper.holder(NOW) == ''


def test_a_mute_guard_keeps_nobody_from_giving_a_lease_back(house: House) -> None:
    house.take()
    house.guard.mute = True
    assert house.take(sequence=2, release=True) == Answer(
        SettingResult.RELEASED, '', 2, 'manager_1'
    )
    assert house.board.in_force == ()
    assert house.logged['complaint'] == ['guard process 7: does not answer. It was ended']


def test_each_report_of_a_lease_arms_the_guard_with_what_others_changed(house: House) -> None:
    house.take()
    changed = (replace(FOUND[0], maximum='200000000'),)
    house.board.found = changed
    house.keeper.report(NOW + 0.1)
    assert house.guard.armed == changed
    house.guard.mute = True
    assert house.keeper.report(NOW + 0.2).lease_manager == 'manager_1'
    assert 'does not answer' in house.logged['complaint'][-1]


def test_the_guard_knows_when_the_lease_ends_before_anything_is_written(house: House) -> None:
    house.take()
    assert house.events.index('arm') < house.events.index('apply')
    assert house.guard.expiry == NOW + LEASE
    house.take(NOW + 0.7, sequence=2)
    assert house.guard.expiry == NOW + 0.7 + LEASE
    house.keeper.report(NOW + 1.0)
    assert house.guard.expiry == NOW + 0.7 + LEASE


def test_where_it_is_not_known_what_was_found_no_clock_is_set() -> None:
    house = House(change_guard=lambda guard: setattr(guard, 'unreadable', True))
    assert house.begun == ['recover', 'close']
    assert house.logged['error'] == [house.keeper.unmanaged]
    answer = house.take()
    assert answer.result is SettingResult.REFUSED_HARDWARE and 'Delete the file' in answer.text
    assert house.events == [] and house.keeper.holder(NOW) == ''
    assert not any(domain.available for domain in house.keeper.report(NOW).sample.domains)


def test_a_report_without_a_lease_leaves_the_guard_alone(house: House) -> None:
    house.keeper.report(NOW)
    assert house.events == []


def test_a_board_without_anything_to_restore_needs_no_guard() -> None:
    house = House(lambda board: setattr(board, 'found', ()))
    assert house.begun == []
    house.take()
    assert house.events == ['apply']
    house.board.found = FOUND  # a file that came up later
    house.take(sequence=2)
    assert house.events == ['apply', 'recover', 'arm', 'apply']


def test_what_an_earlier_run_left_behind_is_said() -> None:
    house = House(change_guard=lambda guard: setattr(guard, 'left_behind', FOUND * 2))
    assert house.logged['warning'] == ['Restored 2 limits that an earlier run left behind']


def test_a_guard_that_cannot_recover_is_closed() -> None:
    guards: list[Watcher] = []

    def stuck(guard: Watcher) -> None:
        guard.stuck = True
        guards.append(guard)

    with pytest.raises(PlatformError, match='cannot be restored'):
        House(change_guard=stuck)
    assert guards[0].events == ['recover', 'close']


def test_a_clock_below_what_was_asked_for_is_limited(house: House) -> None:
    house.board.grants = 2e8
    answer = house.take()
    assert answer.result is SettingResult.LIMITED
    assert answer.text.startswith(
        'gpu was granted at most 200000000 Hz, 400000000 Hz were asked for. '
    )
    assert not answer.refused
    assert house.keeper.holder(NOW) == 'manager_1'


def test_a_clock_that_is_held_down_later_changes_the_answer(house: House) -> None:
    house.take()
    hot = Notice(NoticeKind.LIMITED, 'gpu is held down')
    house.board.notices = (hot, Notice(NoticeKind.POWER_MODE, 'mode is 15W'))
    report = house.keeper.report(NOW + 0.1)
    assert report.answer == Answer(SettingResult.LIMITED, 'gpu is held down', 1, 'manager_1')
    house.keeper.report(NOW + 0.2)
    assert house.logged['warning'] == ['gpu is held down', 'mode is 15W']  # each once
    assert house.keeper.notices == house.board.notices


def test_the_end_restores_and_closes_the_guard_once(house: House) -> None:
    house.take()
    house.keeper.end(NOW + 0.5)
    assert house.board.in_force == ()
    assert house.keeper.holder(NOW + 0.5) == ''
    house.keeper.close()
    house.keeper.close()
    assert house.events == ['arm', 'apply', 'restore', 'disarm', 'close']
