# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a gate asks for keeps a promise on held-out pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from dynamic_dnn_ros.exits.errors import ExitError
from dynamic_dnn_ros.exits.gate_calibration import priced
from dynamic_dnn_ros.exits.gate_training import Told, judged
from dynamic_dnn_ros.networks.gate_stages import Gate

COSTS = (0.2, 0.5, 1.0)


def pictures(count: int = 4000) -> Told:
    """
    Return pictures of a hardness in 0..1, their first channel.

    Choices are right up to a hardness of 0.6, 0.8 and 0.9.
    """
    generator = torch.Generator().manual_seed(1)
    features = torch.rand(count, 2, generator=generator)
    labels = torch.randint(3, (count,), generator=generator)
    truth = functional.one_hot(labels, 3).float()
    answers = [
        torch.where(features[:, :1] < hardest, truth, truth.roll(1, 1))
        for hardest in (0.6, 0.8, 0.9)
    ]
    return Told(features, torch.stack(answers, 1), labels)


def hopeful() -> Gate:
    """Return a gate that knows the hardness, and takes the first choice of all pictures."""
    gate = Gate(1, 1, 3)
    with torch.no_grad():
        gate.reduce.weight.copy_(torch.tensor([[1.0, 0.0]]))
        gate.reduce.bias.zero_()
        gate.score.weight.copy_(torch.tensor([[-1.0], [0.0], [1.0]]))
        gate.score.bias.copy_(torch.tensor([3.0, 0.0, -3.0]))
    return gate.requires_grad_(False)


def whole_right(told: Told) -> np.ndarray:
    """Return which pictures the network is right of that the promise is made against."""
    found: np.ndarray = (told.features[:, 0] < 0.9).numpy()
    return found


@pytest.mark.parametrize('promise', [0.01, 0.05, 0.15])
def test_a_promise_is_kept_and_not_by_much_more(promise: float) -> None:
    told = pictures()
    assert judged(hopeful(), told)[0] == pytest.approx(0.6, abs=0.02)
    accuracy, shares = judged(priced(hopeful(), told, whole_right(told), COSTS, promise), told)
    lost = float(whole_right(told).mean()) - accuracy
    # The margin is 1.28 standard errors, each of at most 0.006 here.
    assert promise - 0.012 <= lost <= promise
    assert shares[2] < 0.9


def test_a_looser_promise_never_asks_for_more() -> None:
    told = pictures()
    works = []
    for promise in (0.005, 0.02, 0.08, 0.2):
        gate = priced(hopeful(), told, whole_right(told), COSTS, promise)
        works.append(sum(cost * share for cost, share in zip(COSTS, judged(gate, told)[1])))
    assert works == sorted(works, reverse=True)
    assert works[0] > works[-1]


def test_the_gate_that_was_given_stays() -> None:
    told, gate = pictures(), hopeful()
    bias = gate.score.bias.clone()
    priced(gate, told, whole_right(told), COSTS, 0.05)
    assert torch.equal(gate.score.bias, bias)


def test_a_promise_that_nothing_keeps_is_refused_with_what_is_lost() -> None:
    told = pictures()
    better = np.ones(len(told.labels), bool)
    with pytest.raises(
        ExitError, match=r'at most 0\.01 below cannot be promised.*loss is 0\.(09|1)'
    ):
        priced(hopeful(), told, better, COSTS, 0.01)
