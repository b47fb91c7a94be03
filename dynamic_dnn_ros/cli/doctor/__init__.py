# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The command ``dynamic-dnn doctor``: what this computer is, and lacks for images and clocks."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
import json

from dynamic_dnn_ros.cli.doctor.checks import System, examine
from dynamic_dnn_ros.cli.doctor.finding import Finding, Level
from dynamic_dnn_ros.files import share_folder

ERRORS = ()  # It finds problems, and has none.


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        '--local',
        action='store_true',
        help='all cameras are on this computer: leave the settings of the network out',
    )
    parser.add_argument(
        '--transport',
        action='store_true',
        help='also send images of 1920x1080 from one process to another for a second, and count '
        'those that are lost',
    )
    parser.add_argument('--json', action='store_true', help='print the findings as JSON')


def run(arguments: argparse.Namespace) -> int:
    """Print what was found; return 1 where something costs images, else 0."""
    findings = examine(System(share=share_folder()), network=not arguments.local)
    if arguments.transport:
        # rclpy comes with it, which the other checks do without.
        from dynamic_dnn_ros.cli.doctor.transport import check_transport

        findings.append(check_transport())
    print(as_json(findings) if arguments.json else as_text(findings))
    return 1 if any(finding.level is Level.PROBLEM for finding in findings) else 0


def as_json(findings: Sequence[Finding]) -> str:
    """Return the findings as a JSON list."""
    rows = [{**asdict(finding), 'level': finding.level.value} for finding in findings]
    return json.dumps(rows, indent=1)


def as_text(findings: Sequence[Finding]) -> str:
    """Return the findings as lines, each with its remedy below."""
    lines = []
    for finding in findings:
        lines.append(f'{finding.level.value:<8} {finding.name}: {finding.found}')
        if finding.remedy:
            lines.append(f'{"":<8}   mend: {finding.remedy}')
    problems = sum(finding.level is Level.PROBLEM for finding in findings)
    lines += ['', 'no problem' if not problems else f'problems: {problems}']
    return '\n'.join(lines)
