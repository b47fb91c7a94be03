# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
File trees of real computers, with a kernel behind them that clamps, rounds and refuses.

The files lie on disk, so that a process that knows nothing of this sees them too. What is written
through the `Sysfs` that this is goes through the kernel's rules, and so do changes by others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
import errno
import os
from pathlib import Path
import tempfile

from dynamic_dnn_ros.platforms.frequency_control import MemoryControl
from dynamic_dnn_ros.platforms.guard_process import PROCESSORS
from dynamic_dnn_ros.platforms.nvpmodel import CONFIGURATION, STATUS
from dynamic_dnn_ros.platforms.sysfs import Sysfs

XAVIER_NX_CPU = (*range(115200, 1881601, 76800), 1907200)
"""kHz."""
ORIN_NX_CPU = (*range(115200, 1958401, 76800), 1984000)
XAVIER_NX_GPU = tuple(
    int(1e4 * mhz)
    for mhz in (
        *(11475, 20400, 30600, 40800, 51000, 59925, 70125, 75225, 80325, 85425, 90525),
        *(95625, 100725, 105825, 110925),
    )
)
"""Hz."""
ORIN_NX_GPU = tuple(306_000_000 + 102_000_000 * step for step in range(7))
XAVIER_EMC = (204000000, 800000000, 1065600000, 1331200000, 1600000000, 1866000000)


@contextmanager
def memory_folder() -> Iterator[Path]:
    """Give a folder in memory where there is one: thousands of small writes are slow on a disk."""
    memory = '/dev/shm'
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


class Away(Enum):
    """What becomes of the files of a policy whose CPUs are all off line."""

    GONE = 'gone'
    UNREADABLE = 'unreadable'  # Linux 5.20 and later
    READ_ONLY = 'read only'  # before: they show what they had, and refuse writes


@dataclass
class Clock:
    """One clock: what users asked for, what the temperature leaves, and where its files lie."""

    folder: Path
    minimum_file: Path
    maximum_file: Path
    current_file: Path
    table_file: Path
    table: tuple[int, ...]
    minimum: int
    maximum: int
    thermal_cap: int = 10**12
    online: bool = True

    @property
    def effective(self) -> tuple[int, int]:
        """Return the limits in force: the maximum wins, as with QoS requests."""
        high = min(self.maximum, self.thermal_cap)
        return min(self.minimum, high), high


class Kernel(Sysfs):
    """
    A tree and its rules.

    :param strict: refuse a minimum above the maximum with EINVAL, as old kernels do; otherwise
        keep the request and clamp what is in force, as new ones do
    """

    def __init__(self, root: Path, strict: bool = True) -> None:
        super().__init__(root)
        self.strict = strict
        self.clocks: dict[str, Clock] = {}
        self.refused: dict[Path, int] = {}
        self.unannounced: set[Path] = set()
        self.writes: list[tuple[Path, str]] = []
        self.late = 0
        """Readings of a clock's limits after a write that still show those before it."""
        self._unshown: dict[Path, int] = {}
        root.mkdir(parents=True, exist_ok=True)

    # The tree.

    def file(self, absolute: str | Path, content: object) -> Path:
        """Write a plain file of the tree."""
        path = self.root / str(absolute).lstrip('/')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{content}\n')
        return path

    def cpufreq(
        self,
        policy: int,
        table: Sequence[int],
        minimum: int = 0,
        maximum: int = 0,
        governor: str = 'schedutil',
        shown: bool = True,
    ) -> Clock:
        """Add a cpufreq policy, kHz."""
        folder = self.root / f'sys/devices/system/cpu/cpufreq/policy{policy}'
        clock = Clock(
            folder,
            folder / 'scaling_min_freq',
            folder / 'scaling_max_freq',
            folder / 'scaling_cur_freq',
            folder / 'scaling_available_frequencies',
            tuple(table),
            minimum or min(table),
            maximum or max(table),
        )
        self._add(folder.name, clock, folder / 'scaling_governor', governor, shown)
        (folder / PROCESSORS).write_text(f'{policy}\n')
        return clock

    def devfreq(self, folder: str, table: Sequence[int], governor: str = 'nvhost_podgov') -> Clock:
        """Add a devfreq device, Hz."""
        path = self.root / folder.lstrip('/')
        clock = Clock(
            path,
            path / 'min_freq',
            path / 'max_freq',
            path / 'cur_freq',
            path / 'available_frequencies',
            tuple(table),
            min(table),
            max(table),
        )
        return self._add(path.name, clock, path / 'governor', governor, True)

    def _add(self, name: str, clock: Clock, file: Path, governor: str, shown: bool) -> Clock:
        clock.folder.mkdir(parents=True, exist_ok=True)
        if shown:
            clock.table_file.write_text(' '.join(map(str, clock.table)) + ' \n')
        file.write_text(f'{governor}\n')
        self.clocks[name] = clock
        self._show(clock)
        return clock

    def emc(self, table: Sequence[int] = XAVIER_EMC, cap: int = 0) -> None:
        """Add the memory clock of a Jetson, with the cap of its power mode."""
        folder = MemoryControl.FOLDER
        self.file(MemoryControl.TABLE, ' '.join(map(str, table)))
        self.file(f'{folder}/rate', table[-1])
        self.file(f'{folder}/mrq_rate_locked', 0)
        self.file(f'{folder}/state', 1)
        if cap:
            self.file(MemoryControl.CAPS[1], cap)

    def ina3221(self, folder: str, rails: Sequence[tuple[str, int, int]]) -> None:
        """Add a sensor of the hwmon driver: label, mV, mA of each channel, and the sum."""
        self.file(f'{folder}/name', 'ina3221')
        for channel, (label, voltage, current) in enumerate(rails, 1):
            self.file(f'{folder}/in{channel}_label', label)
            self.file(f'{folder}/in{channel}_input', voltage)
            self.file(f'{folder}/curr{channel}_input', current)
        self.file(f'{folder}/in7_label', 'Sum of shunt voltages')
        self.file(f'{folder}/in7_input', 1)

    def thermal_zone(self, index: int, kind: str, millidegrees: int) -> Path:
        """Add a thermal zone."""
        self.file(f'/sys/class/thermal/thermal_zone{index}/type', kind)
        return self.file(f'/sys/class/thermal/thermal_zone{index}/temp', millidegrees)

    def cooling_device(self, index: int, kind: str) -> Path:
        """Add a cooling device, idle."""
        self.file(f'/sys/class/thermal/cooling_device{index}/type', kind)
        return self.file(f'/sys/class/thermal/cooling_device{index}/cur_state', 0)

    def power_mode(self, number: int) -> None:
        """Say that a power mode is in force, without its limits."""
        self.file(STATUS, f'pmode:{number:04d}')

    # What happens to it.

    def by_hand(self, name: str, minimum: int | None = None, maximum: int | None = None) -> None:
        """Change limits as an operator, nvpmodel or jetson_clocks does: in an order that works."""
        clock = self.clocks[name]
        wanted = (
            clock.minimum if minimum is None else minimum,
            clock.maximum if maximum is None else maximum,
        )
        clock.minimum, clock.maximum = wanted
        self._show(clock)

    def throttle(self, name: str, cap: int | None) -> None:
        """Have the temperature cap a clock, or release it."""
        clock = self.clocks[name]
        clock.thermal_cap = 10**12 if cap is None else cap
        self._show(clock)

    def cool(self, device: Path, state: int) -> None:
        """Set the state of a cooling device."""
        device.write_text(f'{state}\n')

    def switch(self, name: str, online: bool, away: Away = Away.GONE) -> None:
        """Take the CPUs of a policy off line, or back: its requests stay."""
        clock = self.clocks[name]
        processors = clock.folder / PROCESSORS
        clock.online = online
        if online:
            self._show(clock)
            processors.write_text(f'{name[len("policy") :]}\n')
            return
        processors.write_text('\n')
        for path in (clock.minimum_file, clock.maximum_file, clock.current_file):
            if away is Away.GONE:
                path.unlink(missing_ok=True)
            elif away is Away.UNREADABLE:
                path.write_text('')

    def refuse(self, path: Path, code: int = errno.EACCES, announced: bool = True) -> None:
        """Refuse writes to a file; `announced`: its mode says so before."""
        self.refused[path] = code
        if not announced:
            self.unannounced.add(path)

    def allow(self, path: Path | None = None) -> None:
        """Refuse no more; None: nothing."""
        for each in [path] if path is not None else list(self.refused):
            self.refused.pop(each, None)
            self.unannounced.discard(each)

    def requests(self) -> dict[str, tuple[int, int]]:
        """Return what users asked for last, by clock, whatever the temperature leaves of it."""
        return {name: (clock.minimum, clock.maximum) for name, clock in self.clocks.items()}

    def show(self) -> None:
        """Show all limits that are in force."""
        self._unshown.clear()
        for clock in self.clocks.values():
            self._show(clock)

    def _show(self, clock: Clock) -> None:
        if not clock.online:
            return
        low, high = clock.effective
        clock.minimum_file.write_text(f'{low}\n')
        clock.maximum_file.write_text(f'{high}\n')
        clock.current_file.write_text(f'{high}\n')

    # The kernel's side of reading and writing.

    def load(self, path: Path) -> str:
        """Return the content of a file; the kernel takes limits over a moment after the write."""
        left = self._unshown.get(path.parent)
        if left is not None and path.name in ('scaling_min_freq', 'scaling_max_freq'):
            self._unshown[path.parent] = left - 1
            if left <= 0:
                del self._unshown[path.parent]
                self._show(self.clocks[path.parent.name])
        return super().load(path)

    def writable(self, path: Path) -> bool:
        """Return what the file's mode says."""
        hidden = path in self.refused and path not in self.unannounced
        return path.exists() and not hidden

    def store(self, path: Path, value: str) -> None:
        """Take a write, or refuse it."""
        if path in self.refused:
            code = self.refused[path]
            raise OSError(code, os.strerror(code), str(path))
        if not path.exists():
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        self.writes.append((path, value))
        for clock in self.clocks.values():
            if path in (clock.minimum_file, clock.maximum_file):
                if not clock.online:
                    raise OSError(errno.EINVAL, 'Invalid argument', str(path))
                self._limit(clock, path, value)
                return
        if path.name == 'rate' and (path.parent / 'mrq_rate_locked').read_text().strip() == '0':
            return  # the bandwidth manager overrides it at once
        path.write_text(f'{value}\n')

    def _limit(self, clock: Clock, path: Path, value: str) -> None:
        try:
            frequency = int(value)
        except ValueError:
            raise OSError(errno.EINVAL, 'Invalid argument', str(path)) from None
        is_minimum = path == clock.minimum_file
        if is_minimum:
            frequency = min((f for f in clock.table if f >= frequency), default=max(clock.table))
        else:
            frequency = max((f for f in clock.table if f <= frequency), default=min(clock.table))
        low = frequency if is_minimum else clock.minimum
        high = clock.maximum if is_minimum else frequency
        if low > high and self.strict:
            raise OSError(errno.EINVAL, 'Invalid argument', str(path))
        clock.minimum, clock.maximum = low, high
        if self.late and path.name.startswith('scaling'):
            self._unshown[clock.folder] = self.late
        else:
            self._show(clock)


def xavier_nx(root: Path, strict: bool = True) -> Kernel:
    """Return a Jetson Xavier NX with JetPack 5, in power mode 2: six CPUs in pairs."""
    kernel = Kernel(root, strict)
    kernel.file('/proc/device-tree/model', 'NVIDIA Jetson Xavier NX Developer Kit\0')
    kernel.file('/proc/device-tree/compatible', 'nvidia,p3449-0000+p3668-0000\0nvidia,tegra194\0')
    for policy in (0, 2, 4):
        kernel.cpufreq(policy, XAVIER_NX_CPU, 1190400, 1420800)
    kernel.devfreq('/sys/class/devfreq/17000000.gv11b', XAVIER_NX_GPU)
    kernel.file('/sys/devices/gpu.0/load', 250)
    kernel.emc(cap=1600000000)
    kernel.ina3221(
        '/sys/bus/i2c/devices/7-0040/hwmon/hwmon3',
        [('VDD_IN', 5040, 1200), ('VDD_CPU_GPU_CV', 5040, 300), ('VDD_SOC', 5040, 250)],
    )
    _sensors(kernel)
    kernel.file(
        CONFIGURATION,
        '< POWER_MODEL ID=0 NAME=15W_2CORE >\nCPU_ONLINE CORE_0 1\n'
        '< POWER_MODEL ID=2 NAME=15W_6CORE >\n< POWER_MODEL ID=4 NAME=10W_4CORE >',
    )
    kernel.power_mode(2)
    return kernel


def orin_nx(root: Path, strict: bool = False) -> Kernel:
    """Return a Jetson Orin NX with JetPack 6: eight CPUs in two clusters, debugfs closed."""
    kernel = Kernel(root, strict)
    kernel.file('/proc/device-tree/model', 'NVIDIA Jetson Orin NX Engineering Reference\0')
    kernel.file('/proc/device-tree/compatible', 'nvidia,p3768-0000+p3767-0000\0nvidia,tegra234\0')
    for policy in (0, 4):
        kernel.cpufreq(policy, ORIN_NX_CPU, 729600)
    gpu = '/sys/devices/platform/bus@0/17000000.gpu/devfreq/17000000.gpu'
    kernel.devfreq(gpu, ORIN_NX_GPU)
    kernel.file('/sys/devices/platform/bus@0/17000000.gpu/load', 100)
    folder = kernel.root / gpu.lstrip('/')
    (folder / 'device').symlink_to('../..')
    kernel.ina3221(
        '/sys/class/hwmon/hwmon1',
        [('VDD_IN', 5056, 825), ('VDD_CPU_GPU_CV', 5056, 112), ('VDD_SOC', 5056, 272)],
    )
    _sensors(kernel)
    kernel.file(CONFIGURATION, '< POWER_MODEL ID=0 NAME=MAXN >\n< POWER_MODEL ID=3 NAME=25W >')
    kernel.power_mode(0)
    return kernel


def laptop(root: Path, strict: bool = False) -> Kernel:
    """Return a computer with intel_pstate, which has no table, and RAPL counters."""
    kernel = Kernel(root, strict)
    for policy in range(3):
        kernel.cpufreq(policy, range(400000, 4200001, 1000), governor='powersave', shown=False)
    kernel.file('/sys/class/hwmon/hwmon0/name', 'coretemp')
    for folder, name in (('0', 'package-0'), ('0:0', 'core'), ('0:1', 'uncore')):
        zone = f'/sys/class/powercap/intel-rapl:{folder}'
        kernel.file(f'{zone}/name', name)
        kernel.file(f'{zone}/energy_uj', 1000)
        kernel.file(f'{zone}/max_energy_range_uj', 262143328850)
    kernel.thermal_zone(0, 'x86_pkg_temp', 45500)
    kernel.cooling_device(0, 'Processor')
    return kernel


def _sensors(kernel: Kernel) -> None:
    for index, (kind, temperature) in enumerate(
        [('CPU-therm', 41500), ('GPU-therm', 40000), ('CV-therm', -256000)]
    ):
        kernel.thermal_zone(index, kind, temperature)
    kernel.cooling_device(0, 'pwm-fan').write_text('3\n')
    kernel.cooling_device(1, 'cpufreq-cpu0')
    kernel.cooling_device(2, 'devfreq-17000000.gpu')
