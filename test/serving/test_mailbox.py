# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
import time

from dynamic_dnn_ros.serving.mailbox import Mailbox


def test_newest_item_replaces_and_every_item_is_counted() -> None:
    mailbox: Mailbox[int] = Mailbox()
    for item in range(5):
        mailbox.put(item)
    assert mailbox.take() == 4
    mailbox.put(5)
    assert mailbox.take() == 5
    assert (mailbox.received, mailbox.replaced) == (6, 4)


def test_takes_nothing_else_than_what_is_expected() -> None:
    mailbox: Mailbox[str] = Mailbox()
    assert mailbox.take() is None and mailbox.newest is None
    mailbox.put('old')
    mailbox.put('new')
    assert mailbox.take('old') is None
    assert mailbox.newest == 'new'
    assert mailbox.take('new') == 'new'
    assert (mailbox.received, mailbox.replaced) == (2, 1)


def test_close_ends_the_wait() -> None:
    mailbox: Mailbox[int] = Mailbox()
    mailbox.put(1)
    assert mailbox.wait() == 1
    taken: list[int | None] = []
    waiting = threading.Thread(target=lambda: taken.append(mailbox.wait()))
    waiting.start()
    mailbox.close()
    waiting.join(10.0)
    assert taken == [None]


def test_what_nobody_takes_any_more_is_counted() -> None:
    mailbox: Mailbox[int] = Mailbox()
    mailbox.put(0)
    mailbox.close()
    assert (mailbox.received, mailbox.replaced) == (1, 1)
    mailbox.put(1)
    assert mailbox.take() is None
    assert (mailbox.received, mailbox.replaced) == (2, 2)


def test_nothing_is_lost_between_threads() -> None:
    mailbox: Mailbox[int] = Mailbox()
    taken = []

    def work() -> None:
        while (item := mailbox.wait()) is not None:
            taken.append(item)

    worker = threading.Thread(target=work)
    worker.start()
    for item in range(20_000):
        mailbox.put(item)
    deadline = time.monotonic() + 30.0
    while len(taken) + mailbox.replaced < 20_000:
        assert time.monotonic() < deadline
    mailbox.close()
    worker.join(10.0)
    assert taken == sorted(taken)
    assert len(taken) + mailbox.replaced == mailbox.received == 20_000
