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


def read(path: str) -> str:
    """Return a file's content without surrounding space; empty where it cannot be read."""
    try:
        with open(path, encoding='ascii') as file:
            return file.read().strip()
    except OSError:
        return ''


def write(path: str, value: str) -> None:
    """Write a file that is there; what the kernel refuses is found out by reading back."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
    except OSError:
        return
    try:
        os.write(descriptor, value.encode('ascii'))
    except OSError:
        pass
    finally:
        os.close(descriptor)


def is_absent(row: dict[str, str]) -> bool:
    """Return whether a control is away, as that of a CPU that is off line."""
    return not (os.path.exists(row['minimum_file']) and os.path.exists(row['maximum_file']))


def restore(limits: list[dict[str, str]]) -> bool:
    """
    Put limits back and return whether all of them hold.

    The maximum is written before and after the minimum: one of the two orders is the one that
    the kernel accepts.
    """
    for _ in range(ATTEMPTS):
        for row in limits:
            write(row['maximum_file'], row['maximum'])
            write(row['minimum_file'], row['minimum'])
            write(row['maximum_file'], row['maximum'])
        if all(
            read(row['maximum_file']) in (row['maximum'], '')
            and read(row['minimum_file']) in (row['minimum'], '')
            for row in limits
        ):
            return True
        time.sleep(PAUSE)
    return False


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
    if restore(limits):
        # What is away is left to the next start: its limits come back with it.
        keep(state_file, boot_id, [row for row in limits if is_absent(row)])


if __name__ == '__main__':
    main()
