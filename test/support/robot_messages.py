# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a robot with two applications says, and of one that is away, for who listens to all."""

from __future__ import annotations

from typing import Any

from dynamic_dnn_ros.msg import (
    Application,
    Detection,
    Detections,
    FrequencyDomain,
    InferenceStatus,
    ManagerStatus,
    NamedValue,
    PerformanceTarget,
    Prediction,
    SubNetwork,
    SubNetworkSwitch,
    SystemLoad,
    TargetStatus,
)
from support.graph import LATCHED

FRONT, REAR, GONE = '/front/inference_node', '/rear/inference_node', '/gone/inference_node'


def messages() -> list[tuple[str, Any, Any]]:
    """Return topic, message and quality of service of each."""
    target = PerformanceTarget(
        application=FRONT, latency=0.025, accuracy=0.35, latency_quantile=0.9
    )
    return [
        *(
            (
                '/dynamic_dnn/application',
                Application(
                    id=name,
                    instance='x',
                    state=Application.STATE_ACTIVE,
                    metric='map_50_95',
                    sub_networks=[SubNetwork(id='s0', accuracy=0.31)],
                    sub_network='s0',
                ),
                LATCHED,
            )
            for name in (FRONT, REAR)
        ),
        (
            '/dynamic_dnn/system_load',
            SystemLoad(
                platform='xavier_nx_simulated',
                kind=SystemLoad.KIND_SIMULATED,
                domains=[FrequencyDomain(name='gpu', granted=5.1e8, limit_maximum=1.1e9)],
                power=[NamedValue(name='VDD_IN', value=4.25)],
            ),
            None,
        ),
        (
            '/dynamic_dnn/inference_status',
            InferenceStatus(
                application=FRONT,
                event=InferenceStatus.EVENT_SERVED,
                sub_network='s0',
                received=12,
                served=10,
                replaced=2,
                stages=[NamedValue(name=InferenceStatus.STAGE_TOTAL, value=0.0312)],
            ),
            None,
        ),
        (
            f'{FRONT}/sub_network_switch',
            SubNetworkSwitch(sub_network='s0', reason=SubNetworkSwitch.REASON_PLATFORM),
            LATCHED,
        ),
        (
            f'{FRONT}/detections',
            Detections(detections=[Detection(class_id=name) for name in 'abbccc']),
            None,
        ),
        (
            '/dynamic_dnn/manager_status',
            ManagerStatus(
                mode=ManagerStatus.MODE_CONTROL,
                holds_lease=True,
                decisions=7,
                targets=[
                    TargetStatus(
                        application=FRONT,
                        state=TargetStatus.STATE_MISSED,
                        metric='map_50_95',
                        target=target,
                        names=['latency', 'accuracy'],
                        required=[0.025, 0.35],
                        predicted=[0.02, 0.31],
                        measured=[0.031, float('nan')],
                        missed_by=[0.006, 0.04],
                        decision=Prediction(sub_network='s0'),
                        reason='more targets are met',
                        message='the camera is too slow',
                    ),
                    TargetStatus(
                        application=GONE,
                        state=TargetStatus.STATE_WAITING,
                        target=PerformanceTarget(application=GONE, rate=5.0),
                        names=['rate'],
                        required=[5.0],
                        predicted=[float('nan')],
                        measured=[float('nan')],
                        missed_by=[float('nan')],
                    ),
                ],
            ),
            None,
        ),
    ]
