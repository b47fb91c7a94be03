# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The same skeleton of a scenario in two event loops: that of the simulation, and SimPy.

Two cameras with a mailbox and a worker each, a governor that changes the clock ten times a second
in the middle of frames, a load ten times and a decision twice a second. No board, no manager: what
is left is what an event costs. Both serve the same frames.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
import heapq
import math
from typing import Any

RATE, WORK = 30.0, 0.02
CLOCKS = (1.0, 0.8)
GOVERNOR, LOAD, DECISION = 0.1, 0.1, 0.5
PHASES = (0.0, 0.012)


def heap(duration: float) -> list[tuple[float, int]]:
    """Return when each worker was done, by a heap that the next end of a frame is not kept in."""
    queue: list[tuple[float, int, Callable[[float], None]]] = []
    done: list[tuple[float, int]] = []
    remaining, waiting = [math.inf, math.inf], [False, False]
    count, clock, now = 0, 0, 0.0

    def at(time: float, action: Callable[[float], None]) -> None:
        nonlocal count
        heapq.heappush(queue, (time, count, action))
        count += 1

    def camera(worker: int, time: float) -> None:
        at(time + 1 / RATE, lambda t: camera(worker, t))
        if remaining[worker] == math.inf:
            remaining[worker] = WORK
        else:
            waiting[worker] = True

    def governor(time: float) -> None:
        nonlocal clock
        clock = 1 - clock
        at(time + GOVERNOR, governor)

    def ticking(period: float) -> Callable[[float], None]:
        def action(time: float) -> None:
            at(time + period, action)

        return action

    for worker, phase in enumerate(PHASES):
        at(phase, lambda t, w=worker: camera(w, t))  # type: ignore[misc]
    at(GOVERNOR, governor)
    for period in (LOAD, DECISION):
        at(period, ticking(period))
    while True:
        due, finished = queue[0][0], -1
        for worker in (0, 1):
            end = now + remaining[worker] / CLOCKS[clock]
            if end < due:
                due, finished = end, worker
        if due > duration:
            return done
        for worker in (0, 1):
            remaining[worker] -= (due - now) * CLOCKS[clock]
        now = due
        if finished >= 0:
            done.append((now, finished))
            remaining[finished] = WORK if waiting[finished] else math.inf
            waiting[finished] = False
        else:
            heapq.heappop(queue)[2](now)


def simpy(duration: float) -> list[tuple[float, int]]:
    """
    Return the same by SimPy, whose workers are interrupted where the clock changes.

    :raises ImportError: without SimPy
    """
    import simpy as library

    environment = library.Environment()
    done: list[tuple[float, int]] = []
    mailboxes = [library.Container(environment, capacity=1) for _ in PHASES]
    clock = 0
    workers: list[Any] = []
    working = [False, False]

    def camera(worker: int, phase: float) -> Generator[Any, Any, None]:
        yield environment.timeout(phase)
        while True:
            if mailboxes[worker].level < 1:
                yield mailboxes[worker].put(1)
            yield environment.timeout(1 / RATE)

    def serve(worker: int) -> Generator[Any, Any, None]:
        while True:
            yield mailboxes[worker].get(1)
            remaining = WORK
            working[worker] = True
            while remaining > 0:
                begun, speed = environment.now, CLOCKS[clock]
                try:
                    yield environment.timeout(remaining / speed)
                    remaining = 0.0
                except library.Interrupt:
                    remaining -= (environment.now - begun) * speed
            working[worker] = False
            done.append((environment.now, worker))

    def governor() -> Generator[Any, Any, None]:
        nonlocal clock
        while True:
            yield environment.timeout(GOVERNOR)
            clock = 1 - clock
            for process, busy in zip(workers, working):
                if busy:
                    process.interrupt()

    def ticking(period: float) -> Generator[Any, Any, None]:
        while True:
            yield environment.timeout(period)

    for worker, phase in enumerate(PHASES):
        environment.process(camera(worker, phase))
        workers.append(environment.process(serve(worker)))
    environment.process(governor())
    for period in (LOAD, DECISION):
        environment.process(ticking(period))
    environment.run(duration)
    return done
