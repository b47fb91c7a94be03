#!/usr/bin/env python3
# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Send bad messages on every topic that the nodes listen to, while they serve a camera.

It shows that no node dies, that none grows, how many messages were left out for which reason, and
that the service goes on.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
import random
import sys
import tempfile
import time
from typing import Any

from deployment import SHARED_MEMORY, SIMULATED, Plan, System, deployed
from endings import end_in_order, keep_logs
from isolation import isolate
from memory import MEGABYTE, resident
from messages import MessageMaker, type_of
from rclpy.duration import Duration
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from results import RESULTS, write_result
from sensor_msgs.msg import CompressedImage, Image
from tqdm import tqdm

from dynamic_dnn_ros.nodes.common.door import decoded

OWN = ('dynamic_dnn_ros/msg/', 'sensor_msgs/msg/')
"""Types of the topics that are tried; those of every ROS node are not ours."""

BATCH = 4
"""Messages that are sent before their arrival is waited for: no queue is shorter on the way."""

LISTENING = 2.0
"""Seconds in which a real message of each topic is waited for."""

SENT = QoSProfile(depth=2 * BATCH, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""What is published so is heard by whoever listens, however it does."""

LARGEST_SENT = 200_000
"""Bytes of a message at most: more than nodes read of most types."""

WARM_UP = 0.5
"""
Share of the messages from which on a node may not grow. Nodes remember the last of many things: 3
instances of each of 32 applications, 1,000 lines of log, 8 decisions. By then these are full.
"""

LARGEST_GROWTH = 2 * MEGABYTE
"""Bytes that a node may grow by after the warm-up."""

RETURNED = {
    'RMW_FASTRTPS_USE_QOS_FROM_XML': '1',
    'MALLOC_ARENA_MAX': '1',
    'MALLOC_MMAP_MAX_': '1000000',
    'MALLOC_MMAP_THRESHOLD_': '16384',
    'MALLOC_TRIM_THRESHOLD_': '4096',
}
"""
Has middleware and malloc give memory back that nobody holds, so that what grows is held.

As they are, they keep it: the middleware the largest message at each place of a queue, malloc what
lies between two blocks that are in use. Both end somewhere, after more messages than can be sent.
The middleware needs `RETURNED_ENTITY` in its profile as well.
"""

RETURNED_ENTITY = """
    <data_{0} profile_name="returned_{0}" is_default_profile="true">
      <qos><data_sharing><kind>OFF</kind></data_sharing></qos>
      <historyMemoryPolicy>DYNAMIC</historyMemoryPolicy>
    </data_{0}>
"""

ASKED = {'latency': 0.2, 'rate': 8.0}
"""
Seconds and Hz that are asked for. Without a rate the manager may serve fewer frames with less
power once it knows the board better, and the rates before and after could not be compared.
"""

HEALING = 15.0
"""Seconds within which the service has to be whole after the last message."""


@dataclass
class Topic:
    """A topic that is tried, with the last real message that was seen on it."""

    name: str
    message_type: type
    publisher: Publisher
    seen: Any = None
    sent: int = 0
    unreadable: int = 0


@dataclass
class Report:
    """What came of a run; memory in bytes, rates in Hz, both by name."""

    sent: dict[str, int]
    unreadable: dict[str, int]
    counted: dict[str, dict[str, str]]
    rate_before: dict[str, float]
    rate_during: dict[str, float]
    rate_after: dict[str, float]
    memory_start: dict[str, int]
    memory_warm: dict[str, int]
    memory_end: dict[str, int]
    died: list[str]
    lacks: list[str]
    seconds: float
    problems: list[str] = field(default_factory=list)


def topics_of(system: System, stack: ExitStack) -> list[Topic]:
    """Return every topic of our own types that inference, manager and platform listen to."""
    node, sender = system.observer.node, system.observer.sender
    found: dict[str, str] = {}
    for name, namespace in node.get_node_names_and_namespaces():
        if name in ('inference_node', 'manager_node', 'platform_node'):
            for topic, types in node.get_subscriber_names_and_types_by_node(name, namespace):
                kind = types[0]
                if kind.startswith(OWN):
                    found[topic] = kind
    topics = []
    listening = ExitStack()
    for name, kind in sorted(found.items()):
        message_type = type_of(kind)
        publisher = sender.create_publisher(message_type, name, SENT)
        stack.callback(sender.destroy_publisher, publisher)
        topic = Topic(name, message_type, publisher)

        def see(data: bytes, topic: Topic = topic) -> None:
            # Ours come back too: the first ones are real.
            if topic.seen is None and _readable(data, topic.message_type):
                topic.seen = deserialize_message(data, topic.message_type)

        # What was said once is to be seen too.
        lasting = all(
            info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
            for info in node.get_publishers_info_by_topic(name)
        )
        profile = QoSProfile(
            depth=1,
            reliability=ReliabilityPolicy.RELIABLE if lasting else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if lasting else DurabilityPolicy.VOLATILE,
        )
        subscription = node.create_subscription(message_type, name, see, profile, raw=True)
        listening.callback(node.destroy_subscription, subscription)
        topics.append(topic)
    time.sleep(LISTENING)
    listening.close()
    return topics


def returning(folder: Path) -> dict[str, str]:
    """Return `RETURNED` with a profile that is written into a folder."""
    profile = folder / 'returned.xml'
    entities = ''.join(RETURNED_ENTITY.format(kind) for kind in ('writer', 'reader'))
    profile.write_text(SHARED_MEMORY.read_text().replace('</profiles>', f'{entities}</profiles>'))
    names = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
    return {**RETURNED, **dict.fromkeys(names, str(profile))}


def send(topic: Topic, maker: MessageMaker, draw: random.Random) -> None:
    """Send one message on a topic: fields or bytes."""
    like = topic.seen if draw.random() < 0.7 else None
    if draw.random() < 0.5:
        data = bytes(serialize_message(maker.message(topic.message_type, like)))
    else:
        data = maker.bytes(topic.message_type, like)
    data = data[:LARGEST_SENT]
    topic.unreadable += not _readable(data, topic.message_type)
    topic.publisher.publish(data)
    topic.sent += 1


def _readable(data: bytes, message_type: type) -> bool:
    try:
        if message_type in (Image, CompressedImage):
            deserialize_message(data, message_type)  # of any size
        else:
            decoded(data, message_type)
    except Exception:  # rclpy has no type of its own for it
        return False
    return True


def counted(system: System) -> dict[str, dict[str, str]]:
    """Return what each node says on /diagnostics of the messages that came to it."""
    return {
        name: {entry.key: entry.value for entry in status.values}
        for name, status in sorted(system.observer.diagnostics.items())
        if name.endswith((': messages', ': camera'))
    }


def fuzz(system: System, number: int, seed: int, quiet: bool) -> Report:
    """Send a number of messages to a system that serves, and see what comes of it."""
    observer, supervisor = system.observer, system.supervisor
    starts = {name: supervisor.starts(name) for name in supervisor.names()}
    names = [*observer.applications, 's0', 's1', 's2', 'gpu', 'cpu', 'memory', SIMULATED]
    status = observer.status
    names += [status.instance, status.platform] if status is not None else []
    maker, draw = MessageMaker(seed, names), random.Random(seed)
    time.sleep(5.0)
    before = observer.rates(5.0)
    observer.expect(before)
    with ExitStack() as stack:
        topics = topics_of(system, stack)
        begun = time.monotonic()
        start = resident(system)
        warm: dict[str, int] = {}
        for count in tqdm(range(number), unit='message', disable=quiet):
            topic = topics[count // BATCH % len(topics)]
            send(topic, maker, draw)
            if count % BATCH == BATCH - 1:
                topic.publisher.wait_for_all_acked(Duration(seconds=1.0))
            if count == int(WARM_UP * number):
                warm = resident(system)
        seconds = time.monotonic() - begun
    during = {
        name: observer.served(name, begun, begun + seconds) / seconds
        for name in observer.applications
    }
    lacks = _healed(system)
    time.sleep(5.0)
    return Report(
        sent={topic.name: topic.sent for topic in topics},
        unreadable={topic.name: topic.unreadable for topic in topics},
        counted=counted(system),
        rate_before=before,
        rate_during=during,
        rate_after=observer.rates(5.0),
        memory_start=start,
        memory_warm=warm,
        memory_end=resident(system),
        died=[name for name, count in starts.items() if supervisor.starts(name) != count],
        lacks=lacks,
        seconds=seconds,
    )


def _healed(system: System) -> list[str]:
    """Ask again for what was asked before, and wait; return what the service still lacks."""
    deadline = time.monotonic() + HEALING
    lacks = ['nothing was seen yet']
    while lacks and time.monotonic() < deadline:
        system.set_targets()
        lacks = system.wait(1.0)
    return lacks


def problems_of(report: Report) -> list[str]:
    """Return what should not have come of a run."""
    problems = [f'{name} died' for name in report.died]
    problems += report.lacks
    for name, size in report.memory_end.items():
        grown = size - report.memory_warm.get(name, size)
        if grown > LARGEST_GROWTH:
            problems.append(f'{name} grew by {grown / MEGABYTE:.1f} MB')
    for name, rate in report.rate_before.items():
        if report.rate_after[name] < 0.7 * rate:
            problems.append(f'{name} served {report.rate_after[name]:.1f} of {rate:.1f} Hz after')
    return problems


def table(report: Report) -> str:
    """Return a report as a table of Markdown."""
    lines = ['| topic | sent | of these no message at all |', '| --- | --- | --- |']
    for name, sent in report.sent.items():
        lines.append(f'| `{name}` | {sent} | {report.unreadable[name]} |')
    lines += ['', '| node | messages that came | left out, and why |', '| --- | --- | --- |']
    for name, values in report.counted.items():
        if not name.endswith(': messages'):
            continue
        came = sum(int(v) for key, v in values.items() if key.endswith(': received'))
        out = Counter({k: int(v) for k, v in values.items() if not k.endswith(': received')})
        reasons = '; '.join(f'{reason} {count}' for reason, count in out.most_common(8))
        lines.append(f'| {name.removesuffix(": messages")} | {came} | {out.total()}: {reasons} |')
    lines += [
        '',
        '| node | memory before | after half | at the end |',
        '| --- | --- | --- | --- |',
    ]
    for name in report.memory_end:
        taken = (report.memory_start, report.memory_warm, report.memory_end)
        sizes = ' | '.join(f'{each.get(name, 0) / MEGABYTE:.1f} MB' for each in taken)
        lines.append(f'| {name} | {sizes} |')
    lines += [
        '',
        '| application | results before | meanwhile | after |',
        '| --- | --- | --- | --- |',
    ]
    for name, rate in report.rate_before.items():
        during, after = report.rate_during[name], report.rate_after[name]
        lines.append(f'| {name} | {rate:.1f} Hz | {during:.1f} Hz | {after:.1f} Hz |')
    return '\n'.join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--messages', type=int, default=100_000, help='default 100000')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--as-shipped', action='store_true', help='let middleware and malloc keep what is free'
    )
    parser.add_argument('--output', type=Path, default=RESULTS / 'fuzz.json')
    parser.add_argument('--quiet', action='store_true', help='show no progress bar')
    given = parser.parse_args(arguments)
    isolate()
    end_in_order()
    with tempfile.TemporaryDirectory(prefix='dynamic_dnn_fuzz_') as name:
        folder = Path(name)
        plan = Plan(
            applications=('front',),
            rate=20.0,
            platform=SIMULATED,
            limits=ASKED,
            environment={} if given.as_shipped else returning(folder),
        )
        try:
            with keep_logs(folder / 'logs', 'fuzz'), deployed(plan, folder) as system:
                report = fuzz(system, given.messages, given.seed, given.quiet)
        except KeyboardInterrupt:
            return 130
    report.problems = problems_of(report)
    write_result(
        given.output,
        'fuzz',
        vars(report),
        messages=given.messages,
        seed=given.seed,
        as_shipped=given.as_shipped,
    )
    print(table(report))
    if report.problems:
        print(f'failed: {"; ".join(report.problems)}', file=sys.stderr)
    return 1 if report.problems else 0


if __name__ == '__main__':
    sys.exit(main())
