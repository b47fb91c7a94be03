# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Exchange the serving sub-network for another one that is ready, between two frames."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
import copy
from typing import Protocol

from dynamic_dnn_ros.bundles.manifest import Manifest
from dynamic_dnn_ros.engines.contract import Engine, PreparedSubNetwork
from dynamic_dnn_ros.serving.preparation import SETTLED_AFTER as SETTLED_AFTER
from dynamic_dnn_ros.serving.preparation import Failed, Preparation, Ready, Unprepared
from dynamic_dnn_ros.serving.preparation import Overtaken as Overtaken
from dynamic_dnn_ros.serving.prepared_set import Key


class Lender(Protocol):
    """Has a sub-network for each frame."""

    @property
    def serving(self) -> PreparedSubNetwork:
        """Return the one that a frame would have now; it is to be looked at, not to be run."""

    def lease(self) -> AbstractContextManager[PreparedSubNetwork]:
        """Have one for a frame: it stays whole until the frame is done."""


class SubNetworkExchange:
    """
    The sub-network that serves a stream, and the others that are ready to take its place.

    The exchange itself is the assignment of one reference: whoever took a lease for a frame keeps
    it to the end of that frame. Each stream has an exchange of its own; those of one bundle have
    what is prepared in common, see `Preparation`.
    """

    def __init__(
        self,
        engine: Engine,
        manifest: Manifest,
        budget: int | None = None,
        on_unprepared: Unprepared = lambda sub_network, error: None,
        aside: bool = True,
    ) -> None:
        """
        Begin with none; `start` prepares the first.

        :param budget: bytes for all prepared sub-networks together; None: all are prepared
        :param on_unprepared: told once of each failure that nobody else is told of
        :param aside: whether to prepare with less priority than others have. Not where an engine
            computes with threads that it starts while it prepares: they would keep that priority.
        """
        self._manifest = manifest
        self._preparation = Preparation(engine, manifest, budget, on_unprepared, aside)
        self._place = self._preparation.enter()

    def for_another_stream(self) -> SubNetworkExchange:
        """
        Return an exchange for another stream, which has the same prepared sub-networks.

        It begins with none; each is to be closed.
        """
        another = copy.copy(self)
        another._place = self._preparation.enter()
        return another

    # What there is

    @property
    def serving(self) -> PreparedSubNetwork:
        """Return the one that serves."""
        held = self._place.serving
        assert held is not None, 'start() comes first'
        return held.prepared

    @property
    def ready(self) -> tuple[PreparedSubNetwork, ...]:
        """Return those that are ready now, in the order of the bundle."""
        return self._preparation.ready

    @property
    def failures(self) -> dict[str, Exception]:
        """Return why sub-networks could not be prepared, by their ids."""
        return self._preparation.failures

    @property
    def memory(self) -> int:
        """Return what those that are ready take together, bytes."""
        return self._preparation.memory

    @property
    def budget(self) -> int | None:
        """Return the bytes for all together: less than asked for once the processor ran full."""
        return self._preparation.budget

    def wait_until_idle(self, timeout: float) -> bool:
        """Wait until nothing is left to prepare; tell whether it is so within the seconds."""
        return self._preparation.wait_until_idle(timeout)

    # Who uses it

    def start(self, identifier: str, processor: str) -> None:
        """
        Prepare the first sub-network and wait for it; the others follow in the background.

        :raises EngineError: when the engine cannot prepare it; another one may be tried
        :raises BundleError: when the bundle has none of that id
        """
        self._preparation.start(self._place, identifier, processor)

    def request(self, identifier: str, processor: str, ready: Ready, failed: Failed) -> None:
        """
        Have another one serve as soon as it is ready; at once where it is.

        A newer request overtakes one that still waits: that one fails with `Overtaken`. One for
        what is waited for already joins it.

        :param ready: called once it serves, from any thread
        :param failed: called with the reason when it cannot be prepared; the old one goes on
        :raises BundleError: when the bundle has none of that id
        """
        key = Key(self._manifest.sub_network(identifier).id, processor)
        self._preparation.request(self._place, key, ready, failed)

    @contextmanager
    def lease(self) -> Iterator[PreparedSubNetwork]:
        """Have the serving one for a frame: it stays whole until the frame is done."""
        held = self._preparation.take(self._place)
        try:
            yield held.prepared
        finally:
            self._preparation.release(held)

    def each(self, processor: str) -> Iterator[PreparedSubNetwork]:
        """
        Yield each in the order of the bundle, whether all fit together or not.

        Those that fail are left out; `close` ends it.
        """
        return self._preparation.each(processor)

    def close(self) -> None:
        """
        Let the stream go: a preparation that only it waited for ends.

        The last one of a bundle gives back the memory of all.
        """
        self._preparation.leave(self._place)
