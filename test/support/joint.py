# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Backbones with exits that are made up: the deeper, the more often they are right."""

from __future__ import annotations

from itertools import accumulate

import numpy as np

from dynamic_dnn_ros.platforms.board_model import NetworkCost
from dynamic_dnn_ros.search.joint.designs import Backbone
from dynamic_dnn_ros.search.joint.exit_answers import ExitAnswers

PICTURES = 4000
HEAD = NetworkCost(100_000, 1, 10_000)


def exit_answers(accuracies: list[float], seed: int = 0, pictures: int = PICTURES) -> ExitAnswers:
    """
    Return answers of exits and of the whole network with given accuracies.

    Every picture has a hardness, and an exit is right up to its accuracy; how sure it is tells
    roughly how far the picture lies from that.
    """
    generator = np.random.default_rng(seed)
    hardness = generator.random(pictures)
    right = np.array([hardness < accuracy for accuracy in accuracies])
    noise = generator.normal(0.0, 0.06, (len(accuracies) - 1, pictures))
    margin = np.array(accuracies[:-1])[:, None] - hardness[None] + noise
    return ExitAnswers(1.0 / (1.0 + np.exp(-8.0 * margin)), right)


def backbone(
    name: str = 'b', parts: int = 4, layers: int = 12, accuracy: float = 0.9, seed: int = 0
) -> Backbone:
    """Return a backbone of equal parts, with a place for an exit after each but the last."""
    accuracies = [accuracy - 0.06 * (parts - 1 - index) for index in range(parts)]
    part = NetworkCost(10_000_000, layers, 200_000)
    numbers = list(accumulate([1] * parts))
    return Backbone(
        configuration=name,
        places=tuple(f'part_{index}' for index in range(parts - 1)),
        trunk=tuple(
            NetworkCost(part.multiply_adds * n, part.layers * n, part.parameters * n)
            for n in numbers
        ),
        heads=(HEAD,) * (parts - 1),
        seconds=(*[1e-3] * parts, *[5e-5] * (parts - 1)),
        answers=exit_answers(accuracies, seed),
    )
