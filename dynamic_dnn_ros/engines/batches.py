# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Does a sub-network take several pictures at once? Asked of it when it is prepared."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.engines.contract import EngineError, Outputs, PreparedSubNetwork

#: By how much the outputs of a batch may differ from those of single pictures, as a share of the
#: largest. What does not treat pictures one by one is off by far more.
_TOLERANCE = 0.01


def settle_batches(prepared: PreparedSubNetwork, wanted: int) -> None:
    """
    Set how many pictures a sub-network takes at once: as many as wanted, or one.

    It takes one where a batch of two does not run, or is not answered as each of them alone: its
    graph may have a fixed batch axis, or outputs that are no longer apart by pictures.

    :param wanted: pictures; with 1 nothing is run
    :raises EngineError: when it fails on a single picture
    """
    prepared.largest_batch = 1
    if wanted < 2:
        return
    generator = np.random.default_rng(0)
    shape = (*prepared.sub_network.size, 3)
    bright = generator.integers(0, 256, shape, np.uint8)
    pictures = [bright, bright[::-1] // 4]
    alone = [prepared.run(picture) for picture in pictures]
    prepared.largest_batch = wanted
    try:
        together = prepared.run_batch(pictures)
    except EngineError:
        together = {}
    if not (together and all(_answers(together, at, one) for at, one in enumerate(alone))):
        prepared.largest_batch = 1


def _answers(together: Outputs, index: int, alone: Outputs) -> bool:
    """Tell whether a batch of two answers to one of its pictures what that gets alone."""
    return set(together) == set(alone) and all(
        together[name].shape[:1] == (2,) and _near(together[name][index : index + 1], value)
        for name, value in alone.items()
    )


def _near(found: NDArray[Any], expected: NDArray[Any]) -> bool:
    scale = float(np.abs(expected).max(initial=0.0))
    return found.shape == expected.shape and np.allclose(
        found, expected, rtol=0.0, atol=_TOLERANCE * scale, equal_nan=True
    )
