# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Set-up knows what is out of date, and names a remedy for what it cannot mend."""

import os
from pathlib import Path
import shutil
import sys

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def repository(setup_tool, monkeypatch, tmp_path):
    """Return a small repository that the set-up takes for its own."""
    for name in setup_tool.BUILD_INPUTS:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    folders = ('msg', 'srv', 'dynamic_dnn_ros', 'launch', 'config', 'examples', 'models')
    for folder in (*folders, '.venv', '.colcon'):
        (tmp_path / folder).mkdir()
    shutil.copytree(setup_tool.REQUIREMENTS, tmp_path / 'tools' / 'requirements')
    shutil.copy(setup_tool.TOOLS / 'torchvision_operators.py', tmp_path / 'tools')
    (tmp_path / 'msg' / 'Answer.msg').write_text('int32 value\n')
    (tmp_path / 'dynamic_dnn_ros' / 'module.py').write_text('x = 1\n')
    monkeypatch.setattr(setup_tool, 'ROOT', tmp_path)
    monkeypatch.setattr(setup_tool, 'TOOLS', tmp_path / 'tools')
    monkeypatch.setattr(setup_tool, 'REQUIREMENTS', tmp_path / 'tools' / 'requirements')
    monkeypatch.setattr(setup_tool, 'VENV', tmp_path / '.venv')
    monkeypatch.setattr(setup_tool, 'VENV_STAMP', tmp_path / '.venv' / '.ready')
    monkeypatch.setattr(setup_tool, 'COLCON', tmp_path / '.colcon')
    monkeypatch.setattr(setup_tool, 'BUILD_STAMP', tmp_path / '.colcon' / '.ready')
    return tmp_path


@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('msg/Answer.msg', 'int64 value\n'),
        ('msg/Question.msg', 'int32 value\n'),
        ('dynamic_dnn_ros/another.py', ''),
        ('launch/another.launch.py', ''),
        ('examples/another.py', ''),
        ('srv/Question.srv', 'int32 value\n---\nint32 value\n'),
        ('CMakeLists.txt', 'project(another)\n'),
        ('tools/requirements/ros.txt', 'another\n'),
    ],
)
def test_build_is_out_of_date(setup_tool, repository, name, text):
    before = setup_tool.build_digest(None)
    (repository / name).write_text(text)
    assert setup_tool.build_digest(None) != before


def test_build_is_up_to_date_after_an_edit_of_a_linked_file(setup_tool, repository):
    before = setup_tool.build_digest(None)
    (repository / 'dynamic_dnn_ros' / 'module.py').write_text('x = 2\n')
    (repository / 'dynamic_dnn_ros' / '__pycache__').mkdir()
    (repository / 'dynamic_dnn_ros' / '__pycache__' / 'module.pyc').write_bytes(b'')
    assert setup_tool.build_digest(None) == before


def test_environment_is_out_of_date(setup_tool, repository):
    before = setup_tool.venv_digest(None)
    assert setup_tool.venv_digest('jazzy') != before
    with (repository / 'tools' / 'requirements' / 'ros.txt').open('a') as file:
        file.write('another\n')
    after = setup_tool.venv_digest(None)
    assert after != before
    text = (repository / 'setup.cfg').read_text()
    (repository / 'setup.cfg').write_text(text.replace('tqdm>=', 'tqdm>=1'))
    assert setup_tool.venv_digest(None) != after


def test_everything_made_means_no_work(setup_tool, repository, monkeypatch, capfd):
    def fail(*arguments):
        raise AssertionError('there was nothing to do')

    monkeypatch.setattr(setup_tool, 'sourced_ros', lambda: None)
    monkeypatch.setattr(setup_tool, 'make_venv', fail)
    monkeypatch.setattr(setup_tool, 'build', fail)
    (repository / '.venv' / '.ready').write_text(setup_tool.venv_digest(None))
    (repository / '.colcon' / '.ready').write_text(setup_tool.build_digest(None))
    assert setup_tool.main([]) == 0
    assert capfd.readouterr().out == ''


def test_a_demo_does_not_install_the_tools_of_those_who_change_the_package(
    setup_tool, repository, monkeypatch
):
    made = []
    monkeypatch.setattr(setup_tool, 'sourced_ros', lambda: None)
    monkeypatch.setattr(setup_tool, 'check_compilers', lambda: None)
    monkeypatch.setattr(setup_tool, 'build', lambda stamp: None)
    monkeypatch.setattr(setup_tool, 'make_venv', lambda *given: made.append(given[1:]))
    few, all_of_it = setup_tool.python_requirements(True), setup_tool.python_requirements(False)
    assert set(few) < set(all_of_it)
    assert any(line.startswith('torch') for line in few)
    assert not any(line.startswith(('mypy', 'pytest', 'mkdocs')) for line in few)
    for_users, for_all = setup_tool.venv_digest(None, True), setup_tool.venv_digest(None)
    stamp = repository / '.venv' / '.ready'
    stamp.write_text(for_users)
    assert setup_tool.main(['--for', 'users']) == 0 and made == []
    assert setup_tool.main([]) == 0 and made == [(for_all, False)]
    stamp.write_text(for_all)
    assert setup_tool.main(['--for', 'users']) == 0 and len(made) == 1


def test_interrupted_set_up_is_not_taken_for_complete(setup_tool, repository, monkeypatch):
    made = []

    def interrupted(ros, stamp, for_users):
        made.append(ros)
        raise KeyboardInterrupt

    monkeypatch.setattr(setup_tool, 'sourced_ros', lambda: None)
    monkeypatch.setattr(setup_tool, 'make_venv', interrupted)
    assert setup_tool.main([]) == 130
    assert setup_tool.main([]) == 130
    assert made == [None, None]


def test_unfinished_environment_is_made_anew(setup_tool, repository):
    assert not setup_tool.venv_fits('3.11', None)
    (repository / '.venv' / 'pyvenv.cfg').write_text('version = 3.11.7\n')
    assert not setup_tool.venv_fits('3.11', None)


def test_paths_of_the_build_machine_are_replaced(setup_tool, repository):
    (repository / '.venv' / 'bin').mkdir()
    # Not a link to the file: Python finds its environment, and with it numpy, by its own path.
    python = repository / '.venv' / 'bin' / 'python'
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    export = repository / '.venv' / 'share' / 'package' / 'cmake' / 'export.cmake'
    export.parent.mkdir(parents=True)
    old = '/opt/python/cp399-cp399/'
    export.write_text(
        f'set(x "{old}include/python3.99;{old}lib/site-packages/numpy/_core/include;/usr/include")'
    )
    setup_tool.correct_exports()
    folders = export.read_text().split('"')[1].split(';')
    assert folders[2] == '/usr/include'
    assert (Path(folders[0]) / 'Python.h').is_file()
    assert (Path(folders[1]) / 'numpy' / 'arrayobject.h').is_file()


def test_links_to_removed_files_are_removed(setup_tool, tmp_path):
    (tmp_path / 'source.py').touch()
    (tmp_path / 'alive.py').symlink_to(tmp_path / 'source.py')
    (tmp_path / 'dead.py').symlink_to(tmp_path / 'removed.py')
    setup_tool.prune_links(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ['alive.py', 'source.py']


def test_ros_is_used_where_it_is_sourced(setup_tool, monkeypatch, tmp_path):
    monkeypatch.setenv('ROS_DISTRO', 'jazzy')
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    assert setup_tool.sourced_ros() is None
    (tmp_path / 'share' / 'rclpy').mkdir(parents=True)
    (tmp_path / 'share' / 'rclpy' / 'package.xml').touch()
    assert setup_tool.sourced_ros() == 'jazzy'


def test_missing_tools_are_named(setup_tool, monkeypatch, tmp_path):
    monkeypatch.delenv('CC', raising=False)
    monkeypatch.delenv('CXX', raising=False)
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(setup_tool.SetupError, match=r'cmake was not found.*\n.*Remedy'):
        setup_tool.check_compilers()
    (tmp_path / 'cmake').touch(mode=0o755)
    with pytest.raises(setup_tool.SetupError, match=r'no compiler \(cc or.*\n.*build-essential'):
        setup_tool.check_compilers()
    (tmp_path / 'gcc').touch(mode=0o755)
    with pytest.raises(setup_tool.SetupError, match=r'no compiler \(c\+\+ or'):
        setup_tool.check_compilers()
    (tmp_path / 'g++').touch(mode=0o755)
    setup_tool.check_compilers()


def test_missing_python_is_named(setup_tool, monkeypatch):
    monkeypatch.setattr(setup_tool, 'PYTHONS_WITH_WHEELS', ('3.99',))
    with pytest.raises(setup_tool.SetupError, match=r'python3\.99(.|\n)*Remedy: install Python'):
        setup_tool.choose_python(None)


def test_failed_command_shows_its_end_and_the_remedy(setup_tool, repository, tmp_path):
    log = tmp_path / 'logs' / 'command.log'
    with pytest.raises(setup_tool.SetupError) as problem:
        setup_tool.run(['sh', '-c', 'echo the reason; exit 3'], log, 'Remedy: none')
    assert 'the reason' in str(problem.value)
    assert str(log) in str(problem.value)
    assert 'Remedy: none' in str(problem.value)
