# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The power mode of a Jetson."""

from pathlib import Path

import pytest

from dynamic_dnn_ros.platforms.nvpmodel import CONFIGURATION, STATUS, PowerMode
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
