# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import builtins
import contextlib
import json
import logging

import pytest

from dynamic_dnn_ros.training.logs import Log

ROWS = [
    {'epoch': 1, 'phase': 'largest', 'loss': 2.0, 'accuracy_largest': 0.5},
    {'epoch': 2, 'phase': 'all', 'loss': 1.5, 'accuracy_largest': 0.6},
]


def _write(folder, rows, epochs=0):
    with contextlib.closing(Log(folder, epochs)) as log:
        for row in rows:
            log.write(row)


def test_each_epoch_is_a_line(tmp_path):
    _write(tmp_path, ROWS[:1])
    with (tmp_path / 'training.jsonl').open('a') as killed:
        killed.write('{"epoch": 2, "lo')
    _write(tmp_path, ROWS[1:], epochs=1)
    lines = (tmp_path / 'training.jsonl').read_text().splitlines()
    assert [json.loads(line) for line in lines] == ROWS


def test_tensorboard_shows_every_figure(tmp_path):
    event_accumulator = pytest.importorskip(
        'tensorboard.backend.event_processing.event_accumulator'
    )
    _write(tmp_path, ROWS)
    found = event_accumulator.EventAccumulator(str(tmp_path / 'tensorboard'))
    found.Reload()
    assert set(found.Tags()['scalars']) == {'loss', 'accuracy_largest'}
    assert [(event.step, event.value) for event in found.Scalars('loss')] == [(1, 2.0), (2, 1.5)]


def test_without_tensorboard_the_lines_are_written_and_it_is_said(tmp_path, monkeypatch, caplog):
    plain_import = builtins.__import__

    def without(name, *arguments):
        if name == 'torch.utils.tensorboard':
            raise ImportError(name)
        return plain_import(name, *arguments)

    monkeypatch.setattr(builtins, '__import__', without)
    with caplog.at_level(logging.INFO):
        _write(tmp_path, ROWS)
    assert caplog.text.count("package 'tensorboard'") == 1
    assert [path.name for path in tmp_path.iterdir()] == ['training.jsonl']
