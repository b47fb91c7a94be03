# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What pip installs does everything that needs no ROS, in any folder."""

import json
import os
from pathlib import Path
import shutil
import subprocess
import sys
from typing import Any

import pytest

from dynamic_dnn_ros.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ('dynamic_dnn_ros', 'config', 'deploy', 'models', 'msg', 'src')
FILES = ('setup.py', 'setup.cfg', 'package.xml', 'README.md')

# All in one process: PyTorch alone takes seconds to import.
SCRIPT = """
import contextlib, io, json, sys

from dynamic_dnn_ros.cli.main import COMMANDS, ROS_MODULES, main
from dynamic_dnn_ros.files import share_folder

for name in ROS_MODULES | {'launch', 'launch_ros'}:
    sys.modules[name] = None
for command in COMMANDS.values():
    if not command.needs_ros:
        command.load()


def run(*arguments):
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        code = main(arguments)
    return code, text.getvalue()


results = {name: run(name) for name, command in COMMANDS.items() if command.needs_ros}
results['bundle'] = run('bundle', 'show', 'cifar10_ofa', '--json')
results['doctor'] = run('doctor', '--local', '--json')
results['simulate'] = run('simulate', 'two_cameras', '--picture', 'none')
results['share'] = str(share_folder())
print(json.dumps(results))
"""


@pytest.fixture(scope='module')
def site_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what pip would put into site-packages."""
    folder = tmp_path_factory.mktemp('installed')
    source = folder / 'source'
    for name in FOLDERS:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns('*.pyc'))
    for name in FILES:
        shutil.copy(ROOT / name, source)
    command = [sys.executable, 'setup.py', '-q', 'build', '--build-lib', str(folder / 'lib')]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    shutil.rmtree(source)
    return folder / 'lib'


@pytest.fixture(scope='module')
def results(site_packages: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what commands answer where ROS cannot be imported."""
    hidden = ('AMENT_PREFIX_PATH', 'PYTHONPATH')
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    answer = subprocess.run(
        [sys.executable, '-c', SCRIPT],
        cwd=tmp_path_factory.mktemp('elsewhere'),
        env={**environment, 'PYTHONPATH': str(site_packages), 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


@pytest.mark.parametrize('folder', ['config', 'deploy', 'models', 'msg'])
def test_files_travel(site_packages: Path, folder: str) -> None:
    def names(root: Path) -> set[Path]:
        # Locks and the like, whose names begin with a dot, belong to the computer.
        return {
            path.relative_to(root)
            for path in root.rglob('*')
            if path.is_file() and not path.name.startswith('.')
        }

    found = names(site_packages / 'dynamic_dnn_ros' / 'share' / folder)
    assert found
    assert found == names(ROOT / folder)


def test_what_needs_no_ros_works(site_packages: Path, results: dict[str, Any]) -> None:
    assert results['share'] == str(site_packages / 'dynamic_dnn_ros' / 'share')
    code, said = results['bundle']
    assert code == 0, said
    assert json.loads(said)['name'] == 'cifar10_ofa'
    assert json.loads(results['doctor'][1])
    code, said = results['simulate']
    assert code == 0, said
    assert 'dynamic_dnn' in said


@pytest.mark.parametrize('name', [name for name, each in COMMANDS.items() if each.needs_ros])
def test_what_needs_ros_says_so_in_a_sentence(results: dict[str, Any], name: str) -> None:
    code, said = results[name]
    assert code == 1
    assert said.startswith(f'dynamic-dnn {name} needs ROS 2, but rclpy cannot be imported: source')
    assert said.count('\n') == 1
