#!/usr/bin/env python3
# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
One system in a network of its own, which is hurt as it is told: a part of `chaos.py`.

It reads names of faults, one a line, and answers each with a line of JSON: what the fault cost.
It ends its system, and checks that nothing is left of it, when no more names come.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
import json
from pathlib import Path
import sys
import tempfile
import time

from deployment import System, deployed
from endings import end_in_order, keep_logs
from faults import SETTINGS, Setting, all_faults
from isolation import isolate
from watch import hurt

BASELINE = 5.0
"""Seconds over which the rate before the faults is taken."""

CALM_WITHIN = 30.0
"""Seconds that a busy computer is given to serve nearly every frame before that."""

WHOLE = 0.9
"""Share of the camera's rate that counts as nearly every frame."""


@contextmanager
def system_of(setting: Setting, logs: str) -> Iterator[System]:
    """
    Give a system of a setting that serves; its rate of the moment is what is expected.

    :param logs: under which name its logs are kept
    :raises RuntimeError: when it has ended, and something is left of it
    """
    with tempfile.TemporaryDirectory(prefix='dynamic_dnn_chaos_') as name:
        folder = Path(name)
        with keep_logs(folder / 'logs', logs), deployed(setting.plan(folder), folder) as system:
            system.observer.expect(_rates(system))
            yield system
        if system.clocks.changed or system.supervisor.here():
            raise RuntimeError(
                'the system has ended, and its clocks are changed, or a process is left'
            )


def _rates(system: System) -> dict[str, float]:
    """Return the rates that count as service: of calm seconds, where there are some soon."""
    deadline = time.monotonic() + CALM_WITHIN
    while True:
        time.sleep(BASELINE)
        rates = system.observer.rates(BASELINE)
        if min(rates.values()) >= WHOLE * system.plan.rate or time.monotonic() > deadline:
            return rates


def main() -> int:
    """Run what the program `chaos.py` asks for: a setting and a name for the logs."""
    setting, logs = sys.argv[1:]
    isolate()
    end_in_order()
    faults = {fault.name: fault for fault in all_faults()}
    try:
        with system_of(SETTINGS[setting], logs) as system:
            for line in sys.stdin:
                print(json.dumps(asdict(hurt(system, faults[line.strip()]))), flush=True)
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
