# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The bundle that an application serves: its sub-networks, and those that it refuses to serve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.contract import Engine, EngineError
from dynamic_dnn_ros.engines.exchange import SubNetworkExchange
from dynamic_dnn_ros.engines.verification import ResponseError, VerifyingEngine


class ServedBundle:
    """
    What an application serves, and the processor that its results name.

    `refused` says why a sub-network is not served, by its id. `processor` may be one of a
    simulated board.
    """

    def __init__(
        self,
        bundle: Bundle,
        engine: Engine,
        on_refused: Callable[[SubNetwork, ResponseError], None],
    ) -> None:
        """
        Put an engine to work on a bundle.

        :param on_refused: told of a sub-network that does not answer as recorded, by the thread
            that prepares it
        """
        self.bundle = bundle
        self.engine: Engine = VerifyingEngine(engine, bundle.responses, on_refused)
        self.exchange = SubNetworkExchange(self.engine, bundle.manifest)
        self.processor = ''
        self.refused: dict[str, str] = {}

    def begin(self, wished: str) -> str:
        """
        Prepare the first sub-network; the most accurate one stands in for one that is refused.

        :param wished: its id; empty: the most accurate one
        :return: the id of the one that serves
        :raises EngineError: when none answers as recorded, or the engine cannot run it
        :raises BundleError: when the bundle has none of that id
        """
        manifest = self.bundle.manifest
        ordered = sorted(manifest.sub_networks, key=lambda entry: -entry.accuracy)
        by_accuracy = [entry.id for entry in ordered]
        for identifier in dict.fromkeys([wished, *by_accuracy] if wished else by_accuracy):
            try:
                self.exchange.start(identifier, self.engine_processor)
            except ResponseError:
                continue
            return identifier
        raise EngineError(
            f'bundle {manifest.name!r}: no sub-network can be served. '
            + next(iter(self.refused.values()))
        )

    @property
    def engine_processor(self) -> str:
        """Return the processor of this machine that does the work."""
        processors = self.engine.processors
        return self.processor if self.processor in processors else processors[0]

    @property
    def serving(self) -> str:
        """Return the id of the sub-network that serves."""
        return self.exchange.serving.sub_network.id

    def manifest(self) -> Manifest:
        """Return the manifest without the sub-networks that are refused."""
        manifest = self.bundle.manifest
        kept = (entry for entry in manifest.sub_networks if entry.id not in self.refused)
        return replace(manifest, sub_networks=tuple(kept))
