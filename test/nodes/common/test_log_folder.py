# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path
import subprocess
import sys
import tempfile

import pytest

from dynamic_dnn_ros.nodes.common.log_folder import provide_log_folder

SCRIPT = """
import sys
from dynamic_dnn_ros.nodes.common.lifecycle import ManagedNode
from dynamic_dnn_ros.nodes.common.main import run

class Node(ManagedNode):
    PARAMETERS = ()

    def __init__(self):
        super().__init__('node')
        self.get_logger().info('started')
        raise SystemExit

sys.exit(run(Node))
"""


def run(**environment: str) -> subprocess.CompletedProcess[str]:
    names = ('HOME', 'ROS_HOME', 'ROS_LOG_DIR')
    kept = {name: value for name, value in os.environ.items() if name not in names}
    return subprocess.run(
        [sys.executable, '-c', SCRIPT],
        capture_output=True,
        text=True,
        env={**kept, **environment},
        check=False,
    )


@pytest.mark.parametrize('environment', [{}, {'HOME': '/proc/none'}], ids=['unset', 'read-only'])
def test_a_node_without_a_home_starts_and_says_where_it_logs(
    domain_id: int, tmp_path: Path, environment: dict[str, str]
) -> None:
    ended = run(**environment, TMPDIR=str(tmp_path))
    assert 'Traceback' not in ended.stderr
    assert 'started' in ended.stderr + ended.stdout
    folder = tmp_path / f'ros_log_{os.getuid()}'
    problem = 'cannot be written' if environment else 'HOME is not set'
    assert f'{problem}: logging to {folder}. ROS_LOG_DIR names another folder.' in ended.stderr
    assert ended.returncode == 0
    assert any(folder.iterdir())


@pytest.mark.parametrize(
    ('name', 'below'), [('HOME', '.ros/log'), ('ROS_HOME', 'log'), ('ROS_LOG_DIR', '')]
)
def test_what_can_be_written_stays(
    tmp_path: Path, name: str, below: str, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = {name: str(tmp_path / 'here')}
    provide_log_folder(environment)
    assert environment == {name: str(tmp_path / 'here')}
    assert (tmp_path / 'here' / below).is_dir()
    assert capsys.readouterr().err == ''


def test_a_folder_of_somebody_else_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    (tmp_path / f'ros_log_{os.getuid()}').write_text('no folder')
    environment: dict[str, str] = {}
    provide_log_folder(environment)
    assert Path(environment['ROS_LOG_DIR']).parent == tmp_path
    assert Path(environment['ROS_LOG_DIR']).is_dir()
