# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cascades, whatever engine runs the sub-networks that are their stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
import threading
from typing import Any
from weakref import WeakSet

from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.contract import (
    Engine,
    Outputs,
    PreparedSubNetwork,
    SharedMemory,
)
from dynamic_dnn_ros.engines.staged import StagedSubNetwork, Values


def without_cascades(bundle: Bundle) -> Bundle:
    """Return a bundle with the sub-networks that its source has: those that an engine runs."""
    manifest = bundle.manifest
    return replace(bundle, manifest=replace(manifest, sub_networks=manifest.own_sub_networks))


class CascadeEngine(Engine):
    """
    An engine that runs cascades besides.

    What it prepares of other sub-networks is what the engine within prepares: they run as fast as
    without it. A sub-network that is held already, alone or as a stage, is not loaded again where
    its engine shares it.
    """

    def __init__(self, engine: Engine, manifest: Manifest) -> None:
        """
        Wrap an engine.

        :param engine: of a bundle without its cascades, see `without_cascades`
        :param manifest: of the whole bundle
        """
        self.name = engine.name
        self.precision = engine.precision
        self._engine = engine
        self._manifest = manifest
        self._lock = threading.Lock()
        # By id and processor, for as long as somebody holds them.
        self._held: dict[tuple[str, str], WeakSet[PreparedSubNetwork]] = {}

    @property
    def processors(self) -> tuple[str, ...]:
        """Return the processors of the engine."""
        return self._engine.processors

    @property
    def largest_batch(self) -> int:
        """Pictures that what the engine prepares is to take together."""
        return self._engine.largest_batch

    @largest_batch.setter
    def largest_batch(self, pictures: int) -> None:
        self._engine.largest_batch = pictures

    def prepare(self, sub_network: SubNetwork, processor: str) -> PreparedSubNetwork:
        """
        Make one sub-network ready, or all stages of a cascade.

        :raises EngineError: as the engine does
        """
        if not sub_network.is_cascade:
            return self._prepare(sub_network, processor)
        parts = []
        try:
            for entry in self._parts(sub_network):
                parts.append(self._prepare(entry, processor))
        except Exception:
            for part in parts:
                part.close()
            raise
        return _Cascade(sub_network, processor, parts, self.name)

    def memory_needed(self, sub_network: SubNetwork) -> int:
        """
        Return an estimate of the memory of a sub-network before it is prepared, bytes.

        That of a cascade counts its stages whole, also those that it will share.
        """
        if not sub_network.is_cascade:
            return self._engine.memory_needed(sub_network)
        total = 0
        for entry in self._parts(sub_network):
            shared = self._engine.shared_memory(entry)
            total += self._engine.memory_needed(entry) + (shared.size if shared else 0)
        return total

    def shared_memory(self, sub_network: SubNetwork) -> SharedMemory | None:
        """Return the estimate of the engine; a cascade counts whole."""
        return None if sub_network.is_cascade else self._engine.shared_memory(sub_network)

    def _parts(self, cascade: SubNetwork) -> list[SubNetwork]:
        return [self._manifest.sub_network(stage.sub_network) for stage in cascade.stages]

    def _prepare(self, sub_network: SubNetwork, processor: str) -> PreparedSubNetwork:
        key = (sub_network.id, processor)
        with self._lock:
            held = list(self._held.get(key, ()))
        twins = (each.twin() for each in held)
        prepared = next((twin for twin in twins if twin is not None), None)
        if prepared is None:
            prepared = self._engine.prepare(sub_network, processor)
        with self._lock:
            self._held.setdefault(key, WeakSet()).add(prepared)
        return prepared


class _Cascade(StagedSubNetwork):
    """Sub-networks that get one picture, one after the other."""

    def __init__(
        self,
        sub_network: SubNetwork,
        processor: str,
        parts: Sequence[PreparedSubNetwork],
        library: str,
    ) -> None:
        super().__init__(
            sub_network,
            processor,
            [_Part(part) for part in parts],
            sum(map(_whole_memory, parts)),
            library,
        )
        self.largest_batch = min(part.largest_batch for part in parts)

    @property
    def parts(self) -> tuple[PreparedSubNetwork, ...]:
        steps: Any = self._steps or ()
        return tuple(step.prepared for step in steps)


def _whole_memory(prepared: PreparedSubNetwork) -> int:
    shared = prepared.shared_memory
    return prepared.memory + (shared.size if shared else 0)


class _Part:
    """One stage of a cascade; it closes its sub-network when nothing runs it any more."""

    def __init__(self, prepared: PreparedSubNetwork) -> None:
        self.prepared = prepared

    def __call__(self, values: Values) -> tuple[Outputs, Values]:
        (batch,) = values
        return self.prepared.run_batch(list(batch)), values

    def __del__(self) -> None:
        self.prepared.close()
