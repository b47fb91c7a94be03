# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The bundle that streams serve: its sub-networks, and those that are refused to be served."""

from __future__ import annotations

from collections.abc import Callable
import copy
from dataclasses import dataclass, field, replace

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.bundles.works import Works, with_works
from dynamic_dnn_ros.engines.contract import Engine, EngineError, Precision
from dynamic_dnn_ros.engines.verification import ResponseError, VerifyingEngine
from dynamic_dnn_ros.serving.exchange import SubNetworkExchange
from dynamic_dnn_ros.serving.frames import ServedFrame
from dynamic_dnn_ros.serving.ranking import by_accuracy


@dataclass
class _Common:
    """What streams have in common and is exchanged while they serve."""

    works: Works = field(default_factory=dict)
    taken: Works = field(default_factory=dict)


class ServedBundle:
    """
    What a stream serves, and the processor that its results name.

    `refused` says why a sub-network is not served, by its id. `processor` may be one of a
    simulated board. `works` and `taken` are those of stages on the platform, where a profile
    knows them. All streams of a node have bundle, engine, `refused` and these in common.
    """

    def __init__(
        self,
        bundle: Bundle,
        engine: Engine,
        budget: int | None,
        aside: bool,
        on_refused: Callable[[SubNetwork, ResponseError], None],
        on_unprepared: Callable[[SubNetwork, Exception], None],
        on_slow: Callable[[SubNetwork, float], None] = lambda sub_network, seconds: None,
    ) -> None:
        """
        Put an engine to work on a bundle.

        :param budget: bytes for all sub-networks that are ready; None: no limit
        :param aside: as for `SubNetworkExchange`
        :param on_refused: told of a sub-network that does not answer as recorded, by the thread
            that prepares it
        :param on_unprepared: told of one that the engine fails on, from any thread
        :param on_slow: told of one that has been in preparation for some seconds, from any thread
        """
        self.bundle = bundle
        self.engine: Engine = VerifyingEngine(
            engine, bundle.responses, bundle.manifest.make_task(), on_refused, on_slow
        )
        self.exchange = SubNetworkExchange(
            self.engine, bundle.manifest, budget, self._unprepared, aside
        )
        self._on_unprepared = on_unprepared
        self.processor = ''
        self.refused: dict[str, str] = {}
        self._common = _Common()
        self._accuracies = bundle.accuracies(engine.name, engine.precision.value)

    @property
    def works(self) -> Works:
        """Return the works of stages on the platform, by the ids of sub-networks."""
        return self._common.works

    def learn_paths(self, works: Works, taken: Works) -> None:
        """
        Take over what a profile of the platform knows of stages.

        :param works: by the ids of sub-networks, see `bundles.works`
        :param taken: shares of the pictures likewise
        """
        self._common.works, self._common.taken = works, taken

    def for_another_stream(self) -> ServedBundle:
        """Return the same for another stream, which is to begin, and to close its exchange."""
        another = copy.copy(self)
        another.exchange = self.exchange.for_another_stream()
        return another

    def begin(self, wished: str) -> str:
        """
        Prepare the first sub-network; the most accurate one stands in for one that fails.

        :param wished: its id; empty: the most accurate one
        :return: the id of the one that serves
        :raises EngineError: when none answers as recorded, or the engine can run none
        :raises BundleError: when the bundle has none of that id
        """
        manifest = self.manifest()
        ordered = by_accuracy(manifest.sub_networks)
        if wished:
            manifest.sub_network(wished)
        failures: list[Exception] = []
        for identifier in dict.fromkeys([wished, *ordered] if wished else ordered):
            try:
                self.exchange.start(identifier, self.engine_processor(self.processor))
            except (BundleError, EngineError) as error:
                failures.append(error)
                self._unprepared(manifest.sub_network(identifier), error)
                continue
            return identifier
        raise EngineError(f'bundle {manifest.name!r}: no sub-network can be served. {failures[0]}')

    def engine_processor(self, processor: str) -> str:
        """Return the processor of this machine that does the work of one that results name."""
        processors = self.engine.processors
        return processor if processor in processors else processors[0]

    @property
    def failures(self) -> dict[str, str]:
        """Return why the engine could not prepare sub-networks, by their ids."""
        return {
            identifier: str(error)
            for identifier, error in self.exchange.failures.items()
            if not isinstance(error, ResponseError)
        }

    @property
    def serving(self) -> str:
        """Return the id of the sub-network that serves."""
        return self.exchange.serving.sub_network.id

    def manifest(self) -> Manifest:
        """
        Return the manifest without the sub-networks that are refused.

        Accuracies are those that were measured with this engine in this precision, where a
        profile has them; works of stages are those of the platform.
        """
        manifest = self.bundle.manifest
        kept = (
            replace(
                with_works(entry, self.works, self._common.taken),
                accuracy=self._accuracies.get(entry.id, entry.accuracy),
            )
            for entry in manifest.sub_networks
            if entry.id not in self.refused
        )
        return replace(manifest, sub_networks=tuple(kept))

    def work(self, sub_network: SubNetwork, stage: int) -> float:
        """Return the share of the largest path's cost after a stage, on this platform."""
        works = self.works.get(sub_network.id)
        return sub_network.stages[stage].work if works is None else works[stage]

    def work_of(self, frame: ServedFrame) -> float:
        """Return the share of the largest path's cost that a frame took, on this platform."""
        works = self.works.get(frame.sub_network)
        if works is None:
            return frame.work
        stages = self.bundle.manifest.sub_network(frame.sub_network).stages
        index = [stage.name for stage in stages].index(frame.exit_stage)
        # Where several paths lead to a stage, a frame took another work than they do in the mean.
        return frame.work * (works[index] / stages[index].work)

    @property
    def unmeasured(self) -> str:
        """Return what is to be done about accuracies that nobody measured; empty: nothing."""
        name, precision = self.engine.name, self.engine.precision
        unknown = [
            entry.id for entry in self.manifest().sub_networks if not entry.accuracy_is_known
        ]
        if unknown:
            return (
                f'Nobody knows the accuracy of {", ".join(unknown)}, so a target that asks for '
                f'accuracy is never served by what is not known. Measure it: dynamic-dnn '
                f'profile {self.bundle.folder} --engine {name} --data PICTURES'
            )
        missing = [
            entry.id
            for entry in self.bundle.manifest.sub_networks
            if entry.id not in self._accuracies
        ]
        if precision is Precision.FLOAT32 or not missing:
            return ''
        return (
            f'Nobody measured the accuracy of {", ".join(missing)} with {name} in '
            f'{precision.value}, so accuracy targets are held against that in float32. Measure '
            f'it: dynamic-dnn profile {self.bundle.folder} --engine {name} --precision '
            f'{precision.value} --data PICTURES'
        )

    def _unprepared(self, sub_network: SubNetwork, error: Exception) -> None:
        # Of one that is refused its own callback tells.
        if not isinstance(error, ResponseError):
            self._on_unprepared(sub_network, error)
