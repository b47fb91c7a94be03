# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages are counted, those that are left out by their reason."""

from __future__ import annotations

import pytest

from dynamic_dnn_ros.nodes.common import message_counts
from dynamic_dnn_ros.nodes.common.diagnostics import Level
from dynamic_dnn_ros.nodes.common.message_counts import MOST_REASONS, OTHER, MessageCounts


def test_each_reason_is_counted_and_is_news_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = MessageCounts()
    assert counts.diagnostic().message == 'all were read'
    for _ in range(3):
        counts.receive('target')
    counts.leave_out('target', 'unreadable')
    counts.leave_out('target', 'unreadable')
    found = counts.diagnostic()
    assert found.level is Level.WARNING
    assert found.message == '2 of 3 messages were left out'
    assert found.values == {'target: received': 3, 'target: unreadable': 2}
    monkeypatch.setattr(message_counts, 'RECENT', 0.0)
    assert counts.diagnostic().level is Level.OK


def test_reasons_that_nobody_foresaw_do_not_fill_the_memory() -> None:
    counts = MessageCounts()
    for number in range(10 * MOST_REASONS):
        counts.leave_out('target', f'reason {number}')
    values = counts.diagnostic().values
    assert len(values) == MOST_REASONS + 1
    assert values[OTHER] == 9 * MOST_REASONS
