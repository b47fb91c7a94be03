# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib

import numpy as np
import pytest
from safetensors.numpy import save

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.responses import (
    PROBES,
    deviation,
    parse_responses,
    probe_picture,
    responses_content,
)

RESPONSE = np.arange(PROBES * 3, dtype=np.float32).reshape(PROBES, 3) ** 2


@pytest.mark.parametrize(
    ('resolution', 'sha256'),
    [
        (32, '153fdbf83253feeeaa61c4a4432d33d0d0ce03ff36d2f686edfc58766a60e433'),
        (28, '3f52b3f47c58f32738b8ce026ce38aff5bedcf387c15099eccb3fcd3bbda98bd'),
        (224, '4e6b8234e370c1c822987fe9589c012398a1b1c632dc1a5b54e90f9543c9aa8d'),
    ],
)
def test_probes_are_the_same_everywhere(resolution: int, sha256: str) -> None:
    probes = np.stack([probe_picture(index, resolution) for index in range(PROBES)])
    assert probes.shape == (PROBES, resolution, resolution, 3) and probes.dtype == np.uint8
    assert hashlib.sha256(probes.tobytes()).hexdigest() == sha256


def test_probes_are_smooth_and_differ() -> None:
    probes = np.stack([probe_picture(index, 64) for index in range(PROBES)]).astype(float)
    steps = np.abs(np.diff(probes, axis=2)).mean()
    assert 40 < probes.std() < 90
    assert steps < 0.15 * probes.std()
    for index in range(1, PROBES):
        assert np.abs(probes[index] - probes[0]).mean() > 20


def test_probes_show_the_same_at_any_resolution() -> None:
    large, small = probe_picture(3, 1024), probe_picture(3, 64)
    assert np.abs(large[::16, ::16].astype(int) - small).max() <= 1


def test_deviation() -> None:
    assert deviation(RESPONSE, RESPONSE) == 0.0
    assert deviation(RESPONSE + np.float32(7), RESPONSE) == pytest.approx(0, abs=1e-6)
    assert deviation(RESPONSE * np.float32(1.25), RESPONSE) == pytest.approx(0.25)
    assert deviation(np.zeros_like(RESPONSE), RESPONSE) == pytest.approx(1.0)
    assert deviation(RESPONSE, np.zeros_like(RESPONSE)) > 1e6
    for value in (np.nan, np.inf):
        assert deviation(np.where(RESPONSE > 100, value, RESPONSE), RESPONSE) == np.inf


def test_reads_back_what_it_writes() -> None:
    read = parse_responses(responses_content({'s0': RESPONSE}), 'here', ['s0', 's1'], 3)
    assert list(read) == ['s0']
    assert np.array_equal(read['s0'], RESPONSE)


@pytest.mark.parametrize(
    ('content', 'named'),
    [
        (b'\x80\x04cos\nsystem\n', 'no safetensors file'),
        (responses_content({'s0': RESPONSE})[:-4], 'no safetensors file'),
        (responses_content({'s9': RESPONSE}), "'s9' that the bundle does not have"),
        (responses_content({'s0': RESPONSE[:, :2]}), r'shape \(8, 2\), not'),
        (save({'s0': RESPONSE.astype(np.float16)}), 'float16'),
        (responses_content({'s0': RESPONSE * np.float32(np.nan)}), 'not finite'),
    ],
)
def test_refuses_what_does_not_fit(content: bytes, named: str) -> None:
    with pytest.raises(BundleError, match=named):
        parse_responses(content, 'here', ['s0', 's1'], 3)
