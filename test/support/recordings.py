# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A short recording that is made up: one application, a target that is met, then one missed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rclpy.serialization import serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.serde import SerdeError

from dynamic_dnn_ros.cli.bag_reading import message_store
from dynamic_dnn_ros.msg import (
    FrequencyDomain,
    InferenceStatus,
    ManagerStatus,
    NamedValue,
    PerformanceTarget,
    SubNetworkSwitch,
    SystemLoad,
    TargetStatus,
)
from support.bag_player import PACKAGE
from support.presentation import presentation

APPLICATION = '/front/inference_node'
BEGIN = 1_700_000_000.0
"""When it was recorded, s since 1970."""

SECONDS = 20
RATE = 10
Row = tuple[float, str, Any]


def write_recording(
    path: Path, rows: Sequence[Row], storage: StoragePlugin = StoragePlugin.MCAP
) -> Path:
    """Write messages, each with its time and the name of its type, as a bag."""
    store = message_store()
    with Writer(path, version=9, storage_plugin=storage) as writer:
        connections = {}
        for time, name, message in rows:
            if name not in connections:
                kind = f'{PACKAGE}/msg/{name}'
                connections[name] = writer.add_connection(f'/robot/{name}', kind, typestore=store)
            data = _as_over_the_network(serialize_message(message), f'{PACKAGE}/msg/{name}', store)
            writer.write(connections[name], round(time * 1e9), data)
    return path


def _as_over_the_network(data: bytes, kind: str, store: Any) -> bytes:
    """Return a message without the padding that rclpy may leave behind its end."""
    for padding in range(9):
        with suppress(SerdeError):
            store.deserialize_cdr(data[: len(data) - padding], kind)
            return data[: len(data) - padding]
    raise AssertionError(f'a {kind} is not what its definition says')


def latency_of(frame: int) -> float:
    """Return the latency of a frame, s: 30 to 39 ms, one in ten 60 ms."""
    return 0.060 if frame % 10 == 9 else 0.030 + 0.001 * (frame % 10)


def rows_of_a_run(application: str = APPLICATION, counted_before: int = 0) -> list[Row]:
    """
    Return what is recorded of 20 s at 10 frames a second, in the order of time.

    The target is 70 ms for the first half, which is met, then 50 ms, which is missed.

    :param counted_before: frames that the node had served before
    """
    rows = [*_application(application), *_frames(application, counted_before)]
    rows += [*_manager(application), *_board()]
    return sorted(rows, key=lambda row: row[0])


def _application(application: str) -> Iterator[Row]:
    message = presentation(3)
    message.id, message.bundle, message.metric = application, 'made_up', 'top1'
    for one, accuracy in zip(message.sub_networks, (0.7, 0.8, 0.9)):
        one.accuracy = accuracy
    yield BEGIN, 'Application', message


def _frames(application: str, counted_before: int) -> Iterator[Row]:
    for frame in range(SECONDS * RATE):
        latency = latency_of(frame)
        yield (
            BEGIN + 0.01 + frame / RATE + latency,
            'InferenceStatus',
            InferenceStatus(
                application=application,
                instance='one',
                event=InferenceStatus.EVENT_SERVED,
                sub_network='s2' if frame < SECONDS * RATE / 2 else 's1',
                stages=[
                    NamedValue(name='waiting', value=0.002),
                    NamedValue(name='inference', value=latency - 0.004),
                    NamedValue(name='total', value=latency),
                ],
                received=counted_before + frame + 1 + frame // 50,
                served=counted_before + frame + 1,
                replaced=frame // 50,
                overrun=frame % 50 == 49,
            ),
        )


def _manager(application: str) -> Iterator[Row]:
    for half, (limit, state, name) in enumerate(
        ((0.07, TargetStatus.STATE_MET, 's2'), (0.05, TargetStatus.STATE_MISSED, 's1'))
    ):
        start = BEGIN + half * SECONDS / 2
        target = PerformanceTarget(application=application, latency=limit, sender='a test')
        yield (
            start + 0.002,
            'SubNetworkSwitch',
            SubNetworkSwitch(
                application=application,
                manager='m',
                sub_network=name,
                reason=SubNetworkSwitch.REASON_TARGET,
            ),
        )
        for second in range(SECONDS // 2):
            row = TargetStatus(application=application, state=state, target=target)
            row.reason = 'more targets are met'
            row.names, row.missed_by = ['latency'], [0.01 * half]
            yield (
                start + second + 0.001,
                'ManagerStatus',
                ManagerStatus(instance='m', mode=ManagerStatus.MODE_CONTROL, targets=[row]),
            )


def _board() -> Iterator[Row]:
    for sample in range(SECONDS * 10 + 1):
        load = SystemLoad(platform='orin_nx', period=0.1, kind=SystemLoad.KIND_MEASURED)
        load.monotonic_time, load.boot_id = 50.0 + sample / 10, 'boot'
        load.power = [NamedValue(name='VDD_IN', value=5.0), NamedValue(name='CPU', value=1.0)]
        load.total_power_rail = 'VDD_IN'
        load.temperatures = [NamedValue(name='cpu', value=40.0 + sample / 100)]
        load.domains = [FrequencyDomain(name='gpu', granted=5e8 + 1e8 * (sample // 100))]
        yield BEGIN + sample / 10, 'SystemLoad', load
