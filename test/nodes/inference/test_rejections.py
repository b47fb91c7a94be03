# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A series of rejected frames is said twice, however long it is."""

from __future__ import annotations

import pytest

from dynamic_dnn_ros.nodes.inference.rejections import QUIET, Rejections


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def rejections(said: list[str]) -> Rejections:
    return Rejections(
        lambda reason: said.append(f'begins: {reason}'),
        lambda count, reason: said.append(f'{count} until: {reason}'),
    )


def test_a_thousand_frames_are_said_twice(rejections: Rejections, said: list[str]) -> None:
    for index in range(1000):
        rejections.add(f'reason {index}', index / 30)
        rejections.tick(index / 30 + QUIET / 2)
    assert said == ['begins: reason 0']
    assert rejections.present == (1000, 'reason 999')
    rejections.tick(999 / 30 + QUIET)
    rejections.tick(1000.0)
    assert said == ['begins: reason 0', '1000 until: reason 999']
    assert rejections.present == (0, '')


def test_a_later_series_is_another_one(rejections: Rejections, said: list[str]) -> None:
    rejections.end()
    rejections.add('dark', 0.0)
    rejections.end()
    rejections.add('bright', 100.0)
    assert said == ['begins: dark', '1 until: dark', 'begins: bright']
