# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn train-decider`: a file that `simulate` takes, and what is wrong said plainly."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dynamic_dnn_ros.cli.main import main
from support.scenarios import mapping


@pytest.fixture
def scenario(tmp_path: Path) -> str:
    path = tmp_path / 'scenario.yaml'
    path.write_text(yaml.safe_dump(mapping(duration=8.0)))
    return str(path)


def test_trains_goes_on_and_serves(
    scenario: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(tmp_path / 'ztt.npz')
    train = ['train-decider', 'ztt', scenario, '--output', output, '--episodes']
    assert main([*train, '2']) == 0
    said = capsys.readouterr()
    assert 'last 2 episodes: ' in said.out and f'written: {output}' in said.out
    assert 'ztt' in said.err and '2/2' in said.err
    assert main([*train, '3']) == 0
    assert 'last 1 episodes: ' in capsys.readouterr().out
    assert main([*train, '3']) == 0
    assert 'had 3 episodes already' in capsys.readouterr().out
    simulate = ['simulate', scenario, '--manager', 'ztt', '--picture', 'none']
    assert main([*simulate, '--decider-file', output]) == 0
    assert '| ztt ' in capsys.readouterr().out


def test_what_is_wrong_is_said(
    scenario: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = tmp_path / 'foreign.npz'
    foreign.write_text('a note')
    train = ['train-decider', 'ztt', scenario]
    simulate = ['simulate', scenario, '--manager', 'ztt', '--picture', 'none', '--decider-file']
    for arguments, words in (
        ([*train, '--output', str(foreign)], 'is no file of a decider'),
        ([*train, '--episodes', '0'], '--episodes 0: is too small. Give 1 or more'),
        ([*train, '--seed', '-1'], '--seed -1: is too small'),
        (['train-decider', 'ztt', 'nowhere'], "scenario 'nowhere': is neither"),
        ([*simulate, str(tmp_path / 'none.npz')], 'No such file'),
        ([*simulate, str(foreign)], 'train-decider'),
    ):
        assert main(arguments) != 0
        assert words in capsys.readouterr().err
    assert foreign.read_text() == 'a note'
    with pytest.raises(SystemExit):
        main(['train-decider', 'alert', scenario])
    assert "'alert'" in capsys.readouterr().err
