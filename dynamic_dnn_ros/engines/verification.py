# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Is a prepared sub-network still the one whose accuracy was measured? Ask it, without data.

How far an answer may depart, the task knows: `Task.departure_limit`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork
from dynamic_dnn_ros.bundles.profile import OperatingPoints
from dynamic_dnn_ros.bundles.reader import Bundle, SourceContent
from dynamic_dnn_ros.bundles.responses import (
    PROBES,
    RESPONSES_NAME,
    Response,
    Responses,
    probe_picture,
    responses_content,
    sampled,
)
from dynamic_dnn_ros.bundles.writer import placed_bundle, rewrite_bundle, write_bundle
from dynamic_dnn_ros.engines.automatic import open_engine
from dynamic_dnn_ros.engines.contract import (
    Engine,
    EngineError,
    Picture,
    PreparedSubNetwork,
    SharedMemory,
)
from dynamic_dnn_ros.engines.registry import BY_BUNDLE
from dynamic_dnn_ros.engines.slowness import told_while_slow
from dynamic_dnn_ros.pictures.placement import Size
from dynamic_dnn_ros.tasks.contract import Task


class ResponseError(EngineError):
    """A sub-network does not answer as it did when its accuracy was measured."""


@lru_cache(maxsize=4)
def _probes(size: Size) -> tuple[Picture, ...]:
    return tuple(probe_picture(index, size) for index in range(PROBES))


def response(prepared: PreparedSubNetwork) -> Response:
    """
    Return what a sub-network answers to the probes: its outputs, the first axis is the probe.

    Outputs whose shape depends on what is in a picture are left out, of large ones entries are.

    :raises EngineError: when the engine fails
    """
    answers = [prepared.run(picture) for picture in _probes(prepared.sub_network.size)]
    found = {}
    for name, output in answers[0].items():
        shapes = {answer[name].shape for answer in answers}
        if len(shapes) == 1 and output.size and output.shape[:1] == (1,):
            found[name] = sampled(np.concatenate([answer[name] for answer in answers]))
    return found


def verify(prepared: PreparedSubNetwork, recorded: Response, task: Task[Any, Any]) -> float:
    """
    Compare what a sub-network answers to the probes with what it answered once.

    :param task: of the bundle, which knows what departs
    :return: the deviation, relative to the size of the answer
    :raises ResponseError: when it is above the task's limit
    """
    answer = response(prepared)
    found = task.departure({name: answer[name] for name in recorded if name in answer}, recorded)
    limit = task.departure_limit
    if not found <= limit:
        raise ResponseError(
            f'sub-network {prepared.sub_network.id!r} answers otherwise than when its accuracy '
            f'was measured: its response departs by {found:.1%}, up to {limit:.0%} are allowed, '
            'so it may have lost more than 2 points. Its weights or batch-norm statistics were '
            "changed, or the engine computes something else. See 'dynamic-dnn bundle check "
            "--data'; then have 'dynamic-dnn search' recalibrate it, or import a separate model "
            'again.'
        )
    return found


def verify_recorded(
    prepared: PreparedSubNetwork, responses: Responses, task: Task[Any, Any]
) -> float | None:
    """
    Compare a sub-network, or each that a cascade runs, with what was recorded.

    :param responses: by sub-network; one that has none is not compared
    :return: the largest deviation; None: nothing is recorded
    :raises ResponseError: as `verify`
    """
    found = [
        verify(each, responses[each.sub_network.id], task)
        for each in prepared.parts or (prepared,)
        if each.sub_network.id in responses
    ]
    return max(found, default=None)


class VerifyingEngine(Engine):
    """An engine that gives out no sub-network whose response is not the recorded one."""

    def __init__(
        self,
        engine: Engine,
        responses: Responses,
        task: Task[Any, Any],
        on_refused: Callable[[SubNetwork, ResponseError], None] = lambda sub_network, error: None,
        on_slow: Callable[[SubNetwork, float], None] = lambda sub_network, seconds: None,
    ) -> None:
        """
        Wrap an engine.

        :param responses: the recorded ones by sub-network; one that has none is given out as is
        :param task: of the bundle, which knows what departs
        :param on_refused: told of each one that is refused, from the thread that prepares it
        :param on_slow: told of one whose preparation goes on for some seconds, which it may do for
            ever, from any thread
        """
        self.name = engine.name
        self.precision = engine.precision
        self._engine = engine
        self._responses = responses
        self._task = task
        self._on_refused = on_refused
        self._on_slow = on_slow

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

    def memory_needed(self, sub_network: SubNetwork) -> int:
        """Return the estimate of the engine."""
        return self._engine.memory_needed(sub_network)

    def shared_memory(self, sub_network: SubNetwork) -> SharedMemory | None:
        """Return the estimate of the engine."""
        return self._engine.shared_memory(sub_network)

    def prepare(self, sub_network: SubNetwork, processor: str) -> PreparedSubNetwork:
        """
        Make one sub-network ready, and ask it.

        :raises ResponseError: when it does not answer as recorded
        :raises EngineError: as the engine does
        """
        with told_while_slow(lambda seconds: self._on_slow(sub_network, seconds)):
            prepared = self._engine.prepare(sub_network, processor)
            try:
                verify_recorded(prepared, self._responses, self._task)
            except ResponseError as error:
                prepared.close()
                self._on_refused(sub_network, error)
                raise
            return prepared


def responses_of(engine: Engine, sub_networks: Iterable[SubNetwork]) -> Responses:
    """
    Return what each sub-network answers to the probes.

    :raises EngineError: when one cannot be prepared or run
    """
    processor = 'cpu' if 'cpu' in engine.processors else engine.processors[0]
    responses = {}
    for entry in sub_networks:
        prepared = engine.prepare(entry, processor)
        found = response(prepared)
        prepared.close()
        bad = [name for name, output in found.items() if not np.all(np.isfinite(output))]
        if bad:
            raise EngineError(
                f'sub-network {entry.id!r} answers with values that are not finite numbers, in '
                f'{", ".join(bad)}. Check the model that it was made from: it overflows, divides '
                'by zero, or lacks weights.'
            )
        if found:
            responses[entry.id] = found
    return responses


def write_recorded_bundle(
    folder: Path,
    manifest: Manifest,
    content: SourceContent,
    profiles: Iterable[OperatingPoints] = (),
    other_files: Mapping[str, bytes] | None = None,
    replaces: Bundle | None = None,
    engine_name: str = BY_BUNDLE,
) -> Bundle:
    """
    Write a bundle together with the response of each of its sub-networks but cascades.

    Whoever has just measured the accuracies in the manifest writes with this one; the arguments
    are those of `bundles.writer.write_bundle`.

    :raises BundleError: as `write_bundle`, also when the weights do not fit
    :raises EngineError: when a sub-network cannot be run
    """
    bundle = placed_bundle(folder, manifest, content, profiles)
    files = {**(other_files or {}), RESPONSES_NAME: _recorded(bundle, engine_name)}
    return write_bundle(folder, manifest, content, bundle.profiles, files, replaces)


def record(bundle: Bundle, engine_name: str = BY_BUNDLE) -> Bundle:
    """
    Record the responses in a bundle that has none, or others.

    Only for a bundle whose accuracies are known to be those in its manifest: what its sub-networks
    answer now is what they have to answer from now on.

    :raises BundleError: when the bundle does not fit, cannot be written, or has changed
    :raises EngineError: when a sub-network cannot be run
    """
    return rewrite_bundle(bundle, other_files={RESPONSES_NAME: _recorded(bundle, engine_name)})


def _recorded(bundle: Bundle, engine_name: str) -> bytes:
    engine = open_engine(engine_name, bundle, threads=1)
    return responses_content(responses_of(engine, bundle.manifest.own_sub_networks))
