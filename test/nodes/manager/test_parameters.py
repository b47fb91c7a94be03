# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the parameters of the manager node ask of a manager."""

from __future__ import annotations

import math

from dynamic_dnn_ros.management.decisions import Mode
from dynamic_dnn_ros.management.manager import ManagerSettings
from dynamic_dnn_ros.management.targets import Objective
from dynamic_dnn_ros.nodes.manager.parameters import PARAMETERS, manager_settings

DEFAULTS = {row.name: row.default for row in PARAMETERS}


def test_defaults_are_those_of_the_manager() -> None:
    assert manager_settings(DEFAULTS) == ManagerSettings()


def test_zero_means_no_limit() -> None:
    given = {**DEFAULTS, 'power_cap': 12.0, 'floor_gpu': 3e8, 'mode': 'advise'}
    given['default_objective'] = 'minimum_energy'
    settings = manager_settings(given)
    assert (settings.power_cap, settings.temperature_limit) == (12.0, math.inf)
    assert settings.floors == {'gpu': 3e8}
    assert settings.mode is Mode.ADVISE
    assert settings.default_objective is Objective.MINIMUM_ENERGY
