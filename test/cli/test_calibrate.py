# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn calibrate`: what it writes and prints."""

import json
from pathlib import Path

import pytest

from dynamic_dnn_ros.cli.main import main
from dynamic_dnn_ros.platforms.board_model import load_board
from dynamic_dnn_ros.platforms.contract import PlatformError
from support.made_up_board import gpu_and_memory, write


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write(tmp_path / 'made_up.csv', gpu_and_memory())


def test_json(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['calibrate', str(table), '--board', 'mine', '--from', '6', '--json']) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found['errors']) == {'latency', 'VDD_IN'}
    assert set(found['errors']['latency']) == {'mean', 'largest'}
    assert 0.0 < found['errors']['latency']['mean'] <= found['errors']['latency']['largest'] < 0.05
    assert found['rows'] == {'used': 6, 'tested': 46, 'left_out_in_turn': False}
    assert load_board('mine_simulated', folder=table.parent).networks['net'].processors == ('gpu',)


def test_the_board_is_found_by_its_name(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(['calibrate', str(table), '--board', 'mine', '--from', '6', '--json']) == 0
    with pytest.raises(PlatformError, match='DYNAMIC_DNN_BOARDS'):
        load_board('mine_simulated')
    monkeypatch.setenv('DYNAMIC_DNN_BOARDS', str(table.parent))
    assert load_board('mine_simulated').name == 'mine'
    assert load_board('orin_nx_simulated').name == 'orin_nx'


def test_text_and_rows_from_a_file(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (table.parent / 'rows').write_text('\n'.join(map(str, range(0, 52, 5))))
    arguments = ['calibrate', str(table), '--board', 'mine', '--from-rows', 'rows']
    assert main([*arguments, '--output', 'other.yaml']) == 0
    text = capsys.readouterr().out
    assert 'other.yaml: 1 networks, fitted to 11 rows' in text
    assert 'VDD_IN' in text and 'Not determined by these rows:' in text
    assert (table.parent / 'other.yaml').exists()


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['none.csv', '--board', 'mine'], 'none.csv'),
        (['made_up.csv', '--board', 'mine', '--like', 'toaster'], 'orin_nx'),
        (['made_up.csv', '--board', 'Mine 2'], 'small letters'),
        (['made_up.csv', '--board', 'mine', '--from', '0'], 'below 1'),
        (['made_up.csv', '--board', 'mine', '--from', '52'], 'Take fewer'),
        (['made_up.csv', '--board', 'mine', '--from', '6', '--from-rows', 'x'], 'not allowed'),
        (['made_up.csv', '--board', 'mine', '--output', 'no/such/folder'], 'another --output'),
    ],
)
def test_wrong_usage(
    table: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    try:
        code = main(['calibrate', *arguments])
    except SystemExit as error:
        code = int(error.code or 0)
    assert code in (1, 2)
    assert words in capsys.readouterr().err
