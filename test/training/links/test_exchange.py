# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from dynamic_dnn_ros.training.links import adaptive
from dynamic_dnn_ros.training.links.adaptive import Adaptive
from dynamic_dnn_ros.training.links.creation import create_exchange
from dynamic_dnn_ros.training.links.exchange import Whole
from dynamic_dnn_ros.training.links.ratios import Links
from dynamic_dnn_ros.training.links.settings import Compression, Method
from support.process_group import together

SHAPES = ((40, 50), (7,), (30, 8, 3, 3))
#: Bytes a second.
SLOW, FAST = 1e4, 1e12


def _parameters():
    return [nn.Parameter(torch.zeros(shape)) for shape in SHAPES]


def _gradients(rank, step):
    generator = torch.Generator().manual_seed(100 * step + rank)
    return [torch.randn(shape, generator=generator) for shape in SHAPES]


def _averaged(exchange, rank, steps, absent=()):
    """Return what parameters became of the sum of averages, as one list."""
    parameters = _parameters()
    sums = [torch.zeros(shape) for shape in SHAPES]
    for step in range(steps):
        for place, (parameter, gradient) in enumerate(zip(parameters, _gradients(rank, step))):
            parameter.grad = None if place in absent else gradient
        exchange.average(parameters)
        for each, parameter in zip(sums, parameters):
            if parameter.grad is not None:
                each += parameter.grad
    return torch.cat([each.flatten() for each in sums])


def _mean(step, count=2):
    each = [torch.cat([g.flatten() for g in _gradients(rank, step)]) for rank in range(count)]
    return torch.stack(each).mean(0)


def _in_all_ways(rank):
    methods = {
        method.value: _averaged(create_exchange(Compression(method, ratio=8.0)), rank, 1)
        for method in (Method.NONE, Method.FP16, Method.POWERSGD, Method.TOP_K)
    }
    feedback = create_exchange(Compression(Method.TOP_K, ratio=8.0))
    methods['fed back'] = _averaged(feedback, rank, 60)
    methods['left'] = torch.cat([each.flatten() for each in feedback.state()['left'].values()])
    one = create_exchange(Compression(Method.TOP_K, ratio=1e9))
    methods['one element'] = _averaged(one, rank, 1)
    part = create_exchange(Compression(Method.TOP_K, ratio=8.0))
    methods['a part'] = _averaged(part, rank, 2, absent=(1,))
    return methods


@pytest.fixture(scope='module')
def answers(tmp_path_factory):
    return together(tmp_path_factory.mktemp('ways'), _in_all_ways)


def test_all_processes_have_the_same_gradients(answers):
    first, second = answers
    for method in first:
        if method != 'left':
            assert torch.equal(first[method], second[method]), method


def test_whole_gradients_and_half_floats_are_the_mean(answers):
    torch.testing.assert_close(answers[0]['none'], _mean(0))
    torch.testing.assert_close(answers[0]['fp16'], _mean(0), rtol=1e-2, atol=2e-3)
    # Of PowerSGD the first steps.
    torch.testing.assert_close(answers[0]['powersgd'], _mean(0))


def test_top_k_sends_the_largest(answers):
    sent = answers[0]['top_k']
    own = torch.cat([each.flatten() for each in _gradients(0, 0)])
    largest = int(own.abs().argmax())
    assert 0.0 < float((sent != 0).float().mean()) < 0.6
    assert float(sent[largest]) != 0.0


def test_what_is_left_out_is_sent_later(answers):
    left = torch.stack([answer['left'] for answer in answers]).mean(0)
    total = sum(_mean(step) for step in range(60))
    torch.testing.assert_close(answers[0]['fed back'] + left, total, rtol=1e-3, atol=1e-3)


def test_a_ratio_that_would_send_nothing_sends_one_element_of_each(answers):
    assert 1 <= int((answers[0]['one element'] != 0).sum()) <= 2


def test_parameters_without_a_gradient_have_none(answers):
    sizes = [int(np.prod(shape)) for shape in SHAPES]
    parts = answers[0]['a part'].split(sizes)
    assert not parts[1].any()
    assert parts[0].any() and parts[2].any()


def _adapting(rank):
    """Return plans and averages where links change while it trains; measuring is pretended."""
    measured = [Links.uniform(2, SLOW), Links.uniform(2, FAST), Links.uniform(2, SLOW)]
    told = iter(measured)
    adaptive.measure_links = lambda: next(told)
    exchange = Adaptive(Compression(Method.ADAPTIVE, ratio=4.0))
    rows = []
    for step in range(3):
        exchange._next_measuring = exchange._step
        rows.append((_averaged(exchange, rank, 1), exchange.plan.compressed))
        assert exchange._next_measuring > step
    losses = iter([2.0, 1.9, 1.5])
    exchange._next_comparing = exchange._step
    exchange._next_measuring = -1
    _averaged(exchange, rank, 1)
    exchange.judge(lambda: next(losses), 0.1, 5.0)
    return rows, exchange.ratio, next(losses, None)


def test_compression_follows_the_links_and_nothing_is_lost_on_the_way(tmp_path):
    (rows, ratio, unused), (others, other_ratio, _) = together(tmp_path, _adapting)
    assert [compressed for _, compressed in rows] == [True, False, True]
    for (average, _), (other, _) in zip(rows, others):
        assert torch.equal(average, other)
    # The second step sent all that the first one had left out.
    torch.testing.assert_close(rows[0][0] + rows[1][0], 2 * _mean(0), rtol=1e-3, atol=2e-3)
    # A compressed step took less off the loss than a whole one.
    assert ratio == other_ratio == 2.0
    assert unused is None


def test_alone_nothing_is_compressed():
    assert isinstance(create_exchange(Compression(Method.ADAPTIVE)), Whole)


@pytest.mark.parametrize(
    ('field', 'value'),
    [('ratio', 0.0), ('ratio', float('inf')), ('ratio', float('nan')), ('rank', 0)],
)
def test_what_would_send_nothing_is_refused(field, value):
    with pytest.raises(ValueError, match=f'{field} is .*nothing would be sent'):
        Compression(**{field: value})
