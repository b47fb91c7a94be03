# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any
import zipfile

import numpy as np
import pytest

from dynamic_dnn_ros.management.baselines.weights_file import (
    LARGEST,
    DeciderFileError,
    read_decider,
    write_decider,
)

ARRAYS = {'one': np.arange(6.0).reshape(2, 3), 'two': np.array([0.5])}
SHAPES = {'one': (2, 3), 'two': (1,)}


def written(path: Path, decider: str = 'ztt', **more: Any) -> Path:
    write_decider(path, decider, {'seed': 3}, {**ARRAYS, **more})
    return path


def test_gives_back_what_was_written(tmp_path: Path) -> None:
    about, arrays = read_decider(written(tmp_path / 'a.npz'), 'ztt', SHAPES)
    assert about['seed'] == 3
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)


def problem(path: Path) -> str:
    with pytest.raises(DeciderFileError) as caught:
        read_decider(path, 'ztt', SHAPES)
    assert str(path) in str(caught.value)
    assert 'dynamic-dnn train-decider' in str(caught.value)
    return str(caught.value)


def test_says_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    path = tmp_path / 'a.npz'
    assert 'No such file' in problem(path)
    assert 'cannot be read' in problem(tmp_path)
    path.write_bytes(b'nothing of the kind')
    assert 'is no file of a decider' in problem(path)
    whole = written(path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert 'is no file of a decider' in problem(path)
    assert "of the decider 'other'" in problem(written(path, 'other'))
    assert 'other arrays' in problem(written(path, three=np.zeros(1)))
    assert "'two'" in problem(written(path, two=np.zeros(2)))
    assert "'two'" in problem(written(path, two=np.zeros(1, np.float32)))
    assert 'no numbers' in problem(written(path, two=np.array([np.nan])))


def test_reads_no_objects_and_nothing_without_bounds(tmp_path: Path) -> None:
    path = tmp_path / 'a.npz'
    assert "'two'" in problem(written(path, two=np.array([{}], dtype=object)))
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('about.npy', bytes(2 * LARGEST))
    assert path.stat().st_size < LARGEST
    assert 'holds more' in problem(path)
    path.write_bytes(bytes(2 * LARGEST))
    assert 'has more' in problem(path)
