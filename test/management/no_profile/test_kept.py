# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What was learnt in files."""

from __future__ import annotations

from dataclasses import replace
import json
from pathlib import Path

import pytest

from dynamic_dnn_ros.management.no_profile.evidence import FrameEvidence, FramePoint
from dynamic_dnn_ros.management.no_profile.kept import KeptLearning, default_folder, learnt_of
from dynamic_dnn_ros.management.no_profile.memory import Memory


def memory(frames: int = 20) -> Memory:
    evidence = FrameEvidence()
    evidence.points[('s1', 'gpu'), (1e9,)] = FramePoint(frames, 0.02 * frames)
    return Memory('board', 'abc', ('gpu',), {('s1', 'gpu'): 0.02}, evidence)


def test_a_file_a_bundle_and_board_says_what_it_is_of(tmp_path: Path) -> None:
    kept = KeptLearning(tmp_path / 'new')
    kept.keep([memory(), replace(memory(), platform='other')])
    found, problems = KeptLearning(tmp_path / 'new').read()
    assert sorted(each.platform for each in found) == ['board', 'other']
    assert problems == []
    data = json.loads(next((tmp_path / 'new').iterdir()).read_text())
    assert data['learnt'] == '20 frames at 1 operating points'
    assert data['written'].startswith('20')


def test_it_is_written_again_only_once_there_is_notably_more(tmp_path: Path) -> None:
    kept = KeptLearning(tmp_path)
    kept.keep([memory(20)])
    (file,) = tmp_path.iterdir()
    for frames, more in ((21, False), (40, True)):
        file.write_text('')
        kept.keep([memory(frames)])
        assert bool(file.read_text()) is more


def test_files_that_are_no_such_ones_are_named_and_left_out(tmp_path: Path) -> None:
    KeptLearning(tmp_path).keep([memory()])
    (tmp_path / 'learnt-broken.json').write_text('{"format_version": 1}')
    (tmp_path / 'learnt-cut.json').write_text('{"form')
    found, problems = KeptLearning(tmp_path).read()
    assert len(found) == 1
    assert [text.split(' is left out')[0] for text in problems] == [
        str(tmp_path / 'learnt-broken.json'),
        str(tmp_path / 'learnt-cut.json'),
    ]


def test_the_folder_is_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('XDG_STATE_HOME', str(tmp_path))
    assert default_folder() == tmp_path / 'dynamic_dnn_ros'


def test_what_was_learnt_of_one_bundle_is_found(tmp_path: Path) -> None:
    kept = KeptLearning(tmp_path)
    kept.keep([memory(), replace(memory(), bundle='other')])
    (tmp_path / 'learnt-cut.json').write_text('{"form')
    (found,) = learnt_of('abc', tmp_path)
    assert (found.platform, found.frames) == ('board', '20 frames at 1 operating points')
    assert found.written.startswith('20') and Path(found.file).parent == tmp_path
    assert learnt_of('absent', tmp_path / 'absent') == []
