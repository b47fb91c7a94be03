# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Where the parts of a network would run, and what a step would take; pure arithmetic.

As OP-Fence of FusionLLM (arXiv 2410.12707) has it: workers are clustered by bandwidth, and the
network is cut where little is handed on. All ways train the same number of pictures in a step:
the batch of each worker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses
import itertools

from dynamic_dnn_ros.training.links.ratios import (
    Clusters,
    Links,
    choose,
    cluster,
    dense_seconds,
    link_ratios,
)
from dynamic_dnn_ros.training.links.workload import Operator

#: Parts of a step's pictures that follow each other through the stages, for each stage.
_PARTS_EACH_STAGE = 4


def parts_of(pictures: int, stages: int) -> int:
    """Return into how many equal parts the pictures of a step are divided."""
    most = min(pictures, _PARTS_EACH_STAGE * stages)
    return next(parts for parts in range(most, 0, -1) if pictures % parts == 0)


@dataclasses.dataclass(frozen=True)
class Placement:
    """
    One way to train.

    :param name: for people.
    :param seconds: that a step is expected to take.
    :param ends: the operators that stages end with; empty where each worker has all.
    :param workers: those of each stage; all of them where there is one.
    :param ratios: how many times fewer bytes are handed on between two stages.
    """

    name: str
    seconds: float
    ends: tuple[str, ...]
    workers: Clusters
    ratios: tuple[float, ...] = ()


def placements(
    operators: Sequence[Operator],
    links: Links,
    ratio: float,
    compute_seconds: float,
    pictures: int,
    seconds_at: Callable[[int], Sequence[float]] | None = None,
) -> tuple[Placement, ...]:
    """
    Return the ways to train, the fastest first.

    :param operators: measured with the batch of one worker.
    :param ratio: how many times fewer bytes the slowest link is to carry.
    :param compute_seconds: of a whole step of one worker, without the exchange.
    :param pictures: of the batch of one worker.
    :param seconds_at: what each operator takes for so many pictures; None: in proportion. Few
        pictures take longer than that.
    """
    everyone = tuple(range(links.workers))
    elements = sum(operator.parameters for operator in operators)
    whole = compute_seconds + dense_seconds(links, everyone, 4.0 * elements)
    found = [Placement('data parallel, all sent', whole, (), (everyone,))]
    exchange = choose(links, elements, ratio, compute_seconds)
    if ratio > 1.0 and exchange.compressed:
        seconds = compute_seconds + exchange.seconds
        found.append(Placement('data parallel, compressed', seconds, (), exchange.clusters))
    alone = tuple((worker,) for worker in everyone)
    clusters = cluster(links.bandwidth)
    for name, groups in (('pipeline', alone), ('mixed', clusters)):
        # As many workers in each stage: each pipeline has one of them.
        even = len({len(group) for group in groups}) == 1
        if len(groups) > 1 and even and (name == 'pipeline' or clusters != alone):
            parts = parts_of(pictures * len(groups), len(groups))
            # Optimizer and data take time, too: spread over the operators.
            measured = sum(operator.seconds for operator in operators)
            scale = compute_seconds / measured if measured else 0.0
            share = len(groups) / parts
            of_part = (
                [share * operator.seconds for operator in operators]
                if seconds_at is None
                else seconds_at(pictures * len(groups) // parts)
            )
            taken = [scale * each for each in of_part]
            pipeline = _pipeline(name, operators, links, ratio, groups, taken, parts)
            if pipeline is not None:
                found.append(pipeline)
    return tuple(sorted(found, key=lambda each: each.seconds))


def _pipeline(
    name: str,
    operators: Sequence[Operator],
    links: Links,
    ratio: float,
    groups: Clusters,
    taken: Sequence[float],
    parts: int,
) -> Placement | None:
    """
    Return the best cut into a stage for each group, None where there are too few places.

    :param taken: seconds of each operator for one of so many parts of a pipeline's pictures.
    """
    # Each pipeline has the batches of its workers.
    share = len(groups) / parts
    places = [at for at, each in enumerate(operators[:-1]) if each.cut]
    handed = [links.seconds(one[0], other[0], 1e6) for one, other in itertools.pairwise(groups)]
    ratios = link_ratios(handed, ratio)

    def link(at: int, group: int) -> float:
        size = operators[at].output_bytes * share / ratios[group]
        there, here = groups[group][0], groups[group + 1][0]
        # All go forth, then their gradients come back; pipelines share a line.
        sent = size * len(groups[group])
        return links.seconds(there, here, sent) + links.seconds(here, there, sent)

    # For each number of groups and each end: the slowest part so far, and the cuts.
    best: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}
    for group in range(len(groups)):
        last = group == len(groups) - 1
        ends = [len(operators)] if last else [at + 1 for at in places]
        following: dict[int, tuple[float, tuple[int, ...]]] = {}
        for end in ends:
            for first, (slowest, cuts) in best.items():
                if first >= end:
                    continue
                part = max(slowest, sum(taken[first:end]))
                if not last:
                    part = max(part, link(end - 1, group))
                if end not in following or part < following[end][0]:
                    following[end] = (part, cuts if last else (*cuts, end - 1))
        best = following
    if not best:
        return None
    slowest, cuts = best[len(operators)]
    bounds = itertools.pairwise((0, *(at + 1 for at in cuts), len(operators)))
    inside = max(
        dense_seconds(links, workers, 4.0 * sum(each.parameters for each in operators[first:end]))
        for workers, (first, end) in zip(groups, bounds)
    )
    seconds = (parts + len(groups) - 1) * slowest + inside
    names = tuple(operators[at].name for at in cuts)
    return Placement(name, seconds, names, groups, tuple(ratios))
