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
    parse_responses,
    probe_picture,
    responses_content,
    sampled,
)
from dynamic_dnn_ros.pictures.placement import Size

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
    probes = np.stack(
        [probe_picture(index, Size(resolution, resolution)) for index in range(PROBES)]
    )
    assert probes.shape == (PROBES, resolution, resolution, 3) and probes.dtype == np.uint8
    assert hashlib.sha256(probes.tobytes()).hexdigest() == sha256


def test_probes_are_smooth_and_differ() -> None:
    probes = np.stack([probe_picture(index, Size(64, 64)) for index in range(PROBES)]).astype(
        float
    )
    steps = np.abs(np.diff(probes, axis=2)).mean()
    assert 40 < probes.std() < 90
    assert steps < 0.15 * probes.std()
    for index in range(1, PROBES):
        assert np.abs(probes[index] - probes[0]).mean() > 20


def test_probes_show_the_same_at_any_resolution() -> None:
    large, small = probe_picture(3, Size(1024, 1024)), probe_picture(3, Size(64, 64))
    assert np.abs(large[::16, ::16].astype(int) - small).max() <= 1


def test_probes_of_rectangles_are_the_same_stretched() -> None:
    wide, square = probe_picture(3, Size(64, 1024)), probe_picture(3, Size(64, 64))
    assert wide.shape == (64, 1024, 3)
    assert np.abs(wide[:, ::16].astype(int) - square).max() <= 1


def test_of_large_outputs_places_are_left_out_and_channels_are_not() -> None:
    output = np.arange(2 * 84 * 8400, dtype=np.float32).reshape(2, 84, 8400)
    kept = sampled(output)
    assert kept.shape[:2] == (2, 84) and kept[:1].size <= 16384
    assert np.array_equal(kept, output[:, :, ::64])
    assert sampled(RESPONSE) is RESPONSE


def test_reads_back_what_it_writes() -> None:
    boxes = np.arange(PROBES * 8).reshape(PROBES, 2, 4)
    written = {'s0': {'logits': RESPONSE}, 's1': {'boxes': boxes, 'scores:0': RESPONSE}}
    read = parse_responses(responses_content(written), 'here', ['s0', 's1'])
    assert set(read) == {'s0', 's1'} and set(read['s1']) == {'boxes', 'scores:0'}
    assert np.array_equal(read['s0']['logits'], RESPONSE)
    assert np.array_equal(read['s1']['boxes'], boxes)


def test_reads_what_release_0_1_wrote() -> None:
    read = parse_responses(save({'s0': RESPONSE}), 'here', ['s0'], 3)
    assert np.array_equal(read['s0']['logits'], RESPONSE)


@pytest.mark.parametrize(
    ('content', 'named'),
    [
        (b'\x80\x04cos\nsystem\n', 'no safetensors file'),
        (save({'s0': RESPONSE})[:-4], 'no safetensors file'),
        (save({'s9:logits': RESPONSE}), "'s9' that the bundle does not have"),
        (save({'s0': RESPONSE[:, :2].copy()}), r'shape \(8, 2\), not'),
        (save({'s0': RESPONSE[:5].copy()}), r'shape \(5, 3\), not'),
        (save({'s0': RESPONSE.astype(np.float16)}), 'float16'),
        (save({'s0': RESPONSE * np.float32(np.nan)}), 'not finite'),
    ],
)
def test_refuses_what_does_not_fit(content: bytes, named: str) -> None:
    with pytest.raises(BundleError, match=named):
        parse_responses(content, 'here', ['s0', 's1'], 3)


def test_refuses_responses_to_another_number_of_probes() -> None:
    with pytest.raises(BundleError, match=r'shape \(3, 2\), not'):
        parse_responses(save({'s0:boxes': RESPONSE[:3, :2].copy()}), 'here', ['s0'])
