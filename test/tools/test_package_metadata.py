# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Executables and metadata are made from setup.cfg and package.xml."""

from importlib import metadata
import os
from pathlib import Path
import subprocess
import sys

import pytest

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'package_metadata.py'

SETUP_CFG = """
[metadata]
name = robot
description = A robot
author = somebody
license = Apache-2.0

[options]
python_requires = >=3.10
install_requires =
    # a comment
    numpy>=1.21

[options.extras_require]
test =
    pytest>=7

[options.entry_points]
console_scripts =
    robot-version = platform:python_version
dynamic_dnn_ros.nodes =
    robot_node = os:getpid
"""


PACKAGE_XML = '<package><version>1.2.3</version></package>'


def write(
    folder: Path, text: str, package_xml: str = PACKAGE_XML
) -> subprocess.CompletedProcess[str]:
    (folder / 'setup.cfg').write_text(text)
    (folder / 'package.xml').write_text(package_xml)
    command = [sys.executable, str(TOOL), '--setup-cfg', str(folder / 'setup.cfg')]
    command += ['--interpreter', sys.executable, '--output', str(folder / 'output')]
    return subprocess.run(command, capture_output=True, text=True)


def test_executables_run(tmp_path):
    assert write(tmp_path, SETUP_CFG).returncode == 0
    command = tmp_path / 'output' / 'commands' / 'robot-version'
    node = tmp_path / 'output' / 'nodes' / 'robot_node'
    assert os.access(command, os.X_OK)
    assert os.access(node, os.X_OK)
    # The function's result is the exit code, and a text goes to standard error.
    answer = subprocess.run([command], capture_output=True, text=True)
    assert answer.stderr.strip() == '.'.join(map(str, sys.version_info[:3]))


def test_metadata_reads_back(tmp_path):
    assert write(tmp_path, SETUP_CFG).returncode == 0
    folder = tmp_path / 'site' / 'robot-1.2.3.egg-info'
    folder.parent.mkdir()
    (tmp_path / 'output' / 'egg-info').rename(folder)
    (distribution,) = metadata.distributions(path=[str(folder.parent)])
    assert distribution.version == '1.2.3'
    assert distribution.requires == ['numpy>=1.21', 'pytest>=7; extra == "test"']
    assert {point.name: point.group for point in distribution.entry_points} == {
        'robot-version': 'console_scripts',
        'robot_node': 'dynamic_dnn_ros.nodes',
    }


def test_what_is_gone_from_setup_cfg_is_gone_from_the_output(tmp_path):
    assert write(tmp_path, SETUP_CFG).returncode == 0
    assert write(tmp_path, SETUP_CFG.replace('robot_node', 'other_node')).returncode == 0
    assert os.listdir(tmp_path / 'output' / 'nodes') == ['other_node']


@pytest.mark.parametrize(
    ('old', 'new', 'problem'),
    [
        ('os:getpid', 'os.getpid', "'robot_node = os.getpid'"),
        ('dynamic_dnn_ros.nodes', 'gui_scripts', "'gui_scripts'"),
        ('license = Apache-2.0', '', "'license'"),
    ],
)
def test_bad_setup_cfg_is_named(tmp_path, old, new, problem):
    answer = write(tmp_path, SETUP_CFG.replace(old, new))
    assert answer.returncode == 1
    assert 'setup.cfg' in answer.stderr
    assert problem in answer.stderr


@pytest.mark.parametrize(
    ('text', 'problem'), [('<package/>', 'states no version'), ('<package>', 'is no XML')]
)
def test_bad_package_xml_is_named(tmp_path, text, problem):
    answer = write(tmp_path, SETUP_CFG, text)
    assert answer.returncode == 1
    assert f'package.xml {problem}' in answer.stderr
