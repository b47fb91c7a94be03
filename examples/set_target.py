#!/usr/bin/env python3
# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Ask for fast answers while the robot docks, and for accurate ones afterwards.

Run it beside a running system:

    ros2 launch dynamic_dnn_ros dynamic_dnn.launch.py image:=/camera/image_raw
    python3 set_target.py /inference_node
"""

from __future__ import annotations

import sys

from dynamic_dnn_ros.client import (
    ClientError,
    Expectation,
    NotMetError,
    Objective,
    TargetClient,
)


def dock(client: TargetClient, application: str) -> None:
    """Serve within 50 ms as accurately as that allows, for as long as the robot docks."""
    answer = client.ask_target(application, latency=0.05, objective=Objective.MAXIMUM_ACCURACY)
    print(f'before: {answer.message}')
    if answer.expected is Expectation.MISSED:
        print('the robot docks more slowly')
    client.set_target(application, latency=0.05, objective=Objective.MAXIMUM_ACCURACY)
    try:
        report = client.wait_until_met(application, timeout=10.0)
    except NotMetError as error:
        print(f'docking all the same: {error}')
    else:
        print(f'docking with {report.decision.sub_network} on {report.decision.processor}')


def main() -> int:
    """Dock, and let the application go back to its default."""
    if len(sys.argv) != 2:
        print(f'usage: {sys.argv[0]} APPLICATION', file=sys.stderr)
        return 2
    application = sys.argv[1]
    try:
        with TargetClient(sender='docking') as client:
            dock(client, application)
            print(client.clear_target(application).message or 'the target is withdrawn')
    except ClientError as error:
        print(f'{sys.argv[0]}: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
