# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages that nobody should send are the same for the same seed, and can be sent."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

from rclpy.serialization import deserialize_message, serialize_message

from dynamic_dnn_ros.msg import PerformanceTarget, SubNetworkSwitch, SystemLoad
from dynamic_dnn_ros.nodes.common.door import UnreadableError, decoded

Program = Callable[[str], ModuleType]


def test_a_seed_makes_the_same_messages_again(program: Program) -> None:
    maker = program('messages').MessageMaker

    def made(seed: int) -> list[str]:
        one = maker(seed, ['/front/inference_node'])
        # Not their bytes: what lies between two fields is anything.
        return [repr(one.message(SystemLoad)) for _ in range(10)]

    assert made(1) == made(1) != made(2)


def test_fields_come_at_their_limits_and_as_text_that_means_something(program: Program) -> None:
    maker = program('messages').MessageMaker(0, ['/front/inference_node'])
    targets = [maker.message(PerformanceTarget) for _ in range(200)]
    assert {float('inf'), -1.0, 0.0} <= {target.latency for target in targets}
    assert any(target.latency != target.latency for target in targets)  # NaN
    assert any(target.application == '/front/inference_node' for target in targets)
    assert max(len(target.sender) for target in targets) > 1000


def test_a_real_message_is_changed_in_a_copy(program: Program) -> None:
    maker = program('messages').MessageMaker(0, ['s0'])
    like = SubNetworkSwitch(application='/front/inference_node', sub_network='s3', sequence=7)
    before = serialize_message(like)
    changed = [maker.message(SubNetworkSwitch, like) for _ in range(50)]
    assert serialize_message(like) == before
    assert any(one.application == like.application and one != like for one in changed)


def test_most_bytes_are_no_message(program: Program) -> None:
    maker = program('messages').MessageMaker(0, ['s0'])
    like = PerformanceTarget(application='/front/inference_node', sender='somebody')
    unreadable = 0
    for _ in range(200):
        data = maker.bytes(PerformanceTarget, like)
        try:
            decoded(data, PerformanceTarget)
        except UnreadableError:
            unreadable += 1
        else:
            deserialize_message(data, PerformanceTarget)
    assert unreadable > 60
