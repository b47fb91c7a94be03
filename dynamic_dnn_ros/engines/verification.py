# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Is a prepared sub-network still the one whose accuracy was measured? Ask it, without data.

How the deviation of the response tells the accuracy that was lost: 349 alterations of four
sub-networks of a `cifar10_ofa` bundle (74 to 82 % accuracy), measured on 2,000 test pictures.

| deviation    | alterations | points lost, mean | most |
| ---          | ---         | ---               | ---  |
| below 0.02   | 20          | 0.0               | 0.2  |
| 0.02 to 0.05 | 12          | 0.0               | 0.2  |
| 0.05 to 0.1  | 31          | 0.2               | 1.6  |
| 0.1 to 0.15  | 21          | 0.7               | 2.0  |
| 0.15 to 0.2  | 27          | 1.3               | 3.6  |
| 0.2 to 0.3   | 31          | 2.1               | 8.7  |
| 0.3 to 0.5   | 46          | 4.6               | 16.8 |
| above 0.5    | 161         | 33.1              | 72.0 |

Weights kept in float16 depart by at most 0.002, a network that computes in bfloat16 by 0.015,
weights rounded to eight bits by 0.035. The least with which more than two points were lost was
0.156. Batch-norm statistics that were never recalibrated (means 0, variances 1) depart by 0.70 to
0.76, those of another sub-network by 0.24 to 1.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork
from dynamic_dnn_ros.bundles.profile import OperatingPoints
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.bundles.responses import (
    PROBES,
    RESPONSES_NAME,
    Response,
    Responses,
    deviation,
    probe_picture,
    responses_content,
)
from dynamic_dnn_ros.bundles.writer import rewrite_bundle, write_bundle
from dynamic_dnn_ros.engines.contract import Engine, EngineError, Picture, PreparedSubNetwork
from dynamic_dnn_ros.engines.registry import ENGINE_NAMES, create_engine

#: Deviation from the recorded response above which a sub-network is not served: half of the least
#: with which two points were lost, twice what rounding to eight bits does.
LIMIT = 0.08


class ResponseError(EngineError):
    """A sub-network does not answer as it did when its accuracy was measured."""


@lru_cache(maxsize=4)
def _probes(resolution: int) -> tuple[Picture, ...]:
    return tuple(probe_picture(index, resolution) for index in range(PROBES))


def response(prepared: PreparedSubNetwork) -> Response:
    """
    Return what a sub-network answers to the probes, shape (probes, classes).

    :raises EngineError: when the engine fails
    """
    pictures = _probes(prepared.sub_network.resolution)
    return np.stack([prepared.run(picture) for picture in pictures]).astype(np.float32)


def verify(prepared: PreparedSubNetwork, recorded: Response) -> float:
    """
    Compare what a sub-network answers to the probes with what it answered once.

    :return: the deviation, relative to the size of the answer
    :raises ResponseError: when it is above `LIMIT`
    """
    found = deviation(response(prepared), recorded)
    if not found <= LIMIT:
        raise ResponseError(
            f'sub-network {prepared.sub_network.id!r} answers otherwise than when its accuracy '
            f'was measured: its response departs by {found:.1%}, up to {LIMIT:.0%} are allowed, '
            'so it may have lost more than 2 points. Its weights or batch-norm statistics were '
            "changed, or the engine computes something else. See 'dynamic-dnn bundle check "
            "--data', and have 'dynamic-dnn search' recalibrate it again."
        )
    return found


class VerifyingEngine(Engine):
    """An engine that gives out no sub-network whose response is not the recorded one."""

    def __init__(
        self,
        engine: Engine,
        responses: Responses,
        on_refused: Callable[[SubNetwork, ResponseError], None] = lambda sub_network, error: None,
    ) -> None:
        """
        Wrap an engine.

        :param responses: the recorded ones by sub-network; one that has none is given out as is
        :param on_refused: told of each one that is refused, from the thread that prepares it
        """
        self.name = engine.name
        self.precision = engine.precision
        self._engine = engine
        self._responses = responses
        self._on_refused = on_refused

    @property
    def processors(self) -> tuple[str, ...]:
        """Return the processors of the engine."""
        return self._engine.processors

    def memory_needed(self, sub_network: SubNetwork) -> int:
        """Return the estimate of the engine."""
        return self._engine.memory_needed(sub_network)

    def prepare(self, sub_network: SubNetwork, processor: str) -> PreparedSubNetwork:
        """
        Make one sub-network ready, and ask it.

        :raises ResponseError: when it does not answer as recorded
        :raises EngineError: as the engine does
        """
        prepared = self._engine.prepare(sub_network, processor)
        recorded = self._responses.get(sub_network.id)
        if recorded is not None:
            try:
                verify(prepared, recorded)
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
    return {entry.id: response(engine.prepare(entry, processor)) for entry in sub_networks}


def write_recorded_bundle(
    folder: Path,
    manifest: Manifest,
    weights: bytes,
    profiles: Iterable[OperatingPoints] = (),
    other_files: Mapping[str, bytes] | None = None,
    replaces: Bundle | None = None,
    engine_name: str = ENGINE_NAMES[0],
) -> Bundle:
    """
    Write a bundle together with the response of each of its sub-networks.

    Whoever has just measured the accuracies in the manifest writes with this one; the arguments
    are those of `bundles.writer.write_bundle`.

    :raises BundleError: as `write_bundle`, also when the weights do not fit
    :raises EngineError: when a sub-network cannot be run
    """
    bundle = Bundle(folder, manifest, '', tuple(profiles), weights)
    files = {**(other_files or {}), RESPONSES_NAME: _recorded(bundle, engine_name)}
    return write_bundle(folder, manifest, weights, bundle.profiles, files, replaces)


def record(bundle: Bundle, engine_name: str = ENGINE_NAMES[0]) -> Bundle:
    """
    Record the responses in a bundle that has none, or others.

    Only for a bundle whose accuracies are known to be those in its manifest: what its sub-networks
    answer now is what they have to answer from now on.

    :raises BundleError: when the bundle does not fit, cannot be written, or has changed
    :raises EngineError: when a sub-network cannot be run
    """
    return rewrite_bundle(bundle, other_files={RESPONSES_NAME: _recorded(bundle, engine_name)})


def _recorded(bundle: Bundle, engine_name: str) -> bytes:
    engine = create_engine(engine_name, bundle, threads=1)
    return responses_content(responses_of(engine, bundle.manifest.sub_networks))
