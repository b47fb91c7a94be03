# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Items are done one after the other, all of them, and in order."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from dynamic_dnn_ros.serving.follow_up import FollowUp


def test_everything_is_done_in_order_before_the_end() -> None:
    done: list[int] = []

    def work(item: int) -> None:
        time.sleep(0.001)
        done.append(item)

    follow_up = FollowUp(work, 'test')
    for item in range(50):
        follow_up.put(item)
    assert follow_up.stop(10.0)
    assert done == list(range(50))
    follow_up.put(50)
    assert done == list(range(50)), 'what comes after the end is dropped, and blocks nobody'


def test_who_brings_a_third_item_waits() -> None:
    gate = threading.Event()
    follow_up: FollowUp[int] = FollowUp(lambda item: gate.wait(10.0) and None, 'test')
    follow_up.put(0)
    while not follow_up._queue.empty():
        time.sleep(0.001)
    follow_up.put(1)
    third = threading.Thread(target=follow_up.put, args=(2,))
    third.start()
    third.join(0.1)
    assert third.is_alive()
    gate.set()
    third.join(10.0)
    assert not third.is_alive()
    assert follow_up.stop(10.0)


def test_work_that_hangs_is_abandoned() -> None:
    gate = threading.Event()
    follow_up: FollowUp[int] = FollowUp(lambda item: gate.wait(10.0) and None, 'test')
    follow_up.put(0)
    begin = time.monotonic()
    assert not follow_up.stop(0.05)
    assert time.monotonic() - begin < 5.0
    gate.set()


def test_an_item_that_fails_costs_that_item(caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []

    def work(item: int) -> None:
        if item % 4 != 3:
            raise ValueError(item)
        done.append(item)

    with caplog.at_level(logging.ERROR):
        follow_up = FollowUp(work, 'test')
        for item in range(8):
            follow_up.put(item)
        assert follow_up.stop(10.0)
    assert done == [3, 7]
    assert len(caplog.records) == 2, 'once a series'
