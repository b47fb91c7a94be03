# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Cameras that share one processor core, by scheduler, and with a process for each camera.

Streams are served as nodes serve them, without ROS: pictures of noise through `fruit_detector`
with ONNX Runtime, one thread, pinned to one core; another core sends the frames. At a load of 1
the cameras together ask for all of the core; their rate makes the load. What the middleware loses
is counted with eight camera topics and a real node.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
import json
from pathlib import Path
import statistics
import subprocess
import sys
import time
from typing import Any

from camera_streams import Camera, Segment
from camera_topics import frames_over_topics
import numpy as np
from report import Figure, Report, figure
from waiting_batches import WINDOW, BatchAndWait

from dynamic_dnn_ros.bundles.shipped import find_bundle
from dynamic_dnn_ros.management.queueing import Neighbour, queue
from dynamic_dnn_ros.scheduling.registry import DEFAULT_SCHEDULER

RUNS = 3
SECONDS = 2.0
"""Of a segment."""
CRITICAL_SECONDS = 5.0
BUNDLE = 'fruit_detector'
PAIRS_BUNDLE = 'cifar10_ofa'
"""With which two frames are served in order, and with one parked for the other."""
CORE, CAMERAS_CORE = 1, 0
FIRST_COME = 'first_come'
PROCESSES = 'a process a camera'
LOADS: Mapping[int, tuple[float, ...]] = {1: (0.5,), 2: (1.0,), 4: (1.0,), 8: (0.5, 0.8, 1.0, 1.5)}
"""Of so many streams."""
OTHERS = ('earliest_deadline', 'fluid_batching', 'dysta', 'round_robin', 'newest_frame')
"""Run besides where eight streams ask for all of the core."""

#: Sub-network, latency that its target asks for (s), priority and whether late frames may go.
_Terms = tuple[str, float, int, bool]
MIXES: Mapping[int, tuple[_Terms, ...]] = {
    1: (('s5', 0.040, 0, False),),
    2: (('s5', 0.066, 0, False), ('s2', 0.033, 1, False)),
    4: (
        ('s2', 0.066, 0, False),
        ('s0', 0.020, 2, False),
        ('s1', 0.030, 1, True),
        ('s0', 0.040, 0, False),
    ),
    8: (
        ('s0', 0.012, 2, False),
        ('s0', 0.016, 1, False),
        ('s0', 0.020, 0, True),
        ('s1', 0.020, 1, True),
        ('s1', 0.033, 0, False),
        ('s2', 0.040, 1, False),
        ('s4', 0.066, 0, False),
        ('s5', 0.066, 1, False),
    ),
}


class Process:
    """Streams in a process of their own, see `camera_streams`."""

    def __init__(self, largest_batch: int = 1) -> None:
        command = [sys.executable, str(Path(__file__).resolve().parents[1] / 'camera_streams.py')]
        command += [BUNDLE, '--core', str(CORE), '--cameras-core', str(CAMERAS_CORE)]
        command += ['--largest-batch', str(largest_batch)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def wait_until_ready(self) -> None:
        """Wait until its sub-networks are prepared."""
        if self._line() != 'ready':
            raise SystemExit('a process of streams does not start; what it says is above')

    def begin(self, segment: Segment) -> None:
        """Have it serve a segment."""
        assert self._process.stdin is not None
        self._process.stdin.write(segment.text() + '\n')
        self._process.stdin.flush()

    def result(self) -> dict[str, Any]:
        """Wait for what became of the segment."""
        line = self._line()
        if not line:
            raise SystemExit('a process of streams has ended; what it said is above')
        result: dict[str, Any] = json.loads(line)
        return result

    def run(self, segment: Segment) -> dict[str, Any]:
        """Have it serve a segment, and wait for what became of it."""
        self.begin(segment)
        return self.result()

    def end(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20.0)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def processes(number: int, largest_batch: int = 1) -> Iterator[list[Process]]:
    """Have processes, all ready."""
    started: list[Process] = []
    try:
        for _ in range(number):
            started.append(Process(largest_batch))
        for each in started:
            each.wait_until_ready()
        yield started
    finally:
        for each in started:
            each.end()


def cameras(terms: Sequence[_Terms], rate: float) -> tuple[Camera, ...]:
    """Return the cameras of a mix, all at one rate, Hz."""
    return tuple(
        Camera(f'camera_{index}', name, rate, latency, priority, droppable)
        for index, (name, latency, priority, droppable) in enumerate(terms)
    )


def on_time(streams: Mapping[str, Any], terms: Sequence[_Terms]) -> list[float]:
    """Return the share of the frames of each stream that were there in time."""
    return [
        sum(response <= latency for response in outcome['responses']) / outcome['offered']
        for outcome, (_, latency, _, _) in zip(streams.values(), terms)
    ]


def late(streams: Mapping[str, Any], terms: Sequence[_Terms]) -> int:
    """Return how many frames were not there in time: late, replaced by a newer one, given up."""
    offered = [outcome['offered'] for outcome in streams.values()]
    return round(
        sum(count * (1.0 - share) for count, share in zip(offered, on_time(streams, terms)))
    )


def unaccounted(streams: Mapping[str, Any]) -> int:
    """Return the frames of which nobody knows what became."""
    known = ('replaced', 'dropped', 'rejected')
    return sum(
        outcome['offered'] - len(outcome['responses']) - sum(outcome[name] for name in known)
        for outcome in streams.values()
    )


def preemption_cost(long: Mapping[str, Any], short: Mapping[str, Any]) -> tuple[float, float]:
    """
    Return what parking a frame for a short one takes beyond that one, s; medians.

    What lies between the two, and what the parked frame then takes longer for its own stages.

    :param long: the stream whose frames are parked between two stages, some of them
    """
    beyond, parked, whole = [], [], []
    for end, service, (gap, inference) in zip(long['ends'], long['services'], long['preemptions']):
        if gap == 0.0:
            whole.append(inference)
            continue
        passed = [
            alone
            for other, alone in zip(short['ends'], short['services'])
            if end - service - gap < other < end
        ]
        if len(passed) == 1:
            beyond.append(gap - passed[0])
            parked.append(inference)
    if len(parked) < 5 or len(whole) < 5:
        raise SystemExit(f'only {len(parked)} frames were parked, and {len(whole)} were not')
    longer = statistics.median(parked) - statistics.median(whole)
    return statistics.median(beyond), longer


def predicted(streams: Mapping[str, Any], who: Sequence[Camera], seconds: float) -> list[float]:
    """
    Return the mean response that the manager predicts of each stream, before it learns, s.

    It is given what frames took and how many were served, which it knows of profile and status.
    """
    services = [statistics.mean(outcome['services']) for outcome in streams.values()]
    rates = [len(outcome['services']) / seconds for outcome in streams.values()]
    found = []
    for index, camera in enumerate(who):
        neighbours = [
            Neighbour(
                np.array([rate * service]),
                rate,
                (other.priority > camera.priority) - (other.priority < camera.priority),
            )
            for other, rate, service in zip(who, rates, services)
            if other is not camera
        ]
        found.append(services[index] + float(queue(neighbours, 1.0).mean[0]))
    return found


class Measurement:
    """The figures of all runs."""

    def __init__(self, one: Process, many: Sequence[Process], batching: Process) -> None:
        self._one, self._many, self._batching = one, many, batching
        self.shares: dict[str, list[list[float]]] = {}
        self.figures: dict[str, list[float]] = {}
        self.responses: dict[str, list[float]] = {}
        #: Of each stream of eight, by load, run for run: predicted mean response over measured.
        self.predictions: dict[float, list[list[float]]] = {}
        self.lost = 0
        self.estimates: dict[str, float] = {}
        self._seed = 0

    def calibrate(self) -> None:
        """Measure what a frame of each sub-network takes among others, s."""
        names = sorted({name for terms in MIXES.values() for name, *_ in terms})
        for name in names:
            who = (Camera('alone', name, 25.0, 1.0),)
            found = self._one.run(Segment(who, '', 1.0))['streams']['alone']
            self.estimates[name] = statistics.median(found['services'])
        # With little idle time a frame takes less, and after others more than after its like.
        terms = MIXES[8]
        for _ in range(2):
            rate = 0.8 / sum(self.estimates[name] for name, *_ in terms)
            who = cameras(terms, rate)
            streams = self._one.run(self._segment(who, DEFAULT_SCHEDULER))['streams']
            services: dict[str, list[float]] = {}
            for outcome, (name, *_) in zip(streams.values(), terms):
                services.setdefault(name, []).extend(outcome['services'])
            self.estimates = {name: statistics.mean(each) for name, each in services.items()}

    def run(self, seed: int) -> None:
        """Measure everything once."""
        self._seed = seed
        for number, terms in MIXES.items():
            for load in LOADS[number]:
                rows = {}
                for scheduler in (DEFAULT_SCHEDULER, FIRST_COME, PROCESSES):
                    rows[scheduler] = self._mix(terms, load, scheduler)
                if (number, load) == (8, 1.0):
                    for scheduler in OTHERS:
                        self._mix(terms, load, scheduler)
                ours = max(1, rows[DEFAULT_SCHEDULER])
                if number == 8:
                    for rival in (FIRST_COME, PROCESSES):
                        name = f'frames late or lost, 8 streams at load {load:g}: {rival} / ours'
                        self._add(name, rows[rival] / ours)
        self._add('mean response, 8 streams at load 0.7: batch and wait / ours', self._waiting())
        self._add('critical stream among 7 others: response, 99 % / alone', self._critical())
        between, longer = self._preemption()
        self._add('a frame parked for a short one: time beyond that one', between + longer)
        self._add('of a preemption: between', between)
        self._add('of a preemption: stages that take longer', longer)

    def _add(self, name: str, value: float) -> None:
        self.figures.setdefault(name, []).append(value)

    def _segment(
        self, who: Sequence[Camera], scheduler: str, seconds: float = SECONDS, begin: float = 0.0
    ) -> Segment:
        return Segment(tuple(who), scheduler, seconds, begin, self._seed, self.estimates)

    def _mix(self, terms: Sequence[_Terms], load: float, scheduler: str) -> int:
        """Serve a mix; return the frames that were not there in time."""
        rate = load / sum(self.estimates[name] for name, *_ in terms)
        who = cameras(terms, rate)
        seconds = SECONDS * (2 if (len(who), load) == (8, 1.0) else 1)
        if scheduler == PROCESSES:
            streams: dict[str, Any] = {}
            begin = time.monotonic() + 0.5
            serving = self._many[: len(who)]
            for process, camera in zip(serving, who):
                process.begin(self._segment([camera], '', seconds, begin))
            for process in serving:
                streams.update(process.result()['streams'])
        else:
            streams = self._one.run(self._segment(who, scheduler, seconds))['streams']
        self.lost += unaccounted(streams)
        if len(who) == 8 and load < 1.0 and scheduler == DEFAULT_SCHEDULER:
            means = [statistics.mean(outcome['responses']) for outcome in streams.values()]
            ratios = [p / m for p, m in zip(predicted(streams, who, seconds), means)]
            self.predictions.setdefault(load, []).append(ratios)
        key = f'{len(who)} at load {load:g} ({rate:.0f} Hz): {scheduler}'
        self.shares.setdefault(_without_rate(key), []).append(on_time(streams, terms))
        return late(streams, terms)

    def _waiting(self) -> float:
        terms = (('s0', 0.05, 0, False),) * 8
        who = cameras(terms, 0.7 / (8 * self.estimates['s0']))
        means = []
        for process, scheduler in (
            (self._batching, BatchAndWait.name),
            (self._one, DEFAULT_SCHEDULER),
        ):
            streams = process.run(self._segment(who, scheduler))['streams']
            self.lost += unaccounted(streams)
            means.append(np.mean([r for each in streams.values() for r in each['responses']]))
            self.responses.setdefault(scheduler, []).append(float(means[-1]))
        return float(means[0] / means[1])

    def _critical(self) -> float:
        critical = Camera('critical', 's5', 0.5 / self.estimates['s5'], 0.040, 255)
        small = 7 * self.estimates['s0']
        others = cameras((('s0', 0.1, 0, False),) * 7, 0.3 / small)
        found = []
        for who in ((critical,), (critical, *others)):
            segment = self._segment(who, DEFAULT_SCHEDULER, CRITICAL_SECONDS)
            streams = self._one.run(segment)['streams']
            self.lost += unaccounted(streams)
            found.append(np.percentile(streams['critical']['responses'], 99))
        return float(found[1] / found[0])

    def _preemption(self) -> tuple[float, float]:
        who = (
            Camera('long', 'long', 25.0, 1.0, 0),
            Camera('short', 's0', 37.0, 0.010, 255),
        )
        segment = self._segment(who, DEFAULT_SCHEDULER, CRITICAL_SECONDS)
        streams = self._one.run(segment)['streams']
        self.lost += unaccounted(streams)
        return preemption_cost(streams['long'], streams['short'])


def _without_rate(key: str) -> str:
    head, _, tail = key.partition(' (')
    return f'{head}{tail[tail.index(")") + 1 :]}'


def _memory() -> tuple[float, float]:
    """Return what a process takes with one stream and with eight, bytes, its own share."""
    found = []
    for number in (1, 8):
        with processes(1) as (process,):
            who = cameras(MIXES[8][:number], 10.0)
            found.append(process.run(Segment(who, DEFAULT_SCHEDULER, 1.0))['memory'])
    return found[0], found[1]


def _preemption_in_pairs() -> float:
    """Return what two frames take longer where one is parked for the other, s; a median."""
    script = Path(__file__).resolve().parents[1] / 'preemption.py'
    command = [sys.executable, str(script), str(find_bundle(PAIRS_BUNDLE)), 'onnxruntime']
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(json.loads(output)['preemption_ms']) / 1e3


def run(runs: int) -> Report:
    """Run the suite."""
    memory = [_memory() for _ in range(runs)]
    transported = [frames_over_topics(CRITICAL_SECONDS) for _ in range(runs)]
    with processes(1) as (one,), processes(8) as many, processes(1, 8) as (batching,):
        measured = Measurement(one, many, batching)
        measured.calibrate()
        for seed in range(runs):
            measured.run(seed)
    preemptions = [_preemption_in_pairs() for _ in range(runs)]
    figures = _figures(measured, memory, transported, preemptions)
    return Report('cameras', 'measured', _configuration(measured), figures)


def _figures(
    measured: Measurement,
    memory: Sequence[tuple[float, float]],
    transported: Sequence[tuple[int, int]],
    preemptions: Sequence[float],
) -> list[Figure]:
    bars = {
        f'frames late or lost, 8 streams at load 1: {FIRST_COME} / ours': '>= 6.7',
        'mean response, 8 streams at load 0.7: batch and wait / ours': '>= 1.97',
        'critical stream among 7 others: response, 99 % / alone': '<= 1.2',
    }
    rows = [
        figure(name, values, 's' if name.startswith('a frame parked') else '', bars.get(name))
        for name, values in measured.figures.items()
        if name in bars or 'load 1:' in name or name.startswith('a frame parked')
    ]
    ratios = [eight / one for one, eight in memory]
    lost = [published - received for published, received in transported]
    # In one run the cameras come in the same order throughout, which no rate tells.
    means = [np.mean(runs, axis=0) - 1.0 for runs in measured.predictions.values()]
    return [
        *rows,
        figure('cost of a preemption', preemptions, 's', '<= 0.0002'),
        figure(
            'mean response of 8 streams, predicted by the manager: error of all together',
            [abs(float(each.mean())) for each in means],
            '',
            '<= 0.1',
        ),
        figure(
            'mean response of 8 streams, predicted by the manager before it learns: of each',
            [float(np.abs(each).mean()) for each in means],
            '',
        ),
        figure('memory of 8 streams / of one', ratios, '', '<= 1.3'),
        figure('frames of which nobody knows what became', measured.lost, '', '<= 0'),
        figure('frames of 8 camera topics that did not reach the node', lost, '', '<= 0'),
    ]


def _configuration(measured: Measurement) -> dict[str, Any]:
    return {
        'bundle': BUNDLE,
        'engine': 'onnxruntime',
        'threads': 1,
        'scheduler': DEFAULT_SCHEDULER,
        'mixes': {str(number): terms for number, terms in MIXES.items()},
        'service': {name: round(value, 5) for name, value in measured.estimates.items()},
        'batch_and_wait': {'largest_batch': 8, 'window': round(WINDOW, 4)},
        'mean_response': {
            name: round(statistics.median(values), 5)
            for name, values in measured.responses.items()
        },
        'late_or_lost_ratio': {
            name: [round(value, 2) for value in values]
            for name, values in measured.figures.items()
            if 'late' in name
        },
        'predicted_over_measured_response': {
            str(load): [[round(value, 3) for value in ratios] for ratios in runs]
            for load, runs in measured.predictions.items()
        },
        'preemption': {
            name.partition(': ')[2]: [round(value, 6) for value in values]
            for name, values in measured.figures.items()
            if name.startswith('of a preemption')
        },
        'on_time': {
            key: [round(statistics.median(column), 3) for column in zip(*runs)]
            for key, runs in measured.shares.items()
        },
        'not_measured': [],
    }
