# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What every platform must keep, as a check for tests: of this package's platforms and of yours.

    from dynamic_dnn_ros.platforms.checks import check_platform

    def test_my_board(tmp_path):
        check_platform(MyBoard(tmp_path))
"""

from __future__ import annotations

from collections.abc import Sequence
import math

from dynamic_dnn_ros.platforms.contract import (
    DomainLimits,
    DomainRange,
    DomainState,
    LimitsFound,
    Notice,
    Platform,
    PlatformKind,
    PlatformSample,
)

#: s, between two readings; applications report once a second.
_STEP = 1.0

#: Of a frequency, by which what the hardware says of it may differ.
_ROUNDING = 1e-6


def check_platform(platform: Platform, now: float = 0.0) -> None:
    """
    Check that a platform keeps its contract.

    It sets clocks, and puts back what it found: on a real board others should leave them alone.

    :param platform: that nothing has been set on yet
    :param now: s, the platform's time; the check goes on from it, faster than time does
    :raises AssertionError: naming what is not kept
    """
    suite = _Suite(platform, now)
    suite.check_description()
    suite.check_sample(suite.read(), {})
    suite.check_restoring_nothing()
    suite.check_applications()
    for row in suite.settable:
        suite.check_domain(row)
    suite.check_all_domains()
    suite.check_restoring()
    platform.close()
    platform.close()


class _Suite:
    """The checks of one platform, on a time of their own."""

    def __init__(self, platform: Platform, now: float) -> None:
        self.platform = platform
        self.now = now
        self.limits = platform.limits()
        self.found = platform.limits_found()
        self.settable = [row for row in self.limits if row.available]

    def read(self) -> PlatformSample:
        self.now += _STEP
        return self.platform.read(self.now)

    def check_description(self) -> None:
        platform = self.platform
        assert isinstance(platform.id, str) and platform.id, 'a platform has an id'
        assert isinstance(platform.kind, PlatformKind), 'a platform says what its figures are'
        processors = platform.processors
        assert processors and len(set(processors)) == len(processors), (
            f'a platform names its processors, each once: {processors}'
        )
        names = [row.name for row in self.limits]
        assert all(names) and len(set(names)) == len(names), (
            f'a frequency domain has one row of limits: {names}'
        )
        for row in self.limits:
            _check_limits(row)
        for found in self.found:
            assert isinstance(found, LimitsFound) and all(
                isinstance(value, str) for value in vars(found).values()
            ), f'what a guard has to restore is text: {found}'

    def check_sample(self, sample: PlatformSample, setting: dict[str, DomainRange]) -> None:
        names = [state.name for state in sample.domains]
        assert names == [row.name for row in self.platform.limits()], (
            f'a sample has the domains of the limits, in their order: {names}'
        )
        for state in sample.domains:
            _check_state(state)
            assert state.requested == setting.get(state.name), (
                f'{state.name}: a sample says what setting is in force: {state.requested}'
            )
        _check_sensors(sample)

    def check_restoring_nothing(self) -> None:
        before = self.platform.limits()
        self.platform.restore(self.now)
        assert self.platform.limits() == before, 'restoring where nothing is set changes nothing'

    def check_applications(self) -> None:
        """Keep each domain busy by one application, and see that it is counted as ours."""
        processor = self.platform.processors[0]
        for step in range(1, 5):
            busy = {row.name: 0.5 * step for row in self.limits}
            self.platform.observe(self.now, '/check/a', 'first', processor, busy, 10 * step)
            sample = self.read()
        self.check_sample(sample, {})
        for state in sample.domains:
            assert not state.utilisation_own <= 0, (
                f'{state.name}: an application that keeps it busy counts as ours'
            )
        # One that starts again counts from 0, and one without figures is no error.
        self.platform.observe(self.now, '/check/a', 'second', processor, {}, 0)
        self.platform.observe(self.now, '/check/b', 'first', processor, {'no_such_domain': 1.0})
        self.check_sample(self.read(), {})

    def check_domain(self, row: DomainLimits) -> None:
        """Set one domain to fixed clocks and to a range; the others are left alone."""
        lowest, highest = row.available[0], row.available[-1]
        for minimum, maximum in ((lowest, lowest), (highest, highest), (lowest, highest)):
            self.set([DomainRange(row.name, minimum, maximum)])

    def check_all_domains(self) -> None:
        """Set all domains together, and give them back one after the other."""
        setting = [DomainRange(row.name, row.available[0], row.available[0]) for row in self.limits
                   if row.available]  # fmt: skip
        while setting:
            self.set(setting)
            setting = setting[1:]
        self.set(setting)

    def set(self, setting: Sequence[DomainRange]) -> None:
        granted = self.platform.apply(self.now, setting)
        assert [row.name for row in granted] == [row.name for row in setting], (
            f'a setting is answered by a row for each of its domains: {granted}'
        )
        for asked, given in zip(setting, granted):
            assert 0 < given.minimum <= given.maximum, f'what is granted is a range: {given}'
            assert given.maximum <= asked.maximum * (1 + _ROUNDING), (
                f'no more is granted than was asked for: {given} for {asked}'
            )
        self.check_sample(self.read(), {row.name: row for row in setting})
        assert self.platform.limits() == self.limits, 'a setting changes no limits'
        assert self.platform.limits_found() == self.found, (
            'a guard has to restore what was found before the first setting'
        )

    def check_restoring(self) -> None:
        self.set(
            [DomainRange(row.name, row.available[-1], row.available[-1]) for row in self.settable]
        )
        for _ in range(2):
            self.platform.restore(self.now)
            self.check_sample(self.read(), {})
            assert self.platform.limits_found() == self.found, 'what was found is put back'
        assert self.platform.limits() == self.limits, 'what was found is put back'


def _check_limits(row: DomainLimits) -> None:
    available = row.available
    assert list(available) == sorted(set(available)), (
        f'{row.name}: available frequencies ascend: {available}'
    )
    assert all(
        math.isfinite(each) and row.minimum <= each <= row.maximum and each > 0
        for each in available
    ), f'{row.name}: available frequencies are hertz, within {row.minimum} and {row.maximum}'


def _check_state(state: DomainState) -> None:
    name = state.name
    assert not state.granted <= 0, f'{name}: the clock is above 0, or not known: {state.granted}'
    for what, share in (('own', state.utilisation_own), ('foreign', state.utilisation_foreign)):
        assert isinstance(share, float), f'{name}: messages take floats alone: {share!r}'
        assert math.isnan(share) or 0 <= share <= 1, f'{name}: {what} utilisation is 0..1: {share}'
    together = state.utilisation_own + state.utilisation_foreign
    assert not together > 1 + _ROUNDING, f'{name}: utilisations are 1 together: {together}'
    assert not state.limit_minimum > state.limit_maximum, f'{name}: limits are a range'
    assert isinstance(state.governor, str), f'{name}: the governor is a text, empty for none'


def _check_sensors(sample: PlatformSample) -> None:
    rail = sample.total_power_rail
    assert not rail or rail in sample.power, f'the total is one of the rails: {rail!r}'
    assert sample.power_budget > 0, f'a power budget is above 0: {sample.power_budget}'
    for what, values, least in (
        ('power', sample.power, 0.0),
        ('temperature', sample.temperatures, -273.15),
        ('memory', sample.memory, 0.0),
    ):
        for name, value in values.items():
            assert isinstance(value, float), f'{name}: messages take floats alone: {value!r}'
            assert math.isnan(value) or (math.isfinite(value) and value >= least), (
                f'{what} {name!r} is a number, or NaN where it cannot be read: {value}'
            )
    for name, factor in sample.slow_downs.items():
        assert factor > 0, f'{name!r} is slowed down by a factor: {factor}'
    for notice in sample.notices:
        assert isinstance(notice, Notice) and notice.text, f'a notice says something: {notice}'
