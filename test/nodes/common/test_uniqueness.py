# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dynamic_dnn_ros.nodes.common.uniqueness import Identity


def test_the_later_one_gives_way() -> None:
    first, second = Identity('b', 1), Identity('a', 2)
    assert second.gives_way_to(first)
    assert not first.gives_way_to(second)


def test_exactly_one_of_two_that_started_together_gives_way() -> None:
    one, other = Identity('a', 5), Identity('b', 5)
    assert one.gives_way_to(other) != other.gives_way_to(one)


def test_nobody_gives_way_to_itself() -> None:
    identity = Identity()
    assert not identity.gives_way_to(identity)


def test_nobody_gives_way_to_a_message_without_a_sender() -> None:
    assert not Identity('a', 5).gives_way_to(Identity('', 0))


def test_each_instance_is_another_one() -> None:
    assert Identity().instance != Identity().instance
