# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A scene that turns from easy to hard and back, before real nodes and on the clock.

Real pictures, sorted by how sure the largest sub-network is of its answer: the surest make the
easy scene, the least sure the hard one. Camera topic, inference node, manager and platform run as
processes of their own. The inference node runs the network and leaves where the thresholds say;
each frame lasts as long as it would on the board that the platform simulates, and its model gives
the energy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
import time
from typing import Any

import numpy as np
from report import Figure, figure

from dynamic_dnn_ros.bundles.manifest import Manifest
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.datasets.registry import open_dataset
from dynamic_dnn_ros.engines.registry import create_engine
from dynamic_dnn_ros.exits.asking import ask
from dynamic_dnn_ros.msg import InferenceStatus, SubNetworkSwitch, SystemLoad
from dynamic_dnn_ros.srv import SetTarget
from support.application import Application
from support.deployment import deployment
from support.graph import LATCHED, Collector, Graph
from support.images import image_message
from support.shared_data import CIFAR10_TEST, shared_data

BOARD = 'xavier_nx_simulated'
ENGINE = 'onnxruntime'
OURS, BLIND = 'dynamic_dnn', 'path_blind'
ASKED = 3000
"""Test pictures that the largest sub-network is asked about."""
SHARE = 0.15
"""Of them, at each end, that make a scene."""
RATE = 12.0
SCENES = ('easy', 'easy', 'hard', 'easy', 'hard', 'easy')
"""What the camera sees, each for `LASTS` seconds; the first is not counted."""
LASTS = 15.0
LEEWAY = 1.6
"""Latency that is asked for, as a multiple of the largest path's at the highest clocks."""
THIRD = 2
"""Place of the frame from which on the target is to be met after a change."""


@dataclass(frozen=True)
class Wanted:
    """What a run asks for: the least energy with these limits."""

    latency: float
    accuracy: float


@dataclass(frozen=True)
class LiveRun:
    """
    What one manager made of all scenes.

    :param late: whether each frame of a scene was later than asked for, in their order, a list a
        scene; frames that this machine was too slow for are left out
    :param switches: in each scene
    :param energy: of the module while scenes were counted, J
    :param overrun: share of the frames that this machine was too slow for
    :param works: mean work of a frame, in each scene
    """

    late: tuple[tuple[bool, ...], ...]
    switches: tuple[int, ...]
    energy: float
    overrun: float
    works: tuple[float, ...]


def scene_live(bundle: Bundle, runs: int) -> list[Figure]:
    """Return the figures of a bundle before a scene that changes."""
    pictures, wanted = scenes_of(bundle), wanted_of(bundle)
    made: dict[str, list[LiveRun]] = {OURS: [], BLIND: []}
    for number in range(runs):
        # In turns, and each first once, so that both have the same machine.
        for decider in (OURS, BLIND) if number % 2 == 0 else (BLIND, OURS):
            made[decider].append(run_live(bundle, pictures, wanted, decider, number))
    return [*(row for name, found in made.items() for row in _rows(name, found)), *_ratio(made)]


def scenes_of(bundle: Bundle, asked: int = ASKED) -> dict[str, list[np.ndarray]]:
    """Return the easy and the hard pictures, by the most accurate sub-network of one piece."""
    manifest = bundle.manifest
    test = open_dataset(shared_data(CIFAR10_TEST), 'classification', manifest.labels, print)
    spread = np.linspace(0, len(test) - 1, min(asked, len(test))).round().astype(np.int64)
    some = test.take(spread.tolist())
    largest = largest_of(manifest)
    prepared = create_engine(ENGINE, bundle, 1).prepare(largest, 'cpu')
    answers = ask([prepared], manifest, some, quiet=True)
    order = np.argsort(answers.confidences[largest.id])
    count = int(SHARE * len(order))
    generator = np.random.default_rng(0)
    return {
        name: [some.pixels(index) for index in generator.permutation(part).tolist()]
        for name, part in (('hard', order[:count]), ('easy', order[-count:]))
    }


def wanted_of(bundle: Bundle) -> Wanted:
    """
    Return what a run asks for: what the most accurate sub-network with stages can give.

    Its largest path keeps the latency at high clocks, and not at low ones.
    """
    staged = [entry for entry in bundle.manifest.sub_networks if entry.stages]
    best = max(staged, key=lambda entry: entry.accuracy)
    points = next(each for each in bundle.profiles if each.platform == BOARD)
    least = points.least_latency(best.id, points.processors[0])
    assert least is not None
    return Wanted(LEEWAY * least, best.accuracy - 1e-4)


def largest_of(manifest: Manifest) -> Any:
    """Return the most accurate sub-network of one piece."""
    whole = [entry for entry in manifest.sub_networks if not entry.stages]
    return max(whole, key=lambda entry: entry.accuracy)


def run_live(
    bundle: Bundle, pictures: dict[str, list[np.ndarray]], wanted: Wanted, decider: str, seed: int
) -> LiveRun:
    """Run all scenes once."""
    with deployment() as (graph, start):
        start('platform_node', parameters={'platform': BOARD, 'seed': seed})
        start('manager_node', parameters={'decider': decider})
        application = Application(
            graph, start, bundle.folder, platform=BOARD, engine=ENGINE, namespace='/scene'
        )
        loads = graph.collect(SystemLoad, '/dynamic_dnn/system_load')
        switches = graph.collect(SubNetworkSwitch, f'{application.id}/sub_network_switch', LATCHED)
        graph.wait_for_publishers(loads.topic)
        loads.wait(1, 20.0)
        _ask(graph, application.id, wanted)
        marks = _play(graph, application, pictures)
        graph.spin_for(1.0)
        return _judged(application, loads, switches, marks, wanted)


def _ask(graph: Graph, application: str, wanted: Wanted) -> None:
    request = SetTarget.Request(
        application=application,
        sender='benchmark',
        latency=wanted.latency,
        accuracy=wanted.accuracy,
        rate=RATE,
    )
    answer = graph.call(SetTarget, '/dynamic_dnn/set_target', request)
    if not answer.accepted:
        raise RuntimeError(answer.message)


def _play(
    graph: Graph, application: Application, pictures: dict[str, list[np.ndarray]]
) -> list[float]:
    """Publish all scenes, and return when each began and the last one ended, s since the epoch."""
    marks = []
    places = dict.fromkeys(pictures, 0)
    begun = time.monotonic()
    with graph.spinning():
        for number, name in enumerate(SCENES):
            marks.append(time.time())
            for index in range(int(LASTS * RATE)):
                at = begun + number * LASTS + index / RATE
                time.sleep(max(0.0, at - time.monotonic()))
                pixels = pictures[name][places[name] % len(pictures[name])]
                places[name] += 1
                message = image_message(pixels, frame_id=f'{number}')
                message.header.stamp = graph.node.get_clock().now().to_msg()
                application.images.publish(message)
        time.sleep(max(0.0, begun + len(SCENES) * LASTS - time.monotonic()))
        marks.append(time.time())
    return marks


def _judged(
    application: Application,
    loads: Collector[SystemLoad],
    switches: Collector[SubNetworkSwitch],
    marks: Sequence[float],
    wanted: Wanted,
) -> LiveRun:
    frames = [s for s in application.statuses if s.event == InferenceStatus.EVENT_SERVED]
    late, works = [], []
    for number in range(1, len(SCENES)):
        seen = [frame for frame in frames if frame.header.frame_id == str(number)]
        kept = [frame for frame in seen if not frame.overrun]
        late.append(tuple(_total(frame) > wanted.latency for frame in kept))
        works.append(float(np.mean([frame.work for frame in kept])))
    times = [_seconds(switch.header.stamp) for switch in switches]
    changes = [sum(begin <= at < end for at in times) for begin, end in pairwise(marks[1:])]
    counted = [frame for frame in frames if frame.header.frame_id != '0']
    return LiveRun(
        tuple(late),
        tuple(changes),
        _energy(loads, marks[1], marks[-1]),
        sum(frame.overrun for frame in counted) / len(counted),
        tuple(works),
    )


def _total(status: InferenceStatus) -> float:
    return next(s.value for s in status.stages if s.name == InferenceStatus.STAGE_TOTAL)


def _seconds(stamp: Any) -> float:
    return float(stamp.sec + 1e-9 * stamp.nanosec)


def _energy(loads: Collector[SystemLoad], begin: float, end: float) -> float:
    """Return the integral of the power of the module, J."""
    times = np.array([_seconds(load.header.stamp) for load in loads])
    watts = np.array(
        [next(p.value for p in load.power if p.name == load.total_power_rail) for load in loads]
    )
    inside = np.clip(times, begin, end)
    return float(np.sum(0.5 * (watts[1:] + watts[:-1]) * np.diff(inside)))


def _rows(name: str, found: Sequence[LiveRun]) -> list[Figure]:
    asked = name == OURS
    title = f'on the clock, {name}'
    changed = range(1, len(SCENES) - 1)
    return [
        figure(
            f'{title}: late from the third frame after a change on, worst change',
            [max(_share(one.late[k][THIRD:]) for k in changed) for one in found],
            'share',
            '<= 0.05' if asked else None,
        ),
        figure(
            f'{title}: late of the five frames after a change, mean',
            [float(np.mean([sum(one.late[k][:5]) for k in changed])) for one in found],
            'frames',
        ),
        figure(
            f'{title}: late of all frames (0.05 allowed)',
            [_share([each for scene in one.late for each in scene]) for one in found],
            'share',
        ),
        figure(
            f'{title}: switches a change, most',
            [max(one.switches[k] for k in changed) for one in found],
            '',
            '<= 2' if asked else None,
        ),
        figure(f'{title}: energy of the module', [one.energy for one in found], 'J'),
        figure(
            f'{title}: frames that this machine was too slow for',
            [one.overrun for one in found],
            'share',
        ),
    ]


def _share(late: Sequence[bool]) -> float:
    return sum(late) / len(late)


def _ratio(made: dict[str, list[LiveRun]]) -> list[Figure]:
    pairs = list(zip(made[OURS], made[BLIND]))
    return [
        figure(
            f'on the clock: energy, {OURS} over {BLIND}',
            [one.energy / other.energy for one, other in pairs],
            'ratio',
        )
    ]
