# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The steps of a measured profile, taken one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import time

import numpy as np
from tqdm import tqdm

from dynamic_dnn_ros.platforms.contract import Platform
from dynamic_dnn_ros.profiling.clocks import Clocks
from dynamic_dnn_ros.profiling.drift import drifting_rounds
from dynamic_dnn_ros.profiling.journal import Journal
from dynamic_dnn_ros.profiling.plan import (
    ROUNDS,
    WARM_UP_RUNS,
    MeasurementPlan,
    Place,
    Visit,
    VisitKind,
)
from dynamic_dnn_ros.profiling.recorder import Recorder
from dynamic_dnn_ros.profiling.timing import Clock, timed_runs

SETTLING = 0.3
"""Seconds that a clock is given to become what was asked for."""

_BAR = '{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}, ends {eta:%H:%M:%S}]'

Workloads = Mapping[tuple[str, str], Callable[[], object]]
"""What runs, by processor and sub-network."""


class Sweep:
    """Takes the steps of a plan that its journal does not have yet."""

    def __init__(
        self,
        plan: MeasurementPlan,
        platform: Platform,
        clocks: Clocks,
        workloads: Workloads,
        journal: Journal,
        clock: Clock = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
        quiet: bool = False,
    ) -> None:
        """
        Make a sweep; `run` sets it to work.

        :param clocks: open, of the same platform
        :param clock: of the platform and of the latencies, s
        :param quiet: whether to leave out the progress bar
        """
        self._plan = plan
        self._platform = platform
        self._clocks = clocks
        self._workloads = workloads
        self._journal = journal
        self._clock = clock
        self._sleep = sleep
        self._quiet = quiet
        self._asked: Mapping[str, float] = {}

    def run(self) -> tuple[Visit, ...]:
        """
        Measure every round, and once more those in which the device drifted.

        :return: the visits that count: of a round that was measured again the second ones
        :raises EngineError: when a sub-network fails
        :raises PlatformError: when a clock is refused that could be set before
        :raises JournalError: when a step cannot be kept
        """
        self._measure([(number, 0) for number in range(ROUNDS)], 'measuring')
        drifts = drifting_rounds(self._visits())
        again = [(number, 1) for number in sorted(drifts)]
        if again:
            self._measure(again, 'drifted, measuring again')
        return self._visits(again)

    def _visits(self, again: Sequence[tuple[int, int]] = ()) -> tuple[Visit, ...]:
        attempts = dict(again)
        return tuple(
            visit
            for visit in self._journal.visits
            if visit.attempt == attempts.get(visit.round, 0)
        )

    def _measure(self, rounds: Sequence[tuple[int, int]], what: str) -> None:
        steps = [(*key, place) for key in rounds for place in self._plan.steps(*key)]
        done = {visit.key for visit in self._journal.visits}
        rest = [step for step in steps if step not in done]
        with tqdm(
            total=len(steps),
            initial=len(steps) - len(rest),
            desc=what,
            bar_format=_BAR,
            disable=self._quiet,
        ) as bar:
            for number, attempt, place in rest:
                self._journal.append(self._visit(number, attempt, place))
                bar.update()

    def _visit(self, number: int, attempt: int, place: Place) -> Visit:
        asked = self._plan.setting(place)
        granted = dict(self._clocks.set(asked))
        if asked != self._asked:
            self._settle(asked)
            self._asked = asked
        latencies = np.zeros(0)
        idle = place.kind is VisitKind.IDLE
        workload = None if idle else self._workloads[place.processor, place.sub_network]
        with Recorder(self._platform, self._clock) as recorder:
            if workload is not None:
                for _ in range(WARM_UP_RUNS):
                    workload()
            started = self._clock()
            if workload is None:
                self._sleep(self._plan.idle_seconds)
            else:
                latencies = timed_runs(workload, self._plan.enough, self._clock)
            ended = self._clock()
        sample = recorder.last
        for domain in sample.domains:
            if domain.name in asked and np.isfinite(domain.granted):
                granted[domain.name] = min(granted[domain.name], domain.granted)
        return Visit(
            round=number,
            attempt=attempt,
            place=place,
            latencies=latencies,
            duration=ended - started,
            energy=recorder.energy(started, ended),
            granted=granted,
            temperatures=sample.temperatures,
            foreign_utilisation=recorder.foreign_utilisation() if idle else {},
        )

    def _settle(self, asked: Mapping[str, float]) -> None:
        """Wait until clocks are what was asked for, or will not become it."""
        deadline = self._clock() + SETTLING
        while asked and self._clock() < deadline:
            running = {row.name: row.granted for row in self._platform.read(self._clock()).domains}
            # A clock that cannot be read is NaN, and no reason to wait.
            if not any(abs(running.get(n, f) / f - 1.0) > 0.01 for n, f in asked.items()):
                return
            self._sleep(0.01)
