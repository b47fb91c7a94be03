# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The power mode of a Jetson."""

import math
from pathlib import Path

import pytest

from dynamic_dnn_ros.platforms.nvpmodel import CONFIGURATION, STATUS, PowerMode, budget_of
from support.kernel import Kernel, xavier_nx


def test_mode_with_its_name(tmp_path: Path) -> None:
    kernel = xavier_nx(tmp_path)
    mode = PowerMode(kernel)
    assert mode.read() == '2 (15W_6CORE)'
    kernel.power_mode(4)
    assert mode.read() == '4 (10W_4CORE)'
    assert mode.names()[0] == '15W_2CORE'


def test_mode_without_a_name(tmp_path: Path) -> None:
    kernel = xavier_nx(tmp_path)
    (tmp_path / CONFIGURATION.lstrip('/')).unlink()
    assert PowerMode(kernel).read() == '2'


@pytest.mark.parametrize('text', ['', 'pmode:', 'nonsense'])
def test_status_that_says_nothing(tmp_path: Path, text: str) -> None:
    kernel = Kernel(tmp_path)
    kernel.file(STATUS, text)
    assert PowerMode(kernel).read() == ''


def test_no_jetson(tmp_path: Path) -> None:
    assert PowerMode(Kernel(tmp_path)).read() == ''


@pytest.mark.parametrize(
    ('mode', 'budget'),
    [
        ('2 (15W_6CORE)', 15.0),
        ('1 (MODE_10W_DESKTOP)', 10.0),
        ('0 (10W)', 10.0),
        ('3 (MODE_7.5W)', 7.5),
        ('0 (MAXN)', math.inf),
        ('2 (MAXN_SUPER)', math.inf),
        ('3', math.inf),
        ('', math.inf),
    ],
)
def test_the_budget_is_in_the_name(mode: str, budget: float) -> None:
    assert budget_of(mode) == budget
