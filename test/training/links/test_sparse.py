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
    assert torch.equal(decoded.sign(), expected.sign())
    sent = expected[chosen].abs()
    step = float((sent.max() / sent.min()).clamp_max(1024) ** (1 / 7))
    wrong = (decoded - expected).abs()[chosen]
    # At most half of a step of the ladder, and what lies below it a rung too high.
    assert bool((wrong <= sent * 1.01 * (step - 1) / 2 + sent.max() / 1024).all())
    assert float(wrong.square().sum()) < 0.1 * float(sent.square().sum())
    assert len(message) == message_bytes(elements, count)


def test_far_apart_elements_find_their_places():
    vector = torch.zeros(2000)
    # One after the other twice as large, so rungs of the ladder, but for the last.
    vector[[0, 254, 255, 765, 1999]] = torch.tensor([1.0, -2.0, 4.0, 8.0, -128.0])
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


@pytest.mark.parametrize('count', [1, 2, 7, 8])
def test_odd_and_even_numbers_of_elements_are_sent(count):
    vector = torch.tensor([1.0, -1.0] * 4)
    decoded = torch.zeros(8)
    add_decoded(encode(vector, torch.arange(count)), count, decoded, 1.0)
    assert decoded.tolist() == [*vector.tolist()[:count], *[0.0] * (8 - count)]


def test_a_sum_with_what_was_left_gets_everything_across():
    """What is left of each step joins the next one, so that nothing is lost for good."""
    gradient, left, arrived = _vector(10_000), torch.zeros(10_000), torch.zeros(10_000)
    count = count_for(10_000, 25.0)
    for _ in range(200):
        left += gradient
        message = encode(left, largest(left, count))
        add_decoded(message, count, left, -1.0)
        add_decoded(message, count, arrived, 1.0)
    assert float((arrived / 200 - gradient).norm()) < 0.02 * float(gradient.norm())


def test_what_is_no_number_arrives_as_none():
    decoded = torch.zeros(4)
    vector = torch.tensor([1.0, torch.nan, 0.0, 0.0])
    add_decoded(encode(vector, torch.tensor([0, 1])), 2, decoded, 1.0)
    assert decoded[1].isnan()


def test_of_zeros_a_message_is_zeros():
    decoded = torch.zeros(50)
    add_decoded(encode(torch.zeros(50), torch.tensor([3, 7])), 2, decoded, 1.0)
    assert not decoded.any()


def test_a_message_of_another_size_is_refused():
    message = encode(_vector(100), torch.arange(4))
    with pytest.raises(ValueError, match='the same version'):
        add_decoded(message, 4, torch.zeros(5000), 1.0)
