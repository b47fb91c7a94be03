# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
import torch
from torch import nn

from dynamic_dnn_ros.training.arithmetic import Arithmetic, choose_device
from dynamic_dnn_ros.training.configuration import Precision, TrainingConfigurationError

CPU = torch.device('cpu')


def test_a_processor_computes_in_float32_unless_told_otherwise():
    assert Arithmetic(CPU, Precision.AUTO).precision is Precision.FLOAT32
    layer, inputs = nn.Linear(4, 4), torch.ones(1, 4)
    for precision, kind in (
        (Precision.FLOAT32, torch.float32),
        (Precision.BFLOAT16, torch.bfloat16),
    ):
        with Arithmetic(CPU, precision).autocast():
            assert layer(inputs).dtype is kind


def test_float16_is_refused_on_a_processor():
    with pytest.raises(TrainingConfigurationError, match='float16, which needs a GPU'):
        Arithmetic(CPU, Precision.FLOAT16)


def test_auto_is_a_gpu_where_there_is_one():
    assert choose_device('auto').type == ('cuda' if torch.cuda.is_available() else 'cpu')


@pytest.mark.parametrize('name', ['nonesuch', 'cuda:99'])
def test_a_device_that_there_is_not_is_named(name):
    with pytest.raises(TrainingConfigurationError, match=f"device is '{name}'.*'auto' or 'cpu'"):
        choose_device(name)


def test_a_step_limits_the_gradients():
    layer = nn.Linear(4, 1, bias=False)
    before = layer.weight.detach().clone()
    arithmetic = Arithmetic(CPU, Precision.AUTO)
    arithmetic.backward(1000.0 * layer(torch.ones(1, 4)).sum())
    arithmetic.step(torch.optim.SGD(layer.parameters(), lr=1.0), layer, limit=2.0)
    assert (layer.weight.detach() - before).norm() == pytest.approx(2.0, rel=1e-3)
