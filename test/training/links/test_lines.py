# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A training over lines that fail and change: network namespaces, where these are allowed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
import sys
import time

import numpy as np
import pytest

from support.shared_data import REPOSITORY
from support.training import PHASES, colour_pictures, training_mapping

BENCHMARKS = REPOSITORY / 'benchmarks'
CUT_AFTER, SLOWER_AFTER, STEPS = 8, 20, 60
OUTAGE = 1.5


@pytest.fixture
def slow_links(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from network import NamespacesError, Network
    from suites import slow_links

    try:
        with Network([1e9]).joined():
            pass
    except NamespacesError as error:
        pytest.skip(f'no lines of its own: {error}')
    yield slow_links
    for name in [each for each in sys.modules if each == 'network' or each.startswith('suites')]:
        del sys.modules[name]


def test_a_training_goes_on_where_a_line_was_cut_and_follows_a_slower_one(tmp_path, slow_links):
    pictures = colour_pictures(512)
    np.savez(
        tmp_path / 'pictures.npz',
        images=pictures.images,
        labels=pictures.labels,
        classes=np.array(pictures.classes),
    )
    phase = dataclasses.replace(PHASES[0], epochs=1, learning_rate=0.02)
    task = {
        'configuration': training_mapping(Path('/nowhere'), phases=[phase.to_mapping()]),
        'phase': 0,
        'compression': 'adaptive',
        'placement': 'data_parallel',
        'pictures': str(tmp_path / 'pictures.npz'),
        'steps': STEPS,
        'seed': 0,
    }

    def disturbed(network, steps):
        slow_links.wait_for(lambda: steps() >= CUT_AFTER, 60.0)
        network.cut(0, whole=False)
        time.sleep(OUTAGE)
        network.cut(0, whole=True)
        slow_links.wait_for(lambda: steps() >= SLOWER_AFTER, 60.0)
        network.shape(0, 0.4e6)

    first, second = slow_links.trained((1e9, 1e9), task, disturbed)
    assert len(first['seconds']) == len(second['seconds']) == STEPS
    assert max(first['seconds']) >= 0.8 * OUTAGE
    assert np.isfinite(first['losses']).all()
    assert not any(first['compressed'][5:SLOWER_AFTER])
    assert first['compressed'][-1] and second['compressed'][-1]
