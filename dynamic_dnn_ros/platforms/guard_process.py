# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The process that restores frequency limits when the platform node is gone, however it ended.

Run as a script by an isolated interpreter, `python -I -S`, so it needs little memory and starts
in milliseconds: it imports nothing but the standard library. Each line on standard input is a
JSON object with what to restore from now on (`limits`, empty: nothing), answered by a line once
it also lies in the state file. The end of the input means that the node is gone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

ATTEMPTS = 8
PAUSE = 0.05
PROCESSORS = 'affected_cpus'
"""The file beside the limits of a cpufreq policy that lists its CPUs that are on line."""


def read(path: str) -> str:
    """Return a file's content without surrounding space; empty where it cannot be read."""
    try:
        with open(path, encoding='ascii') as file:
            return file.read().strip()
    except OSError:
        return ''


def write(path: str, value: str) -> bool:
    """Write a file that is there, and return whether the kernel took it."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
    except OSError:
        return False
    try:
        os.write(descriptor, value.encode('ascii'))
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def is_absent(row: dict[str, str]) -> bool:
    """Return whether a control is away: no files, none that can be read, or its CPUs off line."""
    processors = os.path.join(os.path.dirname(row['minimum_file']), PROCESSORS)
    off_line = os.path.exists(processors) and not read(processors)
    return off_line or not (read(row['minimum_file']) and read(row['maximum_file']))


def put_back(row: dict[str, str]) -> bool:
    """
    Write the limits of one control, and return whether the kernel took them.

    The maximum is written before and after the minimum: one of the two orders is the one that
    the kernel accepts.
    """
    write(row['maximum_file'], row['maximum'])
    low = write(row['minimum_file'], row['minimum'])
    return write(row['maximum_file'], row['maximum']) and low


def holds(row: dict[str, str]) -> bool:
    """Return whether the limits of one control are back."""
    return (read(row['minimum_file']), read(row['maximum_file'])) == (
        row['minimum'],
        row['maximum'],
    )


def is_held_down(row: dict[str, str]) -> bool:
    """Return whether limits are below what was written, as for the temperature: that passes."""
    try:
        low, high = float(read(row['minimum_file'])), float(read(row['maximum_file']))
    except ValueError:
        return False
    return low <= float(row['minimum']) and high < float(row['maximum'])


def restore(limits: list[dict[str, str]]) -> list[dict[str, str]]:
    """Put limits back, and return those that are not: what is away, or was refused."""
    taken: list[bool] = []
    for _ in range(ATTEMPTS):
        taken = [put_back(row) for row in limits]
        if all(holds(row) or is_absent(row) for row in limits):
            break
        time.sleep(PAUSE)
    return [
        row
        for row, took in zip(limits, taken)
        if is_absent(row) or not (holds(row) or (took and is_held_down(row)))
    ]


def keep(state_file: str, boot_id: str, limits: list[dict[str, str]]) -> None:
    """Write the state file, whole or not at all; remove it where nothing is to be restored."""
    try:
        if not limits:
            os.unlink(state_file)
            return
        temporary = state_file + '.new'
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        descriptor = os.open(temporary, flags, 0o600)
        with os.fdopen(descriptor, 'w', encoding='ascii') as file:
            json.dump({'boot_id': boot_id, 'limits': limits}, file)
        os.replace(temporary, state_file)
    except OSError:
        pass  # the state file is the second safety; the pipe is the first


def main() -> None:
    """Serve until the node is gone, then restore."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # whoever ends the node gets the restoration too
    state_file, boot_id = sys.argv[1:3]
    limits: list[dict[str, str]] = []
    for line in sys.stdin.buffer:
        try:
            limits = json.loads(line)['limits']
        except (ValueError, KeyError):
            break  # cut off in the middle of a line
        keep(state_file, boot_id, limits)
        try:
            os.write(1, b'kept\n')
        except OSError:
            break
    # What is away is left to the next start: its limits come back with it.
    keep(state_file, boot_id, restore(limits))


if __name__ == '__main__':
    main()
