# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whatever happens, and whatever a scheduler decides: no frame is lost, none served twice."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, given, settings

from support.random_schedules import SCHEDULES, Schedule, play

#: `RANDOM_SCHEDULES=10000 pytest test/serving/test_random_schedules.py` tries that many.
EXAMPLES = int(os.environ.get('RANDOM_SCHEDULES', '200'))


@settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
@given(SCHEDULES)
def test_every_frame_is_told_once_in_order_and_as_if_undisturbed(schedule: Schedule) -> None:
    play(schedule)
