# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which settings are accepted, and how long they hold."""

from dataclasses import replace
import math

from hypothesis import given
from hypothesis import strategies as st
import pytest

from dynamic_dnn_ros.platforms.contract import DomainLimits, DomainRange
from dynamic_dnn_ros.platforms.lease import (
    LeaseKeeper,
    Setting,
    SettingRefused,
    SettingResult,
    resolve,
)

LIMITS = (
    DomainLimits('cpu', (), 1e9, 2e9),
    DomainLimits('gpu', (1e8, 2e8, 4e8), 1e8, 4e8),
)
NOW = 1000.0
SETTING = Setting('board', 'boot', 'manager_1', 1, NOW - 0.01, 2.0, False, ())


@pytest.fixture
def keeper() -> LeaseKeeper:
    return LeaseKeeper('board', 'boot', 30.0)


def take(keeper: LeaseKeeper, setting: Setting, now: float = NOW) -> tuple[DomainRange, ...]:
    ranges = keeper.judge(setting, now, LIMITS)
    if not setting.release:
        keeper.hold(setting, now)
    return ranges


def gpu(minimum: float, maximum: float) -> tuple[DomainRange, ...]:
    return (DomainRange('gpu', minimum, maximum),)


@pytest.mark.parametrize(
    ('change', 'result', 'words'),
    [
        ({'platform': 'other'}, SettingResult.REFUSED_PLATFORM, 'other'),
        ({'boot_id': 'yesterday'}, SettingResult.REFUSED_BOOT, 'replay'),
        ({'manager': ''}, SettingResult.REFUSED_MANAGER, 'names no manager'),
        ({'sequence': 0}, SettingResult.REFUSED_SEQUENCE, 'not newer than 0'),
        ({'lease': 0.0}, SettingResult.REFUSED_LEASE, 'lease is 0.0 s'),
        ({'lease': -1.0}, SettingResult.REFUSED_LEASE, 'lease is -1.0 s'),
        ({'lease': math.nan}, SettingResult.REFUSED_LEASE, 'lease is nan'),
        ({'lease': math.inf}, SettingResult.REFUSED_LEASE, 'lease is inf'),
        ({'lease': 1e9}, SettingResult.REFUSED_LEASE, 'at most 30 s'),
        ({'issued': math.nan}, SettingResult.REFUSED_LEASE, 'issued is nan'),
        ({'issued': NOW - 2.5}, SettingResult.REFUSED_LEASE, 'run out 0.50 s before'),
        ({'issued': NOW + 60.0}, SettingResult.REFUSED_LEASE, 'in the future'),
        ({'release': True}, SettingResult.REFUSED_LEASE, 'no lease to give back'),
        ({'domains': (DomainRange('dla', 0, 0),)}, SettingResult.REFUSED_DOMAIN, "'dla'"),
        ({'domains': (DomainRange('cpu', 0, 0),)}, SettingResult.REFUSED_DOMAIN, 'not set'),
        ({'domains': gpu(0, 0) * 2}, SettingResult.REFUSED_DOMAIN, 'twice'),
        ({'domains': gpu(3e8, 4e8)}, SettingResult.REFUSED_FREQUENCY, 'not in the table'),
        ({'domains': gpu(0, 5e8)}, SettingResult.REFUSED_FREQUENCY, 'above the limit'),
        ({'domains': gpu(5e7, 0)}, SettingResult.REFUSED_FREQUENCY, 'below the limit'),
        ({'domains': gpu(4e8, 1e8)}, SettingResult.REFUSED_FREQUENCY, 'above maximum'),
        ({'domains': gpu(math.nan, 0)}, SettingResult.REFUSED_FREQUENCY, 'no frequency'),
        ({'domains': gpu(0, math.inf)}, SettingResult.REFUSED_FREQUENCY, 'no frequency'),
        ({'domains': gpu(-1e8, 0)}, SettingResult.REFUSED_FREQUENCY, 'below the limit'),
    ],
)
def test_refuses(
    keeper: LeaseKeeper, change: dict[str, object], result: SettingResult, words: str
) -> None:
    with pytest.raises(SettingRefused, match='setting') as refusal:
        keeper.judge(replace(SETTING, **change), NOW, LIMITS)  # type: ignore[arg-type]
    assert refusal.value.result is result
    assert words in str(refusal.value)
    assert str(refusal.value).count('. ') >= 1  # problem, then remedy
    assert keeper.holder(NOW) == ''


def test_holds_from_issue_and_not_from_arrival(keeper: LeaseKeeper) -> None:
    take(keeper, replace(SETTING, issued=NOW - 0.5))
    assert keeper.holder(NOW) == 'manager_1'
    assert keeper.remaining(NOW) == pytest.approx(1.5)
    assert keeper.holder(NOW + 1.49) == 'manager_1'
    assert keeper.holder(NOW + 1.5) == ''


def test_never_holds_longer_than_the_lease_where_the_sender_is_ahead(keeper: LeaseKeeper) -> None:
    take(keeper, replace(SETTING, issued=NOW + 0.2))
    assert keeper.remaining(NOW) == pytest.approx(2.0)


def test_renewal_prolongs(keeper: LeaseKeeper) -> None:
    take(keeper, SETTING)
    take(keeper, replace(SETTING, sequence=2, issued=NOW + 1.0), NOW + 1.0)
    assert keeper.remaining(NOW + 1.0) == pytest.approx(2.0)
    assert not keeper.expired(NOW + 2.5)


def test_expiry_is_told_once(keeper: LeaseKeeper) -> None:
    take(keeper, SETTING)
    assert not keeper.expired(NOW + 1.0)
    assert keeper.expired(NOW + 2.0)
    assert not keeper.expired(NOW + 2.1)


def test_another_manager_waits_while_the_holder_renews(keeper: LeaseKeeper) -> None:
    take(keeper, SETTING)
    take(keeper, replace(SETTING, sequence=2, issued=NOW + 0.7), NOW + 0.7)
    other = replace(SETTING, manager='manager_2', issued=NOW + 1.5)
    with pytest.raises(SettingRefused, match="'manager_1' holds the lease") as refusal:
        take(keeper, other, NOW + 1.5)
    assert refusal.value.result is SettingResult.REFUSED_MANAGER
    with pytest.raises(SettingRefused, match='holds the lease'):
        take(keeper, replace(other, release=True), NOW + 1.5)
    assert keeper.holder(NOW + 1.5) == 'manager_1'


def test_another_manager_relieves_one_that_fell_silent(keeper: LeaseKeeper) -> None:
    """It missed a renewal: its lease still holds, and goes over without a gap."""
    take(keeper, SETTING)
    other = replace(SETTING, manager='manager_2', issued=NOW + 1.0)
    with pytest.raises(SettingRefused, match='holds the lease'):
        take(keeper, replace(other, release=True), NOW + 1.0)  # giving up is the holder's alone
    assert not keeper.expired(NOW + 1.0)
    take(keeper, other, NOW + 1.0)
    assert keeper.holder(NOW + 1.0) == 'manager_2'
    assert keeper.remaining(NOW + 1.0) == pytest.approx(2.0)
    with pytest.raises(SettingRefused, match="'manager_2' holds the lease"):
        take(keeper, replace(SETTING, sequence=2, issued=NOW + 1.1), NOW + 1.1)


def test_another_manager_follows_when_the_lease_has_ended(keeper: LeaseKeeper) -> None:
    take(keeper, SETTING)
    take(keeper, replace(SETTING, manager='manager_2', issued=NOW + 3.0), NOW + 3.0)
    assert keeper.holder(NOW + 3.0) == 'manager_2'


def test_release_by_the_holder(keeper: LeaseKeeper) -> None:
    take(keeper, SETTING)
    assert take(keeper, replace(SETTING, sequence=2, release=True, lease=0.0)) == ()


def test_old_sequence_is_refused_even_after_the_lease(keeper: LeaseKeeper) -> None:
    take(keeper, replace(SETTING, sequence=7))
    keeper.end()
    for sequence in (7, 6, 1):
        with pytest.raises(SettingRefused, match='not newer than 7') as refusal:
            take(keeper, replace(SETTING, sequence=sequence))
        assert refusal.value.result is SettingResult.REFUSED_SEQUENCE
    take(keeper, replace(SETTING, sequence=8))


def test_a_number_far_beyond_the_last_is_refused(keeper: LeaseKeeper) -> None:
    take(keeper, SETTING)
    with pytest.raises(SettingRefused, match='far beyond 1') as refusal:
        take(keeper, replace(SETTING, sequence=2**64 - 1))
    assert refusal.value.result is SettingResult.REFUSED_SEQUENCE
    take(keeper, replace(SETTING, sequence=2))


def test_a_setting_in_another_s_name_locks_it_out_for_no_longer_than_its_lease(
    keeper: LeaseKeeper,
) -> None:
    take(keeper, replace(SETTING, sequence=2**64 - 1))
    with pytest.raises(SettingRefused, match='not newer'):
        take(keeper, SETTING)
    later = NOW + SETTING.lease + 0.1
    take(keeper, replace(SETTING, sequence=7, issued=later), later)
    assert keeper.holder(later) == SETTING.manager


def test_an_old_release_gives_nothing_back(keeper: LeaseKeeper) -> None:
    take(keeper, SETTING)
    release = replace(SETTING, sequence=2, release=True, issued=NOW - 60.0)
    with pytest.raises(SettingRefused, match='was issued 60'):
        take(keeper, release)


def test_replayed_recording_sets_nothing(keeper: LeaseKeeper) -> None:
    """The same boot, the same manager restarted or gone, one minute later."""
    for sequence in range(1, 20):
        with pytest.raises(SettingRefused) as refusal:
            take(keeper, replace(SETTING, sequence=sequence, issued=NOW + sequence), NOW + 60.0)
        assert refusal.value.result is SettingResult.REFUSED_LEASE
    assert keeper.holder(NOW + 60.0) == ''


def test_refused_renewal_leaves_the_lease_as_it_was(keeper: LeaseKeeper) -> None:
    take(keeper, SETTING)
    with pytest.raises(SettingRefused):
        take(keeper, replace(SETTING, sequence=2, domains=gpu(3e8, 3e8)), NOW + 1.0)
    assert keeper.remaining(NOW + 1.0) == pytest.approx(0.99)


def test_zero_means_lowest_and_highest() -> None:
    assert resolve(gpu(0.0, 0.0), LIMITS) == gpu(1e8, 4e8)
    assert resolve(gpu(2e8, 0.0), LIMITS) == gpu(2e8, 4e8)


def test_frequency_is_taken_from_the_table() -> None:
    assert resolve(gpu(2e8 + 1.0, 4e8 - 1.0), LIMITS) == gpu(2e8, 4e8)


@given(
    sequence=st.integers(-1, 5),
    issued=st.floats(allow_nan=True, allow_infinity=True),
    lease=st.floats(allow_nan=True, allow_infinity=True),
    name=st.sampled_from(['cpu', 'gpu', '']),
    minimum=st.floats(allow_nan=True, allow_infinity=True),
    maximum=st.floats(allow_nan=True, allow_infinity=True),
)
def test_whatever_arrives_is_refused_or_legal(
    sequence: int, issued: float, lease: float, name: str, minimum: float, maximum: float
) -> None:
    keeper = LeaseKeeper('board', 'boot', 30.0)
    setting = replace(
        SETTING,
        sequence=sequence,
        issued=issued,
        lease=lease,
        domains=(DomainRange(name, minimum, maximum),),
    )
    try:
        (row,) = take(keeper, setting)
    except SettingRefused:
        return
    assert row.minimum in LIMITS[1].available
    assert row.maximum in LIMITS[1].available
    assert row.minimum <= row.maximum
    assert 0.0 < keeper.remaining(NOW) <= 30.0
