# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Every platform keeps the contract, and the check finds those that do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
import math
from pathlib import Path
from typing import Any

import pytest

from dynamic_dnn_ros.files import share_folder
from dynamic_dnn_ros.platforms.board_model import SIMULATED_SUFFIX, load_board
from dynamic_dnn_ros.platforms.checks import check_platform
from dynamic_dnn_ros.platforms.contract import (
    DomainLimits,
    DomainRange,
    LimitsFound,
    Notice,
    NoticeKind,
    Platform,
    PlatformSample,
)
from dynamic_dnn_ros.platforms.jetson import JetsonPlatform
from dynamic_dnn_ros.platforms.linux import LinuxPlatform
from dynamic_dnn_ros.platforms.raspberry_pi import RaspberryPiPlatform
from dynamic_dnn_ros.platforms.rockchip import RockchipPlatform
from dynamic_dnn_ros.platforms.simulated import SimulatedPlatform
from support.boards import agx_orin, agx_thor, hybrid_pc, raspberry_pi_5, rk3588
from support.kernel import laptop, orin_nx, xavier_nx

COMPUTERS: dict[str, Callable[[Path], Platform]] = {
    'xavier_nx': lambda folder: JetsonPlatform(xavier_nx(folder), True, True, True),
    'xavier_nx_new_kernel': lambda folder: JetsonPlatform(xavier_nx(folder, False), True),
    'orin_nx': lambda folder: JetsonPlatform(orin_nx(folder), True, True, True),
    'agx_orin': lambda folder: JetsonPlatform(agx_orin(folder), True),
    'agx_thor': lambda folder: JetsonPlatform(agx_thor(folder), True, True, True),
    'raspberry_pi_5': lambda folder: RaspberryPiPlatform(raspberry_pi_5(folder), True),
    'rk3588': lambda folder: RockchipPlatform(rk3588(folder), True, True, True),
    'hybrid_pc': lambda folder: LinuxPlatform(hybrid_pc(folder), True),
    'laptop': lambda folder: LinuxPlatform(laptop(folder), manage_cpu=True),
    'left alone': lambda folder: LinuxPlatform(laptop(folder)),
    'nothing': lambda folder: LinuxPlatform(folder, manage_cpu=True),
}

BOARDS = sorted(file.stem for file in (share_folder() / 'config' / 'platforms').glob('*.yaml'))


@pytest.mark.parametrize('name', COMPUTERS)
def test_real_computers(name: str, tmp_path: Path) -> None:
    check_platform(COMPUTERS[name](tmp_path))


@pytest.mark.parametrize('board', BOARDS)
def test_simulated_boards(board: str) -> None:
    check_platform(SimulatedPlatform(load_board(board + SIMULATED_SUFFIX), 100.0), 100.0)


class Board(SimulatedPlatform):
    """A board whose parts tests replace by broken ones."""

    def __init__(self) -> None:
        super().__init__(load_board('xavier_nx_simulated'), 0.0)


def changed_limits(**fields: Any) -> Callable[[Any], tuple[DomainLimits, ...]]:
    def limits(self: Any) -> tuple[DomainLimits, ...]:
        first, *others = SimulatedPlatform.limits(self)
        return (replace(first, **fields), *others)

    return limits


def changed_sample(
    power: dict[str, float] | None = None, **fields: Any
) -> Callable[[Any, float], PlatformSample]:
    def read(self: Any, now: float) -> PlatformSample:
        sample = SimulatedPlatform.read(self, now)
        return replace(sample, power=sample.power if power is None else power, **fields)

    return read


def changed_state(**fields: Any) -> Callable[[Any, float], PlatformSample]:
    def read(self: Any, now: float) -> PlatformSample:
        sample = SimulatedPlatform.read(self, now)
        first, *others = sample.domains
        return replace(sample, domains=(replace(first, **fields), *others))

    return read


def fewer_domains(self: Any, now: float) -> PlatformSample:
    sample = SimulatedPlatform.read(self, now)
    return replace(sample, domains=sample.domains[1:])


def forgetful(self: Any, now: float) -> PlatformSample:
    sample = SimulatedPlatform.read(self, now)
    return replace(
        sample, domains=tuple(replace(state, requested=None) for state in sample.domains)
    )


def deaf(self: Any, *arguments: Any) -> None:
    """Take note of nothing."""


def strict(self: Any, now: float, name: str, instance: str, processor: str, busy: Any, *_: Any):
    if 'no_such_domain' in busy:
        raise KeyError('no_such_domain')
    SimulatedPlatform.observe(self, now, name, instance, processor, busy)


APPLY = SimulatedPlatform.apply
RESTORE = SimulatedPlatform.restore


def silent(self: Any, now: float, setting: Sequence[DomainRange]) -> tuple[DomainRange, ...]:
    APPLY(self, now, setting)
    return ()


def generous(self: Any, now: float, setting: Sequence[DomainRange]) -> tuple[DomainRange, ...]:
    granted = APPLY(self, now, setting)
    return tuple(replace(row, maximum=row.maximum * 1.5) for row in granted)


def reversed_range(
    self: Any, now: float, setting: Sequence[DomainRange]
) -> tuple[DomainRange, ...]:
    return tuple(replace(row, minimum=row.maximum + 1) for row in APPLY(self, now, setting))


def keeping(self: Any, now: float, setting: Sequence[DomainRange]) -> tuple[DomainRange, ...]:
    """Leave domains set that are named no more."""
    before = dict(self._setting)
    APPLY(self, now, setting)
    self._setting = {**before, **self._setting}
    return tuple(setting)


def narrowing(self: Any, now: float, setting: Sequence[DomainRange]) -> tuple[DomainRange, ...]:
    """Take what is set for the limits."""
    granted = APPLY(self, now, setting)
    for row in setting:
        limits = self._limits[row.name]
        self._limits[row.name] = replace(
            limits, maximum=max(row.maximum, limits.available[-1]) + 1
        )
    return granted


def found_anew(self: Any) -> tuple[LimitsFound, ...]:
    """Take for found what is set now."""
    return tuple(
        LimitsFound('min', 'max', str(row.minimum), str(row.maximum))
        for row in self._setting.values()
    )


def found_numbers(self: Any) -> tuple[LimitsFound, ...]:
    return (LimitsFound('min', 'max', 1, 2),)  # type: ignore[arg-type]


def unwilling(self: Any, now: float) -> None:
    """Restore nothing."""


def impatient(self: Any, now: float) -> None:
    if not self._setting:
        raise RuntimeError('nothing is set')
    RESTORE(self, now)


def once(self: Any) -> None:
    if getattr(self, 'closed', False):
        raise RuntimeError('is closed')
    self.closed = True


@pytest.mark.parametrize(
    ('parts', 'said'),
    [
        ({'kind': 'simulated'}, 'says what its figures are'),
        ({'limits': changed_limits(name='gpu')}, 'has one row of limits'),
        ({'limits': changed_limits(available=(2e9, 1e9))}, 'available frequencies ascend'),
        ({'limits': changed_limits(available=(1.0,))}, 'are hertz, within'),
        ({'limits_found': found_numbers}, 'what a guard has to restore is text'),
        ({'read': fewer_domains}, 'has the domains of the limits'),
        ({'read': changed_state(granted=0.0)}, 'the clock is above 0'),
        ({'read': changed_state(utilisation_own=1.2)}, 'own utilisation is 0..1'),
        ({'read': changed_state(utilisation_foreign=-0.1)}, 'foreign utilisation is 0..1'),
        (
            {'read': changed_state(utilisation_own=0.7, utilisation_foreign=0.7)},
            'utilisations are 1 together',
        ),
        ({'read': changed_state(limit_minimum=9e9)}, 'limits are a range'),
        ({'read': changed_state(governor=None)}, 'the governor is a text'),
        ({'read': forgetful}, 'says what setting is in force'),
        ({'read': changed_sample(total_power_rail='VDD_OUT')}, 'the total is one of the rails'),
        ({'read': changed_sample(power_budget=0.0)}, 'a power budget is above 0'),
        ({'read': changed_sample(power={'VDD_IN': -1.0})}, "power 'VDD_IN' is a number"),
        ({'read': changed_sample(temperatures={'cpu': math.inf})}, "temperature 'cpu' is a numb"),
        ({'read': changed_sample(memory={'total': -1.0})}, "memory 'total' is a number"),
        ({'read': changed_sample(slow_downs={'/a': 0.0})}, 'slowed down by a factor'),
        ({'read': changed_sample(notices=(Notice(NoticeKind.SENSOR, ''),))}, 'says something'),
        ({'observe': deaf}, 'that keeps it busy counts as ours'),
        ({'observe': strict}, 'no_such_domain'),
        ({'apply': silent}, 'a row for each of its domains'),
        ({'apply': generous}, 'no more is granted than was asked for'),
        ({'apply': reversed_range}, 'what is granted is a range'),
        ({'apply': keeping}, 'says what setting is in force'),
        ({'apply': narrowing}, 'a setting changes no limits'),
        ({'limits_found': found_anew}, 'what was found before the first setting'),
        ({'restore': unwilling}, 'says what setting is in force'),
        ({'restore': impatient}, 'nothing is set'),
        ({'close': once}, 'is closed'),
    ],
)
def test_finds_what_is_not_kept(parts: dict[str, Any], said: str) -> None:
    broken: Platform = type('Broken', (Board,), parts)()
    with pytest.raises((AssertionError, RuntimeError, KeyError), match=said):
        check_platform(broken)


@pytest.mark.parametrize(
    ('name', 'value', 'said'),
    [
        ('id', '', 'has an id'),
        ('processors', (), 'names its processors'),
        ('processors', ('gpu', 'gpu'), 'names its processors, each once'),
    ],
)
def test_finds_a_wrong_description(name: str, value: object, said: str) -> None:
    board = Board()
    setattr(board, name, value)
    with pytest.raises(AssertionError, match=said):
        check_platform(board)


def test_finds_limits_that_are_not_put_back(tmp_path: Path) -> None:
    class Careless(LinuxPlatform):
        def restore(self, now: float) -> None:
            self._setting = {}
            self._held.clear()

    with pytest.raises(AssertionError, match='what was found is put back'):
        check_platform(Careless(laptop(tmp_path), manage_cpu=True))
