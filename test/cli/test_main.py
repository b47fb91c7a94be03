# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The command `dynamic-dnn`: its table of subcommands, and what it says when something lacks."""

from __future__ import annotations

import argparse
from importlib.metadata import version
import os
from pathlib import Path
import subprocess
import sys

import pytest

from dynamic_dnn_ros.cli.main import COMMANDS, Command, main


def run_python(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script in a Python of its own, away from the sources, which must not be imported."""
    return subprocess.run(
        [sys.executable, '-c', script],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
        check=False,
    )


@pytest.mark.parametrize('name', sorted(COMMANDS))
def test_every_command_keeps_the_contract(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, '--help'])
    assert ended.value.code == 0
    assert f'dynamic-dnn {name}' in capsys.readouterr().out


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['--version']) == 0
    assert capsys.readouterr().out == f'dynamic-dnn {version("dynamic_dnn_ros")}\n'


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['--help']) == 0
    out = capsys.readouterr().out
    for name, command in COMMANDS.items():
        assert f'  {name} ' in out
        assert command.summary in out
    assert main([]) == 2


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['demo', '--seconds', 'long'], "--seconds: 'long' is no number of seconds from 6 on"),
        (['demo', '--seconds', '1'], "--seconds: '1' is no number of seconds from 6 on"),
        (['demo', '--rate', 'high'], "--rate: invalid number value: 'high'"),
        (
            ['profile', 'a', '--platform', 'linux', '--threads', 'two'],
            "--threads: invalid integer value: 'two'",
        ),
        (
            ['profile', 'a', '--platform', 'linux', '--idle-seconds', 'few'],
            "--idle-seconds: invalid seconds value: 'few'",
        ),
    ],
)
def test_text_in_place_of_a_number_is_said(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_negative_value_is_no_option(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(['target', 'set', '/inference_node', '--latency', '-25ms']) == 1
    assert 'latency = -0.025 is negative' in capsys.readouterr().err


def test_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['serve']) == 2
    error = capsys.readouterr().err
    assert "no command 'serve'" in error
    assert 'demo' in error


@pytest.mark.parametrize(
    ('hidden', 'said'),
    [
        ('rclpy', 'needs ROS 2, but rclpy cannot be imported'),
        ('matplotlib', "pip install 'dynamic_dnn_ros[demo]'"),
        ('dynamic_dnn_ros.cli.demo', 'Build it again: `make build`'),
    ],
)
def test_what_is_missing_is_named_with_its_remedy(hidden: str, said: str, tmp_path: Path) -> None:
    result = run_python(
        'import sys\n'
        f'sys.modules[{hidden!r}] = None\n'
        'from dynamic_dnn_ros.cli.main import main\n'
        'sys.exit(main(["demo"]))\n',
        tmp_path,
    )
    assert result.returncode == 1
    assert said in result.stderr
    assert 'Traceback' not in result.stderr


@pytest.mark.parametrize(
    ('error', 'said'),
    [
        (LookupError('no such bundle. Name another'), 'no such bundle. Name another'),
        (OSError(28, 'No space left'), '[Errno 28] No space left; run the command again'),
        (KeyboardInterrupt(), 'interrupted; run the command again'),
    ],
)
def test_what_is_wrong_is_one_line(
    error: BaseException,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Failing:
        ERRORS = (LookupError,)

        def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

        def run(self, arguments: argparse.Namespace) -> int:
            raise error

    monkeypatch.setitem(sys.modules, 'failing', Failing())  # type: ignore[arg-type]
    command = Command('failing', 'torch', 'fails', resumes=True)
    monkeypatch.setitem(COMMANDS, 'failing', command)
    assert main(['failing']) == (130 if isinstance(error, KeyboardInterrupt) else 1)
    answer = capsys.readouterr().err
    assert answer.startswith(f'dynamic-dnn failing: {said}')
    assert answer.count('\n') == 1


@pytest.mark.parametrize('arguments', [['--help'], ['doctor', '--local']])
def test_a_reader_that_has_had_enough_is_no_error(arguments: list[str], tmp_path: Path) -> None:
    script = (
        'import sys\n'
        'from dynamic_dnn_ros.cli.main import main\n'
        'sys.stdin.readline()\n'
        f'sys.exit(main({arguments!r}))\n'
    )
    with subprocess.Popen(
        [sys.executable, '-c', script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdout.close()
        process.stdin.write('begin\n')
        process.stdin.close()
        assert process.stderr.read() == ''
    assert process.returncode == 1


def test_help_of_one_command_imports_no_other(tmp_path: Path) -> None:
    result = run_python(
        'import sys\n'
        'from dynamic_dnn_ros.cli.main import main\n'
        'try:\n'
        '    main(["demo", "--help"])\n'
        'except SystemExit:\n'
        '    pass\n'
        'heavy = {"torch", "rclpy", "matplotlib", "dynamic_dnn_ros.cli.train"}\n'
        'sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)\n',
        tmp_path,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ('line', 'offered', 'not_offered'),
    [
        ('dynamic-dnn sim', 'simulate', 'search'),
        ('dynamic-dnn doctor --lo', '--local', '--json'),
        ('dynamic-dnn bundle sh', 'show', 'check'),
    ],
)
def test_a_shell_completes(line: str, offered: str, not_offered: str, tmp_path: Path) -> None:
    pytest.importorskip('argcomplete')
    answers = tmp_path / 'answers'
    result = subprocess.run(
        [sys.executable, '-c', 'from dynamic_dnn_ros.cli.main import main; main([])'],
        env={
            **os.environ,
            '_ARGCOMPLETE': '1',
            '_ARGCOMPLETE_SUPPRESS_SPACE': '1',
            '_ARGCOMPLETE_STDOUT_FILENAME': str(answers),
            'COMP_LINE': line,
            'COMP_POINT': str(len(line)),
        },
        capture_output=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    found = answers.read_text().split('\x0b')
    assert offered in found
    assert not_offered not in found
