# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What was learnt as plain data."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from dynamic_dnn_ros.management.no_profile.evidence import (
    FrameEvidence,
    FramePoint,
    LoadEvidence,
    LoadPoint,
)
from dynamic_dnn_ros.management.no_profile.memory import Memory

OPTION = ('s1', 'gpu')


def memory() -> Memory:
    frames, loads = FrameEvidence(), LoadEvidence()
    frames.points[OPTION, (1e9, 5e8)] = FramePoint(20, 0.4, 0.1, {'gpu': 0.3}, 19)
    loads.points[(1e9, 5e8), (OPTION,)] = LoadPoint(10, 60.0, np.array([1.0, 5.0]))
    return Memory('board', 'abc', ('cpu', 'gpu'), {OPTION: 0.02}, frames, loads)


def test_what_is_written_is_read() -> None:
    data = json.loads(json.dumps(memory().to_mapping()))
    again = Memory.from_mapping(data)
    assert again.to_mapping() == memory().to_mapping()
    assert data['learnt'] == '20 frames at 1 operating points'


@pytest.mark.parametrize(
    'change',
    [
        {'format_version': 9},
        {'domains': ['gpu']},
        {'frames': [['s1', 'gpu', [1e9, 5e8], 20, float('nan'), 0, {}, 0]]},
        {'start': [['s1', 'gpu', -1.0]]},
        {'loads': [[[], [1e9, 5e8], 3, 20.0, [0.1]]]},
        {'frames': 3},
    ],
)
def test_what_is_no_memory_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r'.'):
        Memory.from_mapping({**memory().to_mapping(), **change})


def test_another_engine_other_clocks_and_other_sub_networks_learn_anew() -> None:
    kept = memory()
    assert kept.fits(('cpu', 'gpu'), {OPTION: 0.022})
    assert not kept.fits(('cpu', 'gpu'), {OPTION: 0.04})
    assert not kept.fits(('gpu',), {OPTION: 0.02})
    assert not kept.fits(('cpu', 'gpu'), {('s2', 'gpu'): 0.02})
