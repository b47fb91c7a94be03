# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The contract that every engine keeps: how one sub-network of a bundle runs."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.bundles.manifest import SubNetwork

#: Red, green, blue, 0..255, with the shape (resolution, resolution, 3), contiguous.
Picture = NDArray[np.uint8]

#: One value a class, with the shape (classes,).
Logits = NDArray[np.float32]


class EngineError(RuntimeError):
    """An engine cannot do what it was asked for. The text says what to do."""


class PreparedSubNetwork(ABC):
    """
    One sub-network on one processor, ready to run.

    It is independent of every other one: preparing or running another changes no output of it.
    """

    def __init__(self, sub_network: SubNetwork, processor: str) -> None:
        self.sub_network = sub_network
        self.processor = processor

    @abstractmethod
    def run(self, picture: Picture) -> Logits:
        """
        Classify one picture of the sub-network's own resolution; normalisation is done here.

        Returns when the result is there, also where the processor works asynchronously.

        :raises EngineError: when the engine fails; the sub-network may be tried again
        """


class Engine(ABC):
    """Runs the sub-networks of one bundle."""

    #: Name by which a user asks for it.
    name: str

    @property
    @abstractmethod
    def processors(self) -> tuple[str, ...]:
        """Return the processors that it can run on here, the preferred one first."""

    @abstractmethod
    def prepare(self, sub_network: SubNetwork, processor: str) -> PreparedSubNetwork:
        """
        Make one sub-network ready, its first slow runs included. May be called from any thread.

        :raises EngineError: when it cannot be run on that processor
        """


def softmax(logits: Logits) -> NDArray[np.float64]:
    """Return the probabilities of the classes, shape (classes,)."""
    exponentials = np.exp(np.asarray(logits, np.float64) - np.max(logits))
    probabilities: NDArray[np.float64] = exponentials / exponentials.sum()
    return probabilities
