# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Exchange the serving sub-network for another one between two frames."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
import threading

from dynamic_dnn_ros.bundles.manifest import Manifest
from dynamic_dnn_ros.engines.contract import Engine, EngineError, PreparedSubNetwork

Prepared = Callable[[PreparedSubNetwork], None]
Failed = Callable[[Exception], None]


class SubNetworkExchange:
    """
    Holds the sub-network that serves, and those that are ready to take its place.

    A sub-network is prepared by a thread of its own while the present one serves. The exchange
    itself is the assignment of one reference: whoever took `serving` for a frame keeps it to the
    end of that frame.
    """

    def __init__(self, engine: Engine, manifest: Manifest) -> None:
        self._engine = engine
        self._manifest = manifest
        self._preparing = ThreadPoolExecutor(1, thread_name_prefix='prepare')
        self._lock = threading.Lock()
        self._ready: dict[tuple[str, str], Future[PreparedSubNetwork]] = {}
        self._newest_request = 0
        self._serving: PreparedSubNetwork | None = None

    @property
    def serving(self) -> PreparedSubNetwork:
        """Return the sub-network for the next frame."""
        assert self._serving is not None, 'start() comes first'
        return self._serving

    def start(self, identifier: str, processor: str) -> None:
        """
        Prepare the first sub-network and wait for it; the others follow in the background.

        :raises EngineError: when the engine cannot prepare it
        :raises BundleError: when the bundle has none of that id
        """
        self._serving = self._prepare(identifier, processor).result()
        for sub_network in self._manifest.sub_networks:
            self._prepare(sub_network.id, processor)

    def request(
        self, identifier: str, processor: str, exchanged: Prepared, failed: Failed
    ) -> None:
        """
        Exchange the serving sub-network as soon as the new one is ready.

        Where it is ready already, the exchange is done when this returns. A newer request
        overtakes one that still waits: that one fails.

        :param exchanged: called after the exchange, from any thread
        :param failed: called with the reason when it cannot be prepared; the old one goes on
        :raises BundleError: when the bundle has none of that id
        """
        future = self._prepare(identifier, processor)
        with self._lock:
            self._newest_request += 1
            request = self._newest_request

        def finish(done: Future[PreparedSubNetwork]) -> None:
            if done.cancelled():
                return
            error = done.exception()
            if isinstance(error, Exception):
                with self._lock:
                    self._ready.pop((identifier, processor), None)
                failed(error)
                return
            with self._lock:
                overtaken = request != self._newest_request
                if not overtaken:
                    self._serving = done.result()
            if overtaken:
                failed(EngineError(f'{identifier!r} was overtaken by a newer switch.'))
            else:
                exchanged(done.result())

        future.add_done_callback(finish)

    def prepared(self) -> tuple[PreparedSubNetwork, ...]:
        """Wait for all sub-networks that were begun; return those that are ready, in order."""
        with self._lock:
            futures = list(self._ready.values())
        ready = []
        for future in futures:
            # One that was cancelled by `close` never counts as done for `concurrent.futures.wait`.
            with suppress(Exception):
                ready.append(future.result())
        order = [sub_network.id for sub_network in self._manifest.sub_networks]
        return tuple(sorted(ready, key=lambda prepared: order.index(prepared.sub_network.id)))

    def close(self) -> None:
        """Stop preparing."""
        self._preparing.shutdown(wait=True, cancel_futures=True)

    def _prepare(self, identifier: str, processor: str) -> Future[PreparedSubNetwork]:
        sub_network = self._manifest.sub_network(identifier)
        with self._lock:
            key = (identifier, processor)
            if key not in self._ready:
                self._ready[key] = self._preparing.submit(
                    self._engine.prepare, sub_network, processor
                )
            return self._ready[key]
