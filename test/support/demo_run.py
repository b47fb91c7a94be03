# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A run of the demo as it could have been observed, made by formulas."""

from __future__ import annotations

import math
import random

from dynamic_dnn_ros.cli.demo.run_record import (
    DecisionRecord,
    FrameCounts,
    FrameRecord,
    LoadRecord,
    PhaseRecord,
    RunRecord,
    SwitchRecord,
)
from dynamic_dnn_ros.cli.demo.script import Candidate, write_script

CANDIDATES = [
    Candidate(f's{index}', 0.80 + 0.02 * index, 0.010 * 1.35**index) for index in range(7)
]
SERVED = ('s6', 's3', 's5', 's0', 's0', 's6')
"""The sub-network that serves in each phase."""
RATE = 20.0


def demo_run(seconds: float = 42.0, seed: int = 0) -> RunRecord:
    """Return a run in which every target that can be met is met."""
    generator = random.Random(seed)
    run = RunRecord(
        application='/inference_node',
        bundle='made_up',
        engine='torch',
        platform='xavier_nx_simulated',
        source='photographs',
        simulated=True,
        accuracies={candidate.sub_network: candidate.accuracy for candidate in CANDIDATES},
        frequency_limits={'gpu': 1.1e9, 'cpu': 1.9e9},
    )
    start = 2.0
    latencies = {candidate.sub_network: candidate.latency for candidate in CANDIDATES}
    for phase, sub_network in zip(write_script(CANDIDATES, seconds), SERVED):
        end = start + phase.seconds
        run.phases.append(PhaseRecord(phase, start, end))
        run.switches.append(SwitchRecord(start + 0.1, sub_network, 'the target changed'))
        hurried = phase.name in ('tight', 'impossible')
        frequency = 1.1e9 if hurried else 0.5e9
        slow = 1.0 if hurried else 1.6
        for index in range(int(phase.seconds * RATE)):
            time = start + index / RATE
            latency = 0.85 * latencies[sub_network] * slow * math.exp(generator.gauss(0.0, 0.04))
            overrun = generator.random() < 0.01
            run.frames.append(
                FrameRecord(time, sub_network, latency * (3 if overrun else 1), True, overrun)
            )
            if index % 4 == 0:
                run.loads.append(
                    LoadRecord(time, {'gpu': frequency, 'cpu': 1.2e9}, 3.0 + frequency / 4e8, 41.0)
                )
            if index % 10 == 5:
                state = 'met' if phase.possible else 'infeasible'
                missed = {} if phase.possible else {'latency': latency - phase.goal.latency}
                run.decisions.append(DecisionRecord(time, state, sub_network, missed, ''))
        start = end
    served = len(run.frames)
    run.counts = FrameCounts(served + 3, served, 2, 1)
    return run
