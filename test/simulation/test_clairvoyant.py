# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What foreknowledge of each frame is worth at most."""

from __future__ import annotations

from typing import Any

import pytest

from dynamic_dnn_ros.simulation.clairvoyant import least_energy
from dynamic_dnn_ros.simulation.figures import energy
from dynamic_dnn_ros.simulation.runner import Job, boards_of, run
from dynamic_dnn_ros.simulation.scenario import ScenarioError
from support.scenarios import REAR, application, job, mapping


def limit(data: dict[str, Any]) -> tuple[float, Job]:
    """Return the least energy of a scenario, by the arrivals of a run at the highest clocks."""
    made = job(data, 'oracle')
    return least_energy(made.scenario, boards_of(made.scenario), made.workloads, run(made)), made


@pytest.mark.parametrize('latency', [0.2, 0.09, 0.075])
def test_no_manager_needs_less(latency: float) -> None:
    targets = [{'at': 0.0, 'latency': latency, 'accuracy': 0.75, 'rate': 10.0}]
    least, made = limit(mapping(application(rate=10.0, targets=targets)))
    assert 0.5 * energy(run(made), 'VDD_IN') < least < energy(run(made), 'VDD_IN')


def test_the_less_is_asked_for_the_less_it_takes() -> None:
    least = []
    for accuracy in (0.75, 0.7):
        targets = [{'at': 0.0, 'latency': 0.09, 'accuracy': accuracy, 'rate': 10.0}]
        least.append(limit(mapping(application(rate=10.0, targets=targets)))[0])
    assert least[1] < least[0]


def test_only_one_application_alone_has_a_limit() -> None:
    with pytest.raises(ScenarioError, match='several'):
        limit(mapping(application(), application(REAR)))
