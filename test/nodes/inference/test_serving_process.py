# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the nodes of one process have in common."""

from __future__ import annotations

import time

import pytest

from dynamic_dnn_ros.nodes.inference.serving_process import ServingProcess
from dynamic_dnn_ros.scheduling.registry import UnknownSchedulerError


def test_all_are_told_of_another_scheduler_once() -> None:
    process = ServingProcess(shared=True)
    told: list[str] = []
    for name in ('front', 'rear'):
        process.listen(lambda name=name: told.append(f'{name} {process.scheduler}'))
    process.schedule(process.scheduler)
    process.schedule('round_robin')
    process.schedule('round_robin')
    assert told == ['front round_robin', 'rear round_robin']
    with pytest.raises(UnknownSchedulerError, match="'best' is unknown"):
        process.schedule('best')
    assert process.scheduler == 'round_robin'


def test_each_second_of_the_process_counts_once() -> None:
    process = ServingProcess()
    taken = [process.take_cpu_time()]
    for _ in range(3):
        end = time.process_time() + 0.01
        while time.process_time() < end:
            pass
        taken.append(process.take_cpu_time())
    assert all(seconds >= 0.01 for seconds in taken[1:])
    assert sum(taken) == pytest.approx(time.process_time(), abs=0.01)
