# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from dynamic_dnn_ros.cli import bundle as command
from support.bundles import make_bundle


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp('cli') / 'synthetic').folder


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(arguments))


def test_show_prints_every_sub_network(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run('show', str(folder)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == 'synthetic: Random weights, for tests.'
    assert [line.split()[0] for line in lines if line.startswith('s')] == [
        'synthetic:',
        'sub-network',
        's0',
        's1',
        's2',
    ]


def test_check_prepares_every_sub_network(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run('check', str(folder)) == 0
    output = capsys.readouterr().out
    assert "s2: ready on 'cpu' with torch" in output
    assert 'whole, 1 files' in output


def test_bad_bundle_gives_its_error_and_a_failing_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run('check', str(tmp_path)) == 1
    assert 'manifest.json: is missing' in capsys.readouterr().err
    assert run('show', 'no_such_bundle') == 1
    assert 'Shipped are' in capsys.readouterr().err
