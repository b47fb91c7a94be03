# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch

from dynamic_dnn_ros.training.links.sparse import (
    add_decoded,
    count_for,
    encode,
    largest,
    message_bytes,
)


def _vector(count):
    return torch.randn(count, generator=torch.Generator().manual_seed(0)) ** 3 * 1e-4


@pytest.mark.parametrize(
    ('elements', 'ratio'), [(10, 1.0), (10, 2.0), (3000, 40.0), (400_000, 25.0)]
)
def test_a_message_gives_the_largest_elements(elements, ratio):
    vector = _vector(elements)
    count = count_for(elements, ratio)
    message = encode(vector, largest(vector, count))
    expected = torch.zeros(elements)
    chosen = vector.abs().topk(count).indices
    expected[chosen] = vector[chosen]
    decoded = torch.zeros(elements)
    add_decoded(message, count, decoded, 1.0)
    torch.testing.assert_close(decoded, expected, rtol=1e-3, atol=1e-3 * float(vector.abs().max()))
    assert len(message) == message_bytes(elements, count)


def test_far_apart_elements_find_their_places():
    vector = torch.zeros(2000)
    vector[[0, 254, 255, 765, 1999]] = torch.tensor([1.0, -2.0, 4.0, 8.0, -16.0])
    decoded = torch.ones(2000)
    add_decoded(encode(vector, largest(vector, 5)), 5, decoded, 0.5)
    assert torch.equal(decoded, 1.0 + vector / 2)


def test_a_message_lies_at_any_address():
    vector = _vector(100)
    message = torch.cat([torch.zeros(1, dtype=torch.uint8), encode(vector, largest(vector, 4))])
    decoded = torch.zeros(100)
    add_decoded(message[1:], 4, decoded, 1.0)
    assert int((decoded != 0).sum()) == 4


@pytest.mark.parametrize('ratio', [5.0, 25.0, 100.0])
def test_so_many_times_fewer_bytes_are_sent(ratio):
    size = message_bytes(1_000_000, count_for(1_000_000, ratio))
    assert 4_000_000 / size == pytest.approx(ratio, rel=0.01)


def test_a_ratio_beyond_all_elements_sends_one():
    assert count_for(1000, 1e9) == 1


def test_of_zeros_a_message_is_zeros():
    decoded = torch.zeros(50)
    add_decoded(encode(torch.zeros(50), torch.tensor([3, 7])), 2, decoded, 1.0)
    assert not decoded.any()


def test_a_message_of_another_size_is_refused():
    message = encode(_vector(100), torch.arange(4))
    with pytest.raises(ValueError, match='the same version'):
        add_decoded(message, 4, torch.zeros(5000), 1.0)
