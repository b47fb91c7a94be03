# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The sub-networks that are ready, what they take of a memory budget, and which are to go."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork
from dynamic_dnn_ros.engines.contract import PreparedSubNetwork, SharedMemory
from dynamic_dnn_ros.serving.ranking import by_cost, fitting, merged, ranked


class Key(NamedTuple):
    """A sub-network by its id, on one processor."""

    sub_network: str
    processor: str


@dataclass
class Held:
    """One that is ready, and how many use it now."""

    prepared: PreparedSubNetwork
    users: int = 0

    @property
    def key(self) -> Key:
        """Return which one it is."""
        return Key(self.prepared.sub_network.id, self.prepared.processor)


class PreparedSet:
    """
    Those that are ready, and those that failed.

    It decides and counts; it prepares and closes nothing. It has no lock: its owner has one, and
    holds it around each call.
    """

    def __init__(
        self,
        manifest: Manifest,
        memory_needed: Callable[[SubNetwork], int],
        budget: int | None,
        shared_memory: Callable[[SubNetwork], SharedMemory | None] = lambda sub_network: None,
    ) -> None:
        """
        Begin with none.

        :param memory_needed: what an engine estimates before it has prepared one, bytes
        :param budget: bytes for all together; None: no limit
        :param shared_memory: what an engine estimates that one will have together with others
        """
        #: Bytes for all together; None: no limit.
        self.budget = budget
        self._manifest = manifest
        self._memory_needed = memory_needed
        self._shared_memory = shared_memory
        self._order = by_cost(manifest.sub_networks)
        self._held: dict[Key, Held] = {}
        self._failures: dict[Key, Exception] = {}
        # What one took is remembered beyond its eviction.
        self._sizes: dict[Key, int] = {}

    @property
    def prepared(self) -> tuple[PreparedSubNetwork, ...]:
        """Return those that are ready, in the order of the bundle."""
        order = [entry.id for entry in self._manifest.sub_networks]
        prepared = [held.prepared for held in self._held.values()]
        return tuple(sorted(prepared, key=lambda one: order.index(one.sub_network.id)))

    @property
    def failures(self) -> dict[str, Exception]:
        """Return why sub-networks could not be prepared, by their ids."""
        return {key.sub_network: error for key, error in self._failures.items()}

    def failure(self, key: Key) -> Exception | None:
        """Return why one could not be prepared; None where it could, or nobody tried."""
        return self._failures.get(key)

    @property
    def memory(self) -> int:
        """Return what those that are ready take together, bytes."""
        shared = {common[0]: common[1] for key in self._held if (common := self._shared(key))}
        return sum(self._sizes[key] for key in self._held) + sum(shared.values())

    def __contains__(self, key: Key) -> bool:
        """Return whether one is ready."""
        return key in self._held

    def get(self, key: Key) -> Held | None:
        """Return one that is ready; None where it is not."""
        return self._held.get(key)

    def add(self, key: Key, prepared: PreparedSubNetwork) -> Held:
        """Take in one that is ready now."""
        held = self._held[key] = Held(prepared)
        self._sizes[key] = prepared.memory
        self._failures.pop(key, None)
        return held

    def fail(self, key: Key, error: Exception) -> bool:
        """Note that one could not be prepared; return whether that is new."""
        new = key not in self._failures
        self._failures[key] = error
        return new

    def wanted(
        self, serving: Sequence[Key], asked: Key | None, recent: Iterable[Key]
    ) -> tuple[tuple[Key, ...], bool]:
        """
        Return those to have, the likeliest first, and whether others lack room.

        Those that failed are left out. Those that serve and the one asked for are in, whatever
        they take.

        :param serving: the one of each stream
        :param recent: those that switches named, the latest first
        """
        first = [] if asked is None else [asked]
        named = [*first, *recent, *self._held]
        rankings = [
            ranked([Key(identifier, one.processor) for identifier in self._order], one, named)
            for one in dict.fromkeys(serving)
        ]
        ranking = [key for key in merged(rankings) if key == asked or key not in self._failures]
        needed = len({*serving, *first})
        wanted = fitting(ranking, self._size, self.budget, needed, self._shared)
        return wanted, len(wanted) < len(ranking)

    def evict(self, serving: Collection[Key], kept: Collection[Key]) -> list[PreparedSubNetwork]:
        """Give up those that are not to be kept, not serving and not in use; return them."""
        leaving = [
            key
            for key, held in self._held.items()
            if key not in kept and key not in serving and not held.users
        ]
        return [self._held.pop(key).prepared for key in leaving]

    def evict_all(self) -> list[PreparedSubNetwork]:
        """Give up all; return those that nobody uses."""
        leaving = [held.prepared for held in self._held.values() if not held.users]
        self._held.clear()
        return leaving

    def allow_no_more(self) -> None:
        """Make what is there the budget: it fits, more does not."""
        self.budget = self.memory if self.budget is None else min(self.memory, self.budget)

    def _shared(self, key: Key) -> tuple[tuple[str, str], int] | None:
        """Return what one has together with others on its processor: whose it is, and bytes."""
        held = self._held.get(key)
        found = (
            self._shared_memory(self._manifest.sub_network(key.sub_network))
            if held is None
            else held.prepared.shared_memory
        )
        return None if found is None else ((found.owner, key.processor), found.size)

    def _size(self, key: Key) -> int:
        known = self._sizes.get(key)
        if known is not None:
            return known
        return self._memory_needed(self._manifest.sub_network(key.sub_network))
