# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn replay` of what is no recording of this package; real ones: test/system."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynamic_dnn_ros.cli.main import main
from support.shared_data import DRIVING_BAG, shared_data


def test_refuses_what_is_no_bag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['replay', str(tmp_path / 'absent')]) == 1
    error = capsys.readouterr().err
    assert 'absent' in error
    assert 'Give the folder' in error


def test_refuses_a_bag_without_a_manager(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['replay', str(shared_data(DRIVING_BAG)), '--manager', 'alert']) == 1
    assert 'has no messages of this package. Record' in capsys.readouterr().err


def test_refuses_an_unknown_manager(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['replay', str(tmp_path), '--manager', 'best']) == 1
    assert "'best' is unknown" in capsys.readouterr().err
