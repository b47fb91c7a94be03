# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An engine that prepares when a test lets it, and fails where a test wants it to."""

from __future__ import annotations

from collections.abc import Iterable
import os
import threading

import numpy as np

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.engines.contract import Engine, OutOfMemoryError, Outputs, PreparedSubNetwork

TIMEOUT = 30.0
PIECE = 100_000
"""Bytes, below the size from which the C library maps each piece by itself."""


class GatedSubNetwork(PreparedSubNetwork):
    """Holds real memory, in pieces that the C library keeps when they are freed."""

    classes = 10

    def __init__(self, sub_network: SubNetwork, processor: str, size: int) -> None:
        super().__init__(sub_network, processor)
        self.weights = [np.ones(PIECE, np.uint8) for _ in range(size // PIECE)]
        self.size = size
        self.closed = False

    @property
    def memory(self) -> int:
        return self.size

    def run(self, picture: np.ndarray) -> Outputs:
        assert not self.closed
        return {'logits': np.arange(self.classes, dtype=np.float32)[None]}

    def close(self) -> None:
        self.closed = True
        self.weights.clear()


class GatedEngine(Engine):
    """
    Prepares each sub-network once its gate is open; the first one is open.

    `size` of each in bytes; `room` is how many the processor has memory for; `errors` are raised
    in place of a preparation; `niceness` has that of the threads that prepared.
    """

    name = 'gated'
    processors = ('cpu',)

    def __init__(self, identifiers: Iterable[str] = ('s0', 's1', 's2'), size: int = 0) -> None:
        self.gates = {identifier: threading.Event() for identifier in identifiers}
        self.gates['s0'].set()
        self.size = size
        self.room: int | None = None
        self.errors: dict[str, Exception] = {}
        self.attempts: list[str] = []
        self.made: list[GatedSubNetwork] = []
        self.niceness: set[int] = set()

    def prepare(self, sub_network: SubNetwork, processor: str) -> PreparedSubNetwork:
        self.attempts.append(sub_network.id)
        self.niceness.add(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        assert self.gates[sub_network.id].wait(TIMEOUT)
        if sub_network.id in self.errors:
            raise self.errors[sub_network.id]
        if self.room is not None and sum(not one.closed for one in self.made) >= self.room:
            raise OutOfMemoryError(f'no memory left for {sub_network.id!r}')
        self.made.append(GatedSubNetwork(sub_network, processor, self.size))
        return self.made[-1]

    def memory_needed(self, sub_network: SubNetwork) -> int:
        return self.size

    def open_gates(self) -> None:
        for gate in self.gates.values():
            gate.set()
