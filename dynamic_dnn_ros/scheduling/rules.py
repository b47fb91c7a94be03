# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What each decision of a scheduler must keep: on a robot, and in the check that ships."""

from __future__ import annotations

from collections.abc import Sequence

from dynamic_dnn_ros.scheduling.contract import Drop, Job, Run, Wait


def broken_rule(decision: object, now: float, jobs: Sequence[Job]) -> str:
    """
    Return what is wrong with a decision, as a sentence on its scheduler; empty: nothing.

    For how long a scheduler waits is left to the caller, who knows what else will arrive.

    :param now: s
    :param jobs: that were offered at that time
    """
    if isinstance(decision, Wait):
        return '' if decision.until > now else 'it waits for a time that is over.'
    if not isinstance(decision, (Run, Drop)):
        return f'it decided {decision!r}, which is no decision.'
    chosen = decision.jobs
    if not chosen:
        return 'it chose no frame.'
    offered = {id(job) for job in jobs}
    if not all(id(job) in offered for job in chosen):
        return 'it chose a frame that was not offered.'
    if len({id(job) for job in chosen}) < len(chosen):
        return 'it chose a frame twice.'
    return _wrong_drop(now, chosen) if isinstance(decision, Drop) else _wrong_batch(chosen)


def _wrong_drop(now: float, chosen: Sequence[Job]) -> str:
    for job in chosen:
        if not job.droppable:
            return f'it dropped a frame of {job.stream!r}, which is to be served.'
        if not job.slack(now) < 0.0:
            return f'it dropped a frame of {job.stream!r}, which can be on time.'
    return ''


def _wrong_batch(chosen: Sequence[Job]) -> str:
    work, stage = chosen[0].work, chosen[0].stage
    if any(job.work is not work or job.stage != stage for job in chosen):
        return 'it had frames run together that are not at the same stage of the same work.'
    if len(chosen) > work.largest_batch:
        return f'it had {len(chosen)} frames run together, where {work.largest_batch} may.'
    return ''
