# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch

from dynamic_dnn_ros.training.links.wire import Packed, Unpacked, Wire

SHAPE = (4, 6, 5, 5)


def sent(ratio, shape=SHAPE):
    """Return a tensor, what became of it, and what became of a gradient that came back."""
    wire = Wire(shape, ratio)
    value = torch.randn(shape, generator=torch.Generator().manual_seed(0), requires_grad=True)
    packed = Packed(wire)(value)
    came = packed.detach().requires_grad_()
    back = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    got = Unpacked(wire)(came)
    got.backward(back)
    packed.backward(came.grad)
    return wire, packed, (value, got), (back, value.grad)


@pytest.mark.parametrize(('ratio', 'tolerance'), [(1.0, 0.0), (2.0, 1e-3)])
def test_all_is_sent_both_ways(ratio, tolerance):
    wire, packed, forth, back = sent(ratio)
    assert packed.numel() * packed.element_size() == wire.bytes()
    for before, after in (forth, back):
        torch.testing.assert_close(after, before, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize('shape', [SHAPE, (300, 10, 10)])
def test_the_largest_are_sent_and_their_gradients_come_back(shape):
    wire, packed, (value, got), (back, gradient) = sent(20.0, shape)
    assert packed.numel() * packed.element_size() == wire.bytes()
    assert 4 * wire.elements / wire.bytes() >= 20.0
    largest = value.abs() >= value.abs().flatten().topk(wire.count).values.min()
    torch.testing.assert_close(got, value * largest, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(gradient, back * largest, rtol=1e-3, atol=1e-3)


def test_a_ratio_that_would_send_nothing_sends_one_element():
    wire, _, (_, got), _ = sent(1e9)
    assert wire.count == 1 and int((got != 0).sum()) == 1


def test_of_what_is_too_large_to_number_half_floats_are_sent():
    assert Wire((2, 2048, 2048), 50.0).bytes() == 2 * 2 * 2048**2
