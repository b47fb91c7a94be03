# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
How much a gate asks for, so that a promise on accuracy is kept.

Each choice gets a bonus for what it costs: a price times its share of the largest path's cost. The
lowest price is taken with which the loss on held-out pictures, with the margin of cascades, is
within the promise.
"""

from __future__ import annotations

from collections.abc import Sequence
import copy
import math

import numpy as np
from numpy.typing import NDArray
import torch

from dynamic_dnn_ros.exits.calibration import Loss, lowest_threshold
from dynamic_dnn_ros.exits.errors import ExitError
from dynamic_dnn_ros.exits.gate_training import Told
from dynamic_dnn_ros.networks.gate_stages import Gate

#: Prices that are tried, at most.
_PRICES = 2000


@torch.no_grad()
def priced(
    gate: Gate,
    told: Told,
    whole_right: NDArray[np.bool_],
    works: Sequence[float],
    at_most: float,
) -> Gate:
    """
    Return a gate with the lowest price that keeps a promise.

    :param told: what the choices answer to held-out pictures
    :param whole_right: whether the network that the promise is made against is right, N
    :param works: of the choices, as shares of the largest path's cost; the last one costs most
    :param at_most: the loss of accuracy that is promised, in parts of 1
    :raises ExitError: where no price keeps the promise
    """
    scores = gate.scored(told.features)
    costs = torch.tensor(works)
    whole = torch.from_numpy(whole_right).double()
    right = told.right.double()

    def loss(price: float) -> Loss:
        choice = (scores + price * costs).argmax(1)
        lost = whole - right.gather(1, choice[:, None])[:, 0]
        deviation = float(lost.std(correction=0))
        return Loss(float(lost.mean()), deviation / math.sqrt(len(lost)))

    prices = _prices(scores, costs)
    found = lowest_threshold(prices, loss, at_most)
    if found is None:
        last = loss(float(prices[-1]))
        raise ExitError(
            f'at most {at_most:g} below cannot be promised: where all pictures take the last '
            f'choice, the loss is {last.mean:.4f} with a standard error of {last.error:.4f} on '
            f'{len(whole)} held-out pictures. Promise more, or let less be shared (--shared)'
        )
    changed = copy.deepcopy(gate)
    changed.score.bias.add_(found[0] * costs)
    return changed


def _prices(scores: torch.Tensor, costs: torch.Tensor) -> NDArray[np.float64]:
    """Return prices worth trying, ascending: from one on, a picture takes the last choice."""
    saved = costs[-1] - costs[:-1]
    needed = ((scores[:, :-1] - scores[:, -1:]) / saved.clamp_min(1e-6)).amax(1)
    found = np.unique(needed.double().numpy())
    if len(found) > _PRICES:
        found = found[np.linspace(0, len(found) - 1, _PRICES).round().astype(np.int64)]
    # Just above, so that a tie goes to the last choice.
    step = 1e-4 * (1.0 + np.abs(found))
    return np.asarray(found + step, np.float64)
