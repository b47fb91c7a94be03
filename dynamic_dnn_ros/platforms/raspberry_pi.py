# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A Raspberry Pi: the clocks and zones of plain Linux, and the rails of the Pi 5 by its firmware.

The power controller of a Pi 5 has no file; the firmware tells its figures through `vcgencmd
pmic_read_adc`, a line a figure, such as `VDD_CORE_A current(7)=1.91102000A` and `VDD_CORE_V
volt(15)=0.87355220V` (Raspberry Pi documentation, vcgencmd; listings of a Pi 5 that users have
published). The current of the 5 V input is not among them, so the total is that of the rails: USB
devices, HATs and the losses of the regulators are not in it. Under-voltage is the alarm of
`rpi_volt` (`over_current.py`). The GPU (V3D) has no clock that could be set.
"""

from __future__ import annotations

from collections.abc import Mapping
import math
from pathlib import Path
import re
import subprocess
import threading
import time

from dynamic_dnn_ros.platforms.contract import Notice, NoticeKind
from dynamic_dnn_ros.platforms.linux import LinuxPlatform
from dynamic_dnn_ros.platforms.registration import Board, PlatformOptions
from dynamic_dnn_ros.platforms.sysfs import Sysfs

MODEL = '/proc/device-tree/model'
COMMANDS = ('/usr/bin/vcgencmd', '/opt/vc/bin/vcgencmd')
TOTAL = 'PMIC'
"""Name of the sum of the rails of the power controller."""

PERIOD = 1.0
"""Seconds between two calls of the firmware, each of which starts a process."""

STALE = 5.0
"""Seconds after which what the firmware said is none of now."""

_FIGURE = re.compile(
    r'^\s*(\w+)_([AV]) (?:current|volt)\(\d+\)=(\d+(?:\.\d+)?)\2\s*$', re.MULTILINE
)


def rails_of(text: str) -> dict[str, float]:
    """
    Return the power of each rail of which voltage and current are told, W.

    :param text: what `vcgencmd pmic_read_adc` prints
    """
    figures: dict[str, dict[str, float]] = {'A': {}, 'V': {}}
    for name, unit, value in _FIGURE.findall(text):
        figures[unit][name] = float(value)
    currents, voltages = figures['A'], figures['V']
    return {name: currents[name] * voltages[name] for name in currents if name in voltages}


class PowerController:
    """
    The newest figures of the firmware, asked for in a thread: a firmware that hangs delays nobody.

    :param command: the program `vcgencmd`
    """

    def __init__(self, command: Path) -> None:
        """Ask once, so that the first reading has figures, then begin the thread."""
        self._command = command
        self._newest: tuple[float, Mapping[str, float]] = (-math.inf, {})
        self.problem = ''
        self._stop = threading.Event()
        self._ask()
        self._thread = threading.Thread(target=self._work, name='pmic', daemon=True)
        self._thread.start()

    def read(self) -> dict[str, float]:
        """Return the power of each rail, W; NaN for those whose last figure is old."""
        at, rails = self._newest
        if time.monotonic() - at > STALE:
            return dict.fromkeys(rails, math.nan)
        return dict(rails)

    def close(self) -> None:
        """Ask no more."""
        self._stop.set()
        self._thread.join(timeout=STALE)

    def _work(self) -> None:
        while not self._stop.wait(PERIOD):
            self._ask()

    def _ask(self) -> None:
        try:
            done = subprocess.run(
                [str(self._command), 'pmic_read_adc'],
                capture_output=True,
                text=True,
                timeout=STALE / 2,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            self.problem = ' '.join(str(error).split())
            return
        rails = rails_of(done.stdout)
        self.problem = '' if rails else 'the firmware knows no power controller'
        if rails:
            self._newest = time.monotonic(), rails


class RaspberryPiPlatform(LinuxPlatform):
    """A Raspberry Pi; before the Pi 5 there are no rails."""

    def __init__(
        self,
        sysfs_root: str | Path | Sysfs = '/',
        manage_cpu: bool = False,
        manage_gpu: bool = True,
    ) -> None:
        """Look for clocks and sensors, and ask the firmware where its program is installed."""
        sysfs = Sysfs.of(sysfs_root)
        self.id = board_id(sysfs)
        commands = [path for command in COMMANDS if (path := sysfs.path(command)).exists()]
        self._controller = PowerController(commands[0]) if commands else None
        super().__init__(sysfs, manage_cpu, manage_gpu)

    def _power(self, now: float) -> tuple[dict[str, float], str]:
        power, total = super()._power(now)
        rails = self._controller.read() if self._controller is not None else {}
        if rails and not total:
            return {**power, **rails, TOTAL: sum(rails.values())}, TOTAL
        return {**power, **rails}, total

    def _more_notices(self) -> tuple[Notice, ...]:
        notices = super()._more_notices()
        if self._controller is None:
            why, remedy = 'vcgencmd is not installed', 'Install it (package raspi-utils)'
        elif self._controller.problem:
            why = self._controller.problem
            remedy = (
                "Add the node's user to group video (/dev/vcio); before the Pi 5 there is none"
            )
        else:
            return notices
        text = f'the power of this Raspberry Pi is not known: {why}. {remedy}'
        return (*notices, Notice(NoticeKind.SENSOR, text))

    def close(self) -> None:
        """End the thread that asks the firmware."""
        if self._controller is not None:
            self._controller.close()


def board_id(sysfs: Sysfs) -> str:
    """Return the id by the model in the device tree: `raspberry_pi_5`, `raspberry_pi_4`."""
    model = (sysfs.text(sysfs.path(MODEL)) or '').strip('\0')
    number = re.search(r'Raspberry Pi (?:Compute Module )?(\d+)', model)
    return f'raspberry_pi_{number.group(1)}' if number else 'raspberry_pi'


def is_this(sysfs: Sysfs) -> bool:
    """Return whether a tree is that of a Raspberry Pi, by its device tree."""
    return 'Raspberry Pi' in (sysfs.text(sysfs.path(MODEL)) or '')


def _make(sysfs: Sysfs, options: PlatformOptions) -> RaspberryPiPlatform:
    return RaspberryPiPlatform(sysfs, options.manage_cpu, options.manage_gpu)


BOARD = Board(
    'raspberry_pi',
    'a Raspberry Pi',
    is_this,
    _make,
    'in a container, mount /proc/device-tree and /sys',
    'a file tree of a Raspberry Pi 5 after published listings; never a board',
)
