# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Ask a scheduler, and hold its decision against the contract: none may stop the processor."""

from __future__ import annotations

import logging
import math

from dynamic_dnn_ros.scheduling.contract import Decision, Job, Run, Scheduler, Wait
from dynamic_dnn_ros.scheduling.rules import broken_rule

_LOGGER = logging.getLogger(__name__)

#: s that a scheduler may keep a processor idle at most while frames wait for it.
LONGEST_WAIT = 1.0


class OverruledScheduler:
    """
    A scheduler that keeps the contract, whatever the one does that it asks.

    Where that one fails, decides what it must not, or waits for too long, the frame that arrived
    first runs instead. That is logged once.
    """

    def __init__(self, scheduler: Scheduler | None) -> None:
        """
        Ask this one.

        :param scheduler: None: the frame that arrived first runs always
        """
        self._scheduler = scheduler
        self._waits_since = math.inf
        self._said = False

    def next(self, now: float, jobs: tuple[Job, ...]) -> Decision:
        """
        Return what the processor does now.

        :param now: s
        :param jobs: at least one, in the order in which they arrived
        """
        if self._scheduler is None:
            return Run(jobs[:1])
        try:
            decision = self._scheduler.next(now, jobs)
            problem = broken_rule(decision, now, jobs)
        except Exception as error:  # it may be of another package
            problem = f'it failed with {type(error).__name__}: {str(error).rstrip(".")}.'
        if not problem and isinstance(decision, Wait):
            self._waits_since = min(self._waits_since, now)
            latest = self._waits_since + LONGEST_WAIT
            if now < latest:
                return Wait(min(decision.until, latest))
            problem = f'it has waited for {LONGEST_WAIT:g} s while frames were there.'
        self._waits_since = math.inf
        if not problem:
            return decision
        if not self._said:
            self._said = True
            _LOGGER.error(
                'Scheduler %r is overruled: %s The frame that arrived first runs instead, now '
                'and whenever that happens again. Choose another scheduler.',
                *(getattr(self._scheduler, 'name', '?'), problem),
            )
        return Run(jobs[:1])
