# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the manager node, and the settings of a `Manager` that they come to."""

from __future__ import annotations

from collections.abc import Mapping
import math
from typing import Any

from dynamic_dnn_ros.management.assessment import ResourceSettings
from dynamic_dnn_ros.management.decisions import Mode
from dynamic_dnn_ros.management.manager import ManagerSettings
from dynamic_dnn_ros.management.registry import DECIDERS, MANAGER
from dynamic_dnn_ros.management.targets import Objective
from dynamic_dnn_ros.nodes.common.parameters import ParameterSpecification

MODES = {'control': Mode.CONTROL, 'advise': Mode.ADVISE}
_FLOORS = ('cpu', 'gpu', 'memory')

PARAMETERS = (
    ParameterSpecification(
        'mode',
        'control',
        "'control' switches sub-networks and sets clocks; 'advise' only says what it would do.",
        choices=tuple(MODES),
        live=True,
    ),
    ParameterSpecification(
        'decider',
        MANAGER,
        "What decides: this package's manager, or for comparisons one that it is judged against "
        f'({", ".join(name for name in DECIDERS if name != MANAGER)}), or one that another '
        'package brings. Of the parameters below, the others heed only the periods and the lease.',
    ),
    ParameterSpecification(
        'decider_file',
        '',
        'File of a decider that was trained, as `dynamic-dnn train-decider` writes it; empty: '
        'none. Decider ztt alone reads it.',
    ),
    ParameterSpecification(
        'resource_period',
        0.5,
        'Time between two regular decisions.',
        's',
        minimum=0.05,
        maximum=10.0,
    ),
    ParameterSpecification(
        'utilisation_limit',
        0.8,
        'Share of a frequency domain that all load together may take where some of it is '
        'not ours.',
        minimum=0.1,
        maximum=1.0,
    ),
    ParameterSpecification(
        'dwell',
        2.0,
        'Shortest time between two changes that no target asks for.',
        's',
        minimum=0.0,
        maximum=60.0,
    ),
    ParameterSpecification(
        'application_dwell',
        1.0,
        'Shortest time between two moves of an application that answer to single frames.',
        's',
        minimum=0.0,
        maximum=60.0,
    ),
    ParameterSpecification(
        'margin',
        0.03,
        'Share of a limit that a new choice leaves free.',
        minimum=0.0,
        maximum=0.5,
    ),
    ParameterSpecification(
        'gain',
        0.01,
        "Share of the board's power that a change must save to be worth its cost.",
        minimum=0.0,
        maximum=0.5,
    ),
    ParameterSpecification(
        'adoption',
        3.0,
        'How long a manager that has just started learns before it moves an application '
        'that another one had set; up to three times as long where its camera is slow.',
        's',
        minimum=0.0,
        maximum=60.0,
        live=True,
    ),
    ParameterSpecification(
        'default_objective',
        'maximum_accuracy',
        'What is improved for an application that was asked for nothing, as long as it '
        'keeps up with its camera.',
        choices=tuple(objective.name.lower() for objective in Objective),
        live=True,
    ),
    ParameterSpecification(
        'lease',
        10.0,
        'How long a setting of the frequencies holds without renewal; it is renewed at a '
        'third of it.',
        's',
        minimum=0.3,
        maximum=60.0,
    ),
    ParameterSpecification(
        'learn',
        True,
        'Whether latency and power of applications without a profile are learnt while they serve, '
        'with settings of the clocks that are tried as long as all targets are kept.',
    ),
    ParameterSpecification(
        'learnt_folder',
        '',
        'Folder for what was learnt, so that the next start goes on with it; empty: '
        "$XDG_STATE_HOME/dynamic_dnn_ros, or ~/.local/state/dynamic_dnn_ros; 'none': nowhere.",
    ),
    ParameterSpecification(
        'power_cap',
        0.0,
        'Power of the whole board that no plan may exceed, whatever targets ask for; 0: none.',
        'W',
        minimum=0.0,
        live=True,
    ),
    ParameterSpecification(
        'temperature_limit',
        0.0,
        'Temperature of the hottest sensor, degrees Celsius, near which plans are given less '
        'power; 0: none, the board throttles by itself.',
        minimum=0.0,
        maximum=150.0,
        live=True,
    ),
    *(
        ParameterSpecification(
            f'floor_{domain}',
            0.0,
            f'Lowest frequency of domain {domain} that may be set; 0: that of the board.',
            'Hz',
            minimum=0.0,
            live=True,
        )
        for domain in _FLOORS
    ),
)


def manager_settings(parameters: Mapping[str, Any]) -> ManagerSettings:
    """Return what the values of all parameters ask of a manager."""
    floors = {domain: parameters[f'floor_{domain}'] for domain in _FLOORS}
    return ManagerSettings(
        mode=MODES[parameters['mode']],
        resource=ResourceSettings(
            utilisation_limit=parameters['utilisation_limit'],
            dwell=parameters['dwell'],
            margin=parameters['margin'],
            gain=parameters['gain'],
        ),
        adoption=parameters['adoption'],
        application_dwell=parameters['application_dwell'],
        default_objective=Objective[parameters['default_objective'].upper()],
        floors={domain: floor for domain, floor in floors.items() if floor > 0},
        power_cap=parameters['power_cap'] or math.inf,
        # Recordings of releases before this parameter have none, and learnt nothing.
        learns=parameters.get('learn', False),
        temperature_limit=parameters['temperature_limit'] or math.inf,
        decider_file=parameters.get('decider_file', ''),
    )
