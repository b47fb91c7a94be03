# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What links can carry, and what it costs to send gradients over them; pure arithmetic.

Workers are numbered as processes are. A *link* leads from one worker to another one, and may be
slower than the one back.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence
import dataclasses
import math

import numpy as np
import numpy.typing as npt

from dynamic_dnn_ros.training.links import sparse

#: Compressed only where a step becomes so many times faster: little time is not worth the loss.
LEAST_GAIN = 1.25

Clusters = tuple[tuple[int, ...], ...]
"""The workers in groups, each ascending; the first of each is its leader."""


@dataclasses.dataclass(frozen=True)
class Links:
    """
    What each link carries.

    :param bandwidth: bytes a second from worker (row) to worker (column), N x N, at least 1 each;
        the diagonal does not count.
    :param latency: seconds until the first byte arrives, N x N.
    """

    bandwidth: npt.NDArray[np.float64]
    latency: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        # A link at nothing is a very slow one: it may come back.
        object.__setattr__(self, 'bandwidth', np.maximum(self.bandwidth, 1.0))

    @property
    def workers(self) -> int:
        """Return the number of workers."""
        return len(self.bandwidth)

    def seconds(self, sender: int, receiver: int, size: float) -> float:
        """Return how long so many bytes take over a link."""
        return float(self.latency[sender, receiver] + size / self.bandwidth[sender, receiver])

    @classmethod
    def uniform(cls, workers: int, bandwidth: float, latency: float = 0.0) -> Links:
        """Return links that are all alike."""
        shape = (workers, workers)
        return cls(np.full(shape, float(bandwidth)), np.full(shape, float(latency)))


@dataclasses.dataclass(frozen=True)
class Exchange:
    """
    How gradients are averaged.

    :param clusters: workers that send each other all; between clusters the leaders send.
    :param counts: elements that the leader of each cluster sends.
    :param seconds: that a step's exchange is expected to take.
    """

    clusters: Clusters
    counts: tuple[int, ...]
    seconds: float

    @property
    def compressed(self) -> bool:
        """Return whether anything is left out."""
        return len(self.clusters) > 1


def cluster(bandwidth: npt.NDArray[np.float64]) -> Clusters:
    """
    Group workers whose links are fast among each other, by Louvain's method.

    Blondel et al., Fast unfolding of communities in large networks, 2008. A link counts as the
    slower of its two directions.
    """
    # Read only where links are measured: it takes a while.
    import networkx

    graph = networkx.Graph()
    graph.add_nodes_from(range(len(bandwidth)))
    for one in range(len(bandwidth)):
        for other in range(one):
            weight = min(bandwidth[one, other], bandwidth[other, one])
            graph.add_edge(one, other, weight=float(weight))
    found = networkx.community.louvain_communities(graph, weight='weight', seed=0)
    return tuple(sorted(tuple(sorted(group)) for group in found))


def link_ratios(seconds: Sequence[float], ratio: float) -> tuple[float, ...]:
    """
    Return by how much each link is to be compressed: the slowest by `ratio`, others in proportion.

    AdaTopK of FusionLLM (arXiv 2410.12707): 1 leaves all as it is.

    :param seconds: that each link would take for what it is to carry.
    """
    slowest = max(seconds, default=0.0)
    if slowest <= 0.0:
        return (1.0,) * len(seconds)
    return tuple(max(1.0, ratio * each / slowest) for each in seconds)


def dense_seconds(links: Links, workers: Sequence[int], size: float) -> float:
    """Return how long a ring of workers takes to average so many bytes, all sent whole."""
    count = len(workers)
    if count < 2:
        return 0.0
    ring = [*zip(workers, [*workers[1:], workers[0]])]
    return 2 * (count - 1) * max(links.seconds(*pair, size / count) for pair in ring)


def sparse_seconds(
    links: Links,
    laboratories: Clusters,
    clusters: Clusters,
    counts: Sequence[int],
    elements: int,
) -> float:
    """
    Return how long it takes to average in clusters, whole, and between their leaders, compressed.

    Each leader sends its message to each other one; what it sends shares its line, and so does
    what it receives. What goes from one laboratory to another one shares the line between them.

    :param laboratories: workers that fast links join.
    """
    leaders = [group[0] for group in clusters]
    sizes = [sparse.message_bytes(elements, count) for count in counts]
    laboratory = {worker: at for at, group in enumerate(laboratories) for worker in group}
    on_line: dict[tuple[int, int], float] = collections.defaultdict(float)
    for size, leader in zip(sizes, leaders):
        for other in leaders:
            here, there = laboratory[leader], laboratory[other]
            if here != there:
                on_line[here, there] += size / links.bandwidth[leader, other]
    between = max(on_line.values(), default=0.0)
    for place, leader in enumerate(leaders):
        others = [(at, other) for at, other in enumerate(leaders) if at != place]
        out = sum(sizes[place] / links.bandwidth[leader, other] for _, other in others)
        back = sum(sizes[at] / links.bandwidth[other, leader] for at, other in others)
        first = max((links.latency[leader, other] for _, other in others), default=0.0)
        between = max(between, first + max(out, back))
    inside = max(dense_seconds(links, group, 4.0 * elements) for group in clusters)
    handed_on = max(
        (
            links.seconds(group[0], member, sum(sizes)) * math.ceil(math.log2(len(group)))
            for group in clusters
            for member in group[1:]
        ),
        default=0.0,
    )
    return float(inside + between + handed_on)


def choose(
    links: Links, elements: int, ratio: float, compute_seconds: float, select_seconds: float = 0.0
) -> Exchange:
    """
    Return the fastest way to average gradients; all whole where little would be gained.

    :param elements: of the gradient.
    :param ratio: how many times fewer bytes the slowest link is to carry than with all sent.
    :param compute_seconds: of a step, without the exchange.
    :param select_seconds: that it takes to pick what is sent, and to put it together again.
    """
    everyone = tuple(range(links.workers))
    dense = Exchange((everyone,), (elements,), dense_seconds(links, everyone, 4.0 * elements))
    best = dense
    alone = tuple((worker,) for worker in everyone)
    laboratories = cluster(links.bandwidth)
    for clusters in dict.fromkeys((laboratories, alone)):
        if len(clusters) < 2:
            continue
        counts = _counts(links, clusters, elements, ratio)
        seconds = select_seconds + sparse_seconds(links, laboratories, clusters, counts, elements)
        if seconds < best.seconds:
            best = Exchange(clusters, counts, seconds)
    gain = (compute_seconds + dense.seconds) / max(compute_seconds + best.seconds, 1e-9)
    return best if gain >= LEAST_GAIN else dense


def _counts(links: Links, clusters: Clusters, elements: int, ratio: float) -> tuple[int, ...]:
    """Return how many elements each leader sends, so that lines carry as much less as is asked."""
    leaders = [group[0] for group in clusters]
    seconds = [
        max(links.seconds(leader, other, 4.0 * elements) for other in leaders if other != leader)
        for leader in leaders
    ]
    # A ring of all hands on 2 (n - 1) / n of a gradient; a leader sends its message to each other.
    whole = 2 * (links.workers - 1) / links.workers
    of_message = max(1.0, ratio * (len(leaders) - 1) / whole)
    return tuple(sparse.count_for(elements, each) for each in link_ratios(seconds, of_message))
