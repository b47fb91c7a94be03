# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
import pytest

from dynamic_dnn_ros.cli import units


@pytest.mark.parametrize(
    ('read', 'text', 'value'),
    [
        (units.duration, '25ms', 0.025),
        (units.duration, '25 ms', 0.025),
        (units.duration, '0.025', 0.025),
        (units.duration, '0.025s', 0.025),
        (units.duration, '2.5e1ms', 0.025),
        (units.duration, '700us', 0.0007),
        (units.duration, '700µs', 0.0007),
        (units.duration, '.5', 0.5),
        (units.share, '85%', 0.85),
        (units.share, '0.85', 0.85),
        (units.share, '99.9%', 0.999),
        (units.rate, '20Hz', 20.0),
        (units.rate, '30 fps', 30.0),
        (units.rate, '20', 20.0),
        (units.energy, '200mJ', 0.2),
        (units.energy, '0.2J', 0.2),
        # What makes no sense is a number all the same: the manager says why it is refused.
        (units.duration, '-5ms', -0.005),
    ],
)
def test_quantities(read: Callable[[str], float], text: str, value: float) -> None:
    assert read(text) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    ('text', 'value'), [('25ms', 0.025), ('0.025', 0.025), ('25s', 25.0), ('1e-3', 0.001)]
)
def test_a_latency_without_a_unit_is_below_a_second(text: str, value: float) -> None:
    assert units.latency(text) == pytest.approx(value)


@pytest.mark.parametrize('text', ['25', '1', ' 1e3 '])
def test_a_latency_that_may_be_in_milliseconds_is_asked_about(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f'{text.strip()}ms, or {text.strip()}s'):
        units.latency(text)


@pytest.mark.parametrize(
    ('read', 'text', 'problem'),
    [
        (units.duration, 'fast', "'fast' is no time. Give a number, alone or with one of: s, ms"),
        (units.duration, '', "'' is no time"),
        (units.duration, 'nan', 'is no time'),
        (units.duration, 'inf', 'is no time'),
        (units.duration, '25Hz', "'Hz' is not one of its units"),
        (units.duration, '1,5ms', 'is no time'),
        (units.duration, '1e999', 'it is too large'),
        (units.share, '85ms', "'ms' is not one of its units"),
        (units.rate, '20 %', "'%' is not one of its units"),
        (units.energy, '0.2W', "'W' is not one of its units"),
    ],
)
def test_what_is_no_quantity_is_named(
    read: Callable[[str], float], text: str, problem: str
) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as error:
        read(text)
    assert problem in str(error.value)


@given(st.integers(1, 10**6))
def test_whole_milliseconds_are_what_python_writes(milliseconds: int) -> None:
    assert units.duration(f'{milliseconds}ms') == milliseconds / 1000
