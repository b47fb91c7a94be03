# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path
import shutil

import pytest

from dynamic_dnn_ros.cli import demo
from dynamic_dnn_ros.cli.next_steps import serving
from dynamic_dnn_ros.cli.parser import Parser


@pytest.fixture
def with_ros2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, 'which', lambda name: f'/opt/ros/jazzy/bin/{name}')


@pytest.fixture
def without_ros2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, 'which', lambda name: None)


def test_a_bundle_is_launched_where_there_is_ros2(with_ros2: None) -> None:
    launch = 'ros2 launch dynamic_dnn_ros dynamic_dnn.launch.py'
    assert serving(Path('/a b')) == f"{launch} bundle:='/a b' image:=TOPIC"
    assert serving(Path('/a'), 'board') == f'{launch} bundle:=/a image:=TOPIC platform:=board'


def test_the_demo_serves_it_where_there_is_none(without_ros2: None) -> None:
    assert serving(Path('/a')) == 'dynamic-dnn demo --bundle /a --platform linux'
    *_, options = serving(Path('/a'), 'orin_nano_simulated').partition(' demo ')
    parser = Parser()
    demo.add_arguments(parser)
    taken = parser.parse_args(options.split())
    assert (taken.bundle, taken.platform) == ('/a', 'orin_nano_simulated')
