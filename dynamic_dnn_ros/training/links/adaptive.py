# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Compression that follows the links: as much as each needs, none where they are fast."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import logging
import math
import statistics
import time
from typing import Any

import torch
from torch import distributed, nn

from dynamic_dnn_ros.training.links import sparse
from dynamic_dnn_ros.training.links.deviation import Deviation
from dynamic_dnn_ros.training.links.exchange import (
    Feedback,
    LossyExchange,
    flatten,
    summed,
    taken_out,
    unflatten,
    with_gradients,
)
from dynamic_dnn_ros.training.links.probe import measure_links
from dynamic_dnn_ros.training.links.quality import Quality
from dynamic_dnn_ros.training.links.ratios import Clusters, Exchange, Links, choose, dense_seconds
from dynamic_dnn_ros.training.links.settings import Compression
from dynamic_dnn_ros.training.processes import from_first

_LOGGER = logging.getLogger(__name__)

#: Of the time of a training, at most, for measuring links and for comparing with whole steps.
_MEASURING_SHARE = 0.01
_COMPARING_SHARE = 0.02

#: Steps after which links are measured for the second time: the first one says little of what
#: steps take.
_FIRST_STEPS = 5

#: Before each message of a leader: what its cluster's slowest process took.
_TIMES_BYTES = 16


@dataclasses.dataclass(frozen=True)
class _Trial:
    """The last step, as it was taken and with nothing left out, from the same weights."""

    parameters: Sequence[nn.Parameter]
    weights: torch.Tensor
    compressed: torch.Tensor
    whole: torch.Tensor


class Adaptive(LossyExchange):
    """
    Sends whole gradients where links are fast, and the largest elements where they are slow.

    Workers that fast links join average all among each other; the leader of each such cluster
    sends the largest elements to the other leaders, by a ratio that follows from its slowest
    link. Links are measured at the beginning and again and again; at once, where exchanges take
    twice as long as expected, or half. All processes decide alike: by what all of them sent.
    """

    def __init__(self, compression: Compression) -> None:
        count = distributed.get_world_size()
        everyone = tuple(range(count))
        self._rank = distributed.get_rank()
        self._feedback = Feedback()
        self._quality = Quality(compression.ratio, compression.tolerance)
        self._plan = Exchange((everyone,), (), 0.0)
        #: Of the gradient that the plan was made for, and of the one before.
        self._elements = self._last_elements = 0
        self._links: Links | None = None
        self._groups: dict[Clusters, Any] = {}
        self._step = 0
        self._next_measuring = 0
        self._next_comparing: int | None = None
        self._trial: _Trial | None = None
        self._deviation = Deviation()
        #: Of this process in the step before: computing, exchanging.
        self._own_times = (0.0, 0.0)
        self._left_at = time.monotonic()
        self._step_times: list[float] = []
        self._compute_times: list[float] = []
        #: Of this process, in the last steps: picking elements and putting them together.
        self._select_times: list[float] = []

    @property
    def plan(self) -> Exchange:
        """Return how gradients are averaged at present."""
        return self._plan

    @property
    def compressed(self) -> bool:
        """Return whether the last step left anything out."""
        return self._plan.compressed

    @property
    def links(self) -> Links | None:
        """Return what was measured last, None before that."""
        return self._links

    @property
    def predicted_seconds(self) -> float:
        """Return what a step is expected to take: to compute, and to exchange by the plan."""
        return statistics.median(self._compute_times) + self._plan.seconds

    @property
    def ratio(self) -> float:
        """Return how many times fewer bytes the slowest link is to carry at present."""
        return self._quality.ratio

    def average(self, parameters: Sequence[nn.Parameter]) -> None:
        """Average the gradients as the links allow."""
        places, gradients = with_gradients(parameters)
        if not gradients:
            return
        came = time.monotonic()
        computed = came - self._left_at
        flat = flatten(gradients)
        sizes = [each.numel() for each in gradients]
        if not self._compute_times:
            self._compute_times = [computed]
        if self._step == self._next_measuring:
            self._measure(len(flat))
        whole = None
        if self._plan.compressed:
            if self._step == self._next_comparing:
                whole = flat.clone()
            began = time.monotonic()
            times = self._exchange_largest(flat, places, sizes)
        else:
            self._feedback.added(places, flat, sizes)
            self._feedback.clear()
            began = time.monotonic()
            times = self._exchange_whole(flat)
        self._own_times = (computed, time.monotonic() - began)
        if whole is not None:
            self._begin_trial(parameters, places, whole, flat)
        unflatten(flat, gradients)
        self._watch(times)
        self._last_elements = len(flat)
        self._step += 1
        self._left_at = time.monotonic()

    def judge(self, loss: Callable[[], float], learning_rate: float, limit: float) -> None:
        """
        Compare the step before with one that leaves nothing out, where it is time to.

        :param loss: returns that of the batch at hand by the weights as they are then.
        :param learning_rate: of the step before.
        :param limit: of the norm of gradients.
        """
        trial, self._trial = self._trial, None
        if trial is None:
            return
        tensors = [parameter.data for parameter in trial.parameters]
        now = flatten(tensors)
        losses = []
        for gradient in (None, trial.compressed, trial.whole):
            weights = trial.weights
            if gradient is not None:
                norm = float(gradient.norm())
                weights = weights - learning_rate * min(1.0, limit / max(norm, 1e-9)) * gradient
            unflatten(weights, tensors)
            losses.append(loss())
        unflatten(now, tensors)
        mean = torch.tensor(losses, dtype=torch.float64)
        distributed.all_reduce(mean)
        mean /= distributed.get_world_size()
        ratio = self._quality.ratio
        self._quality.judge(*mean.tolist())
        if self._quality.ratio != ratio:
            self._say(
                f'compared with whole steps: ratio {ratio:g} becomes {self._quality.ratio:g}'
            )
            self._next_measuring = self._step
        self._left_at = time.monotonic()

    def state(self) -> dict[str, Any]:
        """Return what was not sent."""
        return self._feedback.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` returned."""
        self._feedback.load_state(state)

    def _measure(self, elements: int) -> None:
        start = time.monotonic()
        distributed.barrier()
        begun = time.monotonic()
        links = measure_links()
        took = time.monotonic() - begun
        compute = statistics.median(self._compute_times) if self._compute_times else 0.0
        plan = choose(links, elements, self._quality.ratio, compute, self._selecting(elements))
        # Each has measured its own times: one decides.
        before = self._plan
        self._elements = elements
        self._links, self._plan = links, from_first(plan)
        step = compute + self._plan.seconds
        steps = math.ceil(took / _MEASURING_SHARE / max(step, 1e-3))
        steps = max(_FIRST_STEPS, from_first(steps)) if self._step else _FIRST_STEPS
        self._next_measuring = self._step + steps
        if not self._plan.compressed:
            self._next_comparing = None
        elif self._next_comparing is None or not before.compressed:
            self._next_comparing = self._step + self._steps_to_comparison(elements, step)
        self._deviation.forget()
        self._step_times.clear()
        if (before.clusters, before.counts) != (self._plan.clusters, self._plan.counts):
            self._say(self._described(elements))
        self._left_at += time.monotonic() - start

    def _selecting(self, elements: int) -> float:
        """Return how long it takes to pick elements and to put them together."""
        if not self._select_times:
            vector = torch.randn(elements)
            count = sparse.count_for(elements, self._quality.ratio)
            start = time.monotonic()
            message = taken_out(vector, count)
            picked = time.monotonic()
            sparse.add_decoded(message, count, vector, 1.0)
            done = time.monotonic()
            others = distributed.get_world_size()
            self._select_times = [picked - start + others * (done - picked)]
        return statistics.median(self._select_times)

    def _steps_to_comparison(self, elements: int, step_seconds: float) -> int:
        assert self._links is not None
        everyone = range(self._links.workers)
        cost = dense_seconds(self._links, everyone, 4.0 * elements)
        return from_first(max(_FIRST_STEPS, math.ceil(cost / _COMPARING_SHARE / step_seconds)))

    def _exchange_whole(self, flat: torch.Tensor) -> list[tuple[float, float]]:
        """Average all; return what each process took in the step before."""
        count = distributed.get_world_size()
        slots = torch.zeros(2 * count, device=flat.device, dtype=flat.dtype)
        slots[2 * self._rank : 2 * self._rank + 2] = torch.tensor(self._own_times)
        joined = torch.cat([flat, slots])
        distributed.all_reduce(joined)
        flat.copy_(joined[: len(flat)] / count)
        taken = joined[len(flat) :].view(count, 2).tolist()
        return [(computing, exchanging) for computing, exchanging in taken]

    def _exchange_largest(
        self, flat: torch.Tensor, places: Sequence[int], sizes: Sequence[int]
    ) -> list[tuple[float, float]]:
        """Average in clusters, send the largest between them; return what processes took."""
        clusters = self._plan.clusters
        own = next(each for each in clusters if self._rank in each)
        group = self._group(clusters, own)
        elements = len(flat)
        # Other sub-networks may have more or fewer parameters than those of the plan.
        share = elements / self._elements
        counts = [min(elements, math.ceil(count * share)) for count in self._plan.counts]
        lengths = [_TIMES_BYTES + sparse.message_bytes(elements, count) for count in counts]
        times = torch.tensor(self._own_times, dtype=torch.float64)
        began = time.monotonic()
        self._feedback.added(places, flat, sizes)
        sending = -time.monotonic()
        if len(own) > 1:
            distributed.all_reduce(flat, group=group)
            flat /= len(own)
            distributed.all_reduce(times, distributed.ReduceOp.MIN, group=group)
        sending += time.monotonic()
        joined = torch.empty(sum(lengths), dtype=torch.uint8)
        parts = joined.split(lengths)
        if self._rank == own[0]:
            place = clusters.index(own)
            message = taken_out(flat, counts[place])
            # It joins the leader's own gradient, which is one of as many in the mean.
            self._feedback.keep(places, flat * len(own), sizes)
            parts[place][:_TIMES_BYTES] = times.view(torch.uint8)
            parts[place][_TIMES_BYTES:] = message
            sending -= time.monotonic()
            _between([each[0] for each in clusters], place, parts)
        else:
            self._feedback.clear()
            sending -= time.monotonic()
        if len(own) > 1:
            distributed.broadcast(joined, own[0], group=group)
        sending += time.monotonic()
        messages = [part[_TIMES_BYTES:] for part in parts]
        weights = [len(each) / distributed.get_world_size() for each in clusters]
        flat.copy_(summed(messages, counts, flat, weights))
        selecting = time.monotonic() - began - sending
        self._select_times = [*self._select_times[-20:], selecting]
        taken = [part[:_TIMES_BYTES].clone().view(torch.float64).tolist() for part in parts]
        return [(computing, exchanging) for computing, exchanging in taken]

    def _group(self, clusters: Clusters, own: Sequence[int]) -> Any:
        """Return the process group of a cluster; all processes come here with the same ones."""
        if clusters not in self._groups:
            self._groups[clusters] = {
                each: distributed.new_group(list(each)) for each in clusters if len(each) > 1
            }
        return self._groups[clusters].get(own)

    def _begin_trial(
        self,
        parameters: Sequence[nn.Parameter],
        places: Sequence[int],
        whole: torch.Tensor,
        compressed: torch.Tensor,
    ) -> None:
        start = time.monotonic()
        distributed.all_reduce(whole)
        whole /= distributed.get_world_size()
        took = time.monotonic() - start
        chosen = [parameters[place] for place in places]
        weights = flatten([parameter.data for parameter in chosen])
        self._trial = _Trial(chosen, weights, compressed.clone(), whole)
        step = statistics.median(self._step_times) if self._step_times else took
        steps = math.ceil(took / _COMPARING_SHARE / max(step, 1e-3))
        self._next_comparing = self._step + from_first(max(_FIRST_STEPS, steps))

    def _watch(self, times: Sequence[tuple[float, float]]) -> None:
        """Have links measured at once where the exchange of the step before was unlike itself."""
        # Who comes last waits for nobody: the shortest is what sending takes.
        exchange = min(exchanging for _, exchanging in times)
        compute = max(computing for computing, _ in times)
        if not exchange:
            return
        self._compute_times = [*self._compute_times[-20:], compute]
        self._step_times = [*self._step_times[-20:], compute + exchange]
        if self._last_elements != self._elements:
            return  # It was smaller or larger because of its sub-networks.
        if self._deviation.seen(self._plan.seconds, exchange):
            self._next_measuring = min(self._next_measuring, self._step + 1)

    def _described(self, elements: int) -> str:
        assert self._links is not None
        if not self._plan.compressed:
            return 'links are fast enough: gradients are sent whole'
        parts = [
            f'process {group[0]}'
            + (f' for {len(group)}' if len(group) > 1 else '')
            + f' 1/{4 * elements / sparse.message_bytes(elements, count):.3g}'
            for group, count in zip(self._plan.clusters, self._plan.counts)
        ]
        return (
            f'of gradients are sent: {", ".join(parts)}; about {self._plan.seconds:.2g} s a step'
        )

    def _say(self, what: str) -> None:
        if self._rank == 0:
            _LOGGER.info('step %d: %s', self._step, what)


def _between(leaders: Sequence[int], place: int, parts: Sequence[torch.Tensor]) -> None:
    """Send a leader's part to the others, and receive theirs."""
    sent = [
        distributed.P2POp(distributed.isend, parts[place], leader)
        for at, leader in enumerate(leaders)
        if at != place
    ]
    received = [
        distributed.P2POp(distributed.irecv, parts[at], leader)
        for at, leader in enumerate(leaders)
        if at != place
    ]
    # To receive is announced on the line that is sent on: behind a message it would wait for its
    # end, and one way would begin when the other one is through.
    for work in distributed.batch_isend_irecv([*received, *sent]):
        work.wait()
