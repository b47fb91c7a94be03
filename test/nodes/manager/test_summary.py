# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

from dynamic_dnn_ros.management.decisions import (
    Decision,
    DomainFrequency,
    PlatformState,
    Prediction,
    TargetReport,
    TargetState,
)
from dynamic_dnn_ros.management.targets import Target
from dynamic_dnn_ros.nodes.manager.summary import summary

FRONT, REAR = '/front/inference_node', '/rear/inference_node'


def decision(*reports: TargetReport, **fields: object) -> Decision:
    values: dict[str, object] = {
        'time': 0.0,
        'switches': (),
        'domains': (DomainFrequency('gpu', 510e6, 510e6),),
        'setting': None,
        'reports': reports,
        'platform_state': PlatformState.FRESH,
        'power': 5.31,
    }
    return Decision(**{**values, **fields})  # type: ignore[arg-type]


MET = TargetReport(
    FRONT,
    TargetState.MET,
    Target(FRONT, latency=0.025, sender='docking'),
    ('latency',),
    (0.025,),
    (0.02,),
    (0.0239,),
    (0.0,),
    decision=Prediction('s3', 'gpu', (('gpu', 510e6),)),
)


def test_a_line_of_the_board_and_one_an_application() -> None:
    gone = TargetReport(
        REAR,
        TargetState.WAITING,
        Target(REAR, accuracy=0.9),
        ('accuracy',),
        (0.9,),
        message=f'{REAR} is not there; its target is kept until it appears.',
    )
    text = summary(decision(MET, gone), False, 'xavier_nx_simulated', {FRONT: 's3 on gpu'})
    assert text.split('\n') == [
        'control, xavier_nx_simulated, gpu 510 MHz, 5.31 W expected',
        f'{FRONT}: met, latency 23.9 ms (≤ 25 ms) (of docking); serves s3 on gpu',
        f'{REAR}: waiting, accuracy ≥ 90.0%. {REAR} is not there; its target is kept until it '
        'appears.',
    ]


def test_advice_is_told_apart_from_what_is_served() -> None:
    text = summary(decision(MET), True, 'xavier_nx_simulated', {FRONT: 's11 on gpu'})
    first, second = text.split('\n')
    assert first.startswith(
        'advise: nothing is switched or set, xavier_nx_simulated, would set gpu'
    )
    assert second.endswith('serves s11 on gpu, would serve s3 on gpu, gpu 510 MHz')


def test_nobody_and_no_platform() -> None:
    nothing = decision(domains=(), platform_state=PlatformState.NONE, power=float('nan'))
    assert summary(nothing, False, '', {}).split('\n') == [
        'control, no platform node: clocks are left alone',
        'no application is there, and no target is kept',
    ]
    silent = decision(platform_state=PlatformState.STALE, message='Check the platform node.')
    text = summary(silent, False, 'board', {})
    assert text.startswith('control, board is silent: clocks are left alone') and text.endswith(
        'Check the platform node.'
    )


def test_shares_of_pictures_are_said_where_there_are_stages() -> None:
    staged = replace(MET, stages=('first', 'last'), stage_shares=(0.62, 0.38))
    line = summary(decision(staged), False, 'board', {FRONT: 's3 on gpu'}).split('\n')[1]
    assert line.endswith('serves s3 on gpu; 62% leave at first, 38% at last')
