# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The stages of a trained sub-network whose gates decide, and how many pictures take which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
import math
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dynamic_dnn_ros.bundles.stages import Stage
from dynamic_dnn_ros.networks.contract import Configuration, DynamicNetwork

#: A way through the network: the numbers of its stages.
_Way = tuple[int, ...]


@torch.no_grad()
def stages_of(
    network: DynamicNetwork[Any], configuration: Configuration, batches: Iterable[torch.Tensor]
) -> tuple[Stage, ...]:
    """
    Return the stages of a sub-network as a manifest holds them; none: it is one piece.

    Costs are counted in multiply-adds, as for a picture for which all of each stage runs. A
    profile with the paths of pictures has what they take.

    :param batches: of calibration pictures, N x 3 x height x width, normalised
    """
    names = network.stage_names(configuration)
    if not names:
        return ()
    parts = [part.eval() for part in network.extract_stages(configuration, share_weights=True)]
    routes = network.stage_routes(configuration)
    ways: Counter[_Way] = Counter()
    for images in batches:
        ways.update(_ways(parts, routes, images))
    example = torch.zeros(1, 3, *configuration.size, device=_device_of(parts))
    costs = _costs(parts, routes, example)
    largest = [0]
    while routes[largest[-1]]:
        largest.append(routes[largest[-1]][-1])
    whole = sum(costs[number] for number in largest)
    shares = [cost / whole for cost in costs]
    count = ways.total()
    return tuple(
        Stage(
            name=names[number],
            choices=tuple(names[each] for each in routes[number]) if routes[number] else (),
            last=not routes[number],
            cost=shares[number],
            work=_work(number, ways, shares, routes),
            taken=sum(times for way, times in ways.items() if way[-1] == number) / count,
        )
        for number in range(len(parts))
    )


def _ways(
    parts: Sequence[nn.Module], routes: Sequence[Sequence[int]], images: torch.Tensor
) -> list[_Way]:
    """Return the ways of the pictures of a batch, in no order."""
    found = []
    pending: list[tuple[_Way, torch.Tensor]] = [((0,), images)]
    while pending:
        way, values = pending.pop()
        following = routes[way[-1]]
        if not following:
            found += [way] * len(values)
            continue
        scores, onward = parts[way[-1]](values)
        choices = scores.argmax(1)
        for choice in choices.unique().tolist():
            pending.append(((*way, following[choice]), onward[choices == choice]))
    return found


def _costs(
    parts: Sequence[nn.Module], routes: Sequence[Sequence[int]], example: torch.Tensor
) -> list[float]:
    """Return the multiply-adds of each stage."""
    taken = {0: example}
    costs = []
    for number, part in enumerate(parts):
        with FlopCounterMode(display=False) as counter:
            given = part(taken[number])
        costs.append(counter.get_total_flops() / 2)
        for each in routes[number]:
            taken.setdefault(each, given[-1])
    return costs


def _work(
    number: int, ways: Counter[_Way], shares: Sequence[float], routes: Sequence[Sequence[int]]
) -> float:
    """Return the mean work up to a stage, of the pictures that took it, or of its cheapest way."""
    taking = [
        (way[: way.index(number) + 1], times) for way, times in ways.items() if number in way
    ]
    if taking:
        total = sum(times for _, times in taking)
        mean = sum(times * math.fsum(shares[each] for each in way) for way, times in taking)
        return min(mean / total, 1.0)
    least = {0: shares[0]}
    for each in range(number):
        for following in routes[each] if each in least else ():
            through = least[each] + shares[following]
            least[following] = min(through, least.get(following, math.inf))
    return min(least[number], 1.0)


def _device_of(parts: Sequence[nn.Module]) -> torch.device:
    return next(parameter.device for part in parts for parameter in part.parameters())
