# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The process that restores frequency limits when the platform node is gone, however it ended.

Run as a script by an isolated interpreter, `python -I -S`, so it needs little memory and starts
in milliseconds: it imports nothing but the standard library. Each line on standard input is a
JSON object with what to restore from now on (`limits`, empty: nothing) and when the lease ends
(`expiry`, seconds of CLOCK_MONOTONIC, null: there is none), answered by a line that tells whether
the limits also lie in the state file. Limits are files of the kernel, or the id of an NVIDIA card
whose clock is to be unlocked. The end of the input means that the node is gone; a node
that has not restored them a moment after the expiry hangs, and is restored for.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time

ATTEMPTS = 8
PAUSE = 0.05
GRACE = 0.5
"""Seconds that the node is given to restore by itself when the lease has run out."""
RETRY = 1.0
"""Seconds until what a file refused is tried again while the node hangs."""
KEPT, NOT_KEPT = b'kept\n', b'not kept\n'
PROCESSORS = 'affected_cpus'
"""The file beside the limits of a cpufreq policy that lists its CPUs that are on line."""
CARD = 'nvml:'
"""What stands in place of a file before the id of an NVIDIA card."""
NVML = 'libnvidia-ml.so.1'
"""The library of the driver of NVIDIA cards."""
GONE = (1, 6, 9, 15, 28)
"""NVML's codes for a card, or a driver, that is gone: whatever comes back is not locked."""


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


def is_card(row: dict[str, str]) -> bool:
    """Return whether a control is the clock of an NVIDIA card."""
    return row['minimum_file'].startswith(CARD)


def unlock(card: str) -> bool:
    """Give the clock of an NVIDIA card back to its driver, and return whether that was taken."""
    import ctypes  # only for this: it takes memory

    try:
        library = ctypes.CDLL(NVML)
    except OSError:
        return True
    code = library.nvmlInit_v2()
    if code == 0:
        handle = ctypes.c_void_p()
        code = library.nvmlDeviceGetHandleByUUID(card.encode('ascii'), ctypes.byref(handle))
        if code == 0:
            code = library.nvmlDeviceResetGpuLockedClocks(handle)
        library.nvmlShutdown()
    return code == 0 or code in GONE


def is_absent(row: dict[str, str]) -> bool:
    """Return whether a control is away: no files, none that can be read, or its CPUs off line."""
    if is_card(row):
        return False
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
    cards = [row for row in limits if is_card(row)]
    limits = [row for row in limits if not is_card(row)]
    stuck = [row for row in cards if not unlock(row['minimum_file'][len(CARD) :])]
    taken: list[bool] = []
    for _ in range(ATTEMPTS):
        taken = [put_back(row) for row in limits]
        if all(holds(row) or is_absent(row) for row in limits):
            break
        time.sleep(PAUSE)
    return stuck + [
        row
        for row, took in zip(limits, taken)
        if is_absent(row) or not (holds(row) or (took and is_held_down(row)))
    ]


def remove(path: str) -> None:
    """Remove a file, if it is there and can be."""
    try:
        os.unlink(path)
    except OSError:
        pass


def keep(state_file: str, boot_id: str, limits: list[dict[str, str]]) -> bool:
    """
    Write the state file, whole or not at all; remove it where nothing is to be restored.

    :return: whether the file says what is to be restored now
    """
    try:
        if not limits:
            try:
                os.unlink(state_file)
            except FileNotFoundError:
                pass
            return True
        temporary = state_file + '.new'
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        descriptor = os.open(temporary, flags, 0o600)
        with os.fdopen(descriptor, 'w', encoding='ascii') as file:
            json.dump({'boot_id': boot_id, 'limits': limits}, file)
        os.replace(temporary, state_file)
    except OSError:
        remove(state_file + '.new')
        return False
    return True


class Charge:
    """
    What is to be restored, and until when the node has to have been heard.

    :param state_file: the second safety, for a guard that is killed with its node
    """

    def __init__(self, state_file: str, boot_id: str) -> None:
        """Begin with nothing to restore."""
        self._state_file = state_file
        self._boot_id = boot_id
        self._limits: list[dict[str, str]] = []
        self._expiry: float | None = None

    def take(self, line: bytes) -> bytes:
        """
        Take a line of the node and return the answer to it.

        :raises ValueError: for one that was cut off
        """
        content = json.loads(line)
        try:
            limits, self._expiry = content['limits'], content['expiry']
        except (KeyError, TypeError) as error:
            raise ValueError(f'no charge: {error}') from error
        # A renewal changes the expiry alone.
        if limits == self._limits and limits:
            return KEPT
        self._limits = limits
        return KEPT if keep(self._state_file, self._boot_id, limits) else NOT_KEPT

    def patience(self, now: float) -> float | None:
        """Return for how many seconds the node may be silent; None: for ever."""
        return None if self._expiry is None else max(0.0, self._expiry + GRACE - now)

    def restore_for_node(self, now: float) -> None:
        """Restore instead of a node that hangs; what is armed stays so, for its end."""
        refused = any(not is_absent(row) for row in restore(self._limits))
        self._expiry = now + RETRY - GRACE if refused else None

    def end(self) -> None:
        """Restore: the node is gone. What is away comes back with the next start."""
        keep(self._state_file, self._boot_id, restore(self._limits))


def main() -> None:
    """Serve until the node is gone, then restore."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # whoever ends the node gets the restoration too
    charge = Charge(*sys.argv[1:3])
    unread = b''
    while True:
        heard, _, _ = select.select([0], [], [], charge.patience(time.monotonic()))
        if not heard:
            charge.restore_for_node(time.monotonic())
            continue
        read_now = os.read(0, 65536)
        if not read_now:
            break
        *lines, unread = (unread + read_now).split(b'\n')
        try:
            for line in lines:
                os.write(1, charge.take(line))
        except (OSError, ValueError):
            break
    charge.end()


if __name__ == '__main__':
    main()
