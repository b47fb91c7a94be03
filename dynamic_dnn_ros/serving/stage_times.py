# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What each stage of a sub-network takes on a processor, estimated first, then learnt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import logging
import time

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.stages import branches, flow
from dynamic_dnn_ros.engines.contract import PreparedSubNetwork
from dynamic_dnn_ros.scheduling.contract import Work
from dynamic_dnn_ros.serving.prepared_set import Key

_LOGGER = logging.getLogger(__name__)

#: Share of the newest time in a running mean.
_NEWEST = 0.2

#: The same where the one before is older than some seconds: clocks may be others by now, and
#: where nearly all frames are given up by a mean that is too high, few times are left to learn.
_NEWEST_OF_FEW, _FEW_AFTER = 0.5, 0.5

#: By which share a mean may depart from what schedulers are told before they are told anew.
_TOLERANCE = 0.05

#: Multiply-adds a second that are assumed where nothing else is known: sub-networks then have
#: times in the right ratio until they are measured.
_GUESS = 5e9

#: s for the latency of one frame through a whole sub-network on a processor; None: not known.
Estimate = Callable[[SubNetwork, str], float | None]

#: Latency of 1, 2, ... frames together as a multiple of that of one; empty: not known.
BatchLatency = Callable[[SubNetwork, str], Sequence[float]]


class StageTimes:
    """
    Says for each prepared sub-network what its stages take, by the number of frames together.

    It begins with what is known of the whole, by the work of each stage, and goes on with running
    means of what the stages really took. One object for all streams of a bundle: frames of two
    streams may run together only where they have their `Work` from the same one.
    """

    def __init__(
        self,
        name: str = '',
        estimate: Estimate = lambda sub_network, processor: None,
        batch_latency: BatchLatency = lambda sub_network, processor: (),
    ) -> None:
        """
        Begin with estimates.

        :param name: tells works of several objects apart
        """
        self._name = name
        self._estimate = estimate
        self._batch_latency = batch_latency
        self._means: dict[Key, dict[tuple[int, int], float]] = {}
        self._works: dict[Key, Work] = {}
        self._largest: dict[Key, int] = {}
        self._learnt: dict[tuple[Key, int, int], float] = {}

    def work(self, prepared: PreparedSubNetwork) -> Work:
        """Return what frames ask of the processor; the same object until something changes."""
        key = Key(prepared.sub_network.id, prepared.processor)
        work = self._works.get(key)
        if work is None:
            work = self._works[key] = self._made(key, prepared)
        return work

    def took(self, prepared: PreparedSubNetwork, stage: int, frames: int, seconds: float) -> None:
        """
        Learn what a stage took.

        :param stage: its number
        :param frames: that ran together
        """
        key = Key(prepared.sub_network.id, prepared.processor)
        means = self._means.setdefault(key, {})
        told = self.work(prepared).times
        if stage >= len(told) or frames > len(told[0]):
            return
        expected = told[stage][frames - 1]
        known = means.get((stage, frames), expected)
        now, place = time.monotonic(), (key, stage, frames)
        few = now - self._learnt.get(place, now) > _FEW_AFTER
        self._learnt[place] = now
        mean = known + (_NEWEST_OF_FEW if few else _NEWEST) * (seconds - known)
        # The estimate may be looked up among thousands of points: asked for the first time only.
        if (stage, frames) not in means and not self._is_estimated(key, prepared):
            mean = seconds
        means[stage, frames] = mean
        if abs(mean - expected) > _TOLERANCE * expected:
            self._works.pop(key, None)

    def halve(self, prepared: PreparedSubNetwork, frames: int, error: Exception) -> None:
        """Have at most half as many frames of a sub-network run together: so many failed."""
        key = Key(prepared.sub_network.id, prepared.processor)
        largest = self._largest[key] = max(1, frames // 2)
        self._works.pop(key, None)
        _LOGGER.warning(
            'Sub-network %r cannot run %d frames together on %r: %s At most %d run together '
            'from now on.',
            *(key.sub_network, frames, key.processor, error, largest),
        )

    def _is_estimated(self, key: Key, prepared: PreparedSubNetwork) -> bool:
        return self._estimate(prepared.sub_network, key.processor) is not None

    def _made(self, key: Key, prepared: PreparedSubNetwork) -> Work:
        entry = prepared.sub_network
        whole = self._estimate(entry, key.processor)
        if whole is None:
            whole = entry.multiply_adds / _GUESS
        largest = min(prepared.largest_batch, self._largest.get(key, prepared.largest_batch))
        known = list(self._batch_latency(entry, key.processor))[:largest]
        multiples = [*known, *range(len(known) + 1, largest + 1)]
        means = self._means.get(key, {})
        onward: tuple[Mapping[int, float], ...] = ()
        shares: Sequence[float] = (1.0,)
        reached: tuple[float, ...] = (1.0,)
        if len(prepared.stages) > 1:
            flowing = flow(entry.stages)
            shares, reached = flowing.parts, flowing.reached
            onward = flowing.onward if branches(entry.stages) else ()
        rows = []
        for stage, share in enumerate(shares):
            alone = means.get((stage, 1), whole * share)
            rows.append(
                tuple(
                    means.get((stage, frames), alone * multiple)
                    for frames, multiple in enumerate(multiples, 1)
                )
            )
        return Work((self._name, *key), tuple(rows), reached, onward)
