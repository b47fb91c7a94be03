# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Small text files of the kernel, under a root that tests can move."""

from __future__ import annotations

from collections.abc import Sequence
import errno
import os
from pathlib import Path

from dynamic_dnn_ros.platforms.contract import HardwareError, LimitsFound

BOOT_ID = Path('/proc/sys/kernel/random/boot_id')


def boot_id() -> str:
    """Return what names this boot of the computer; never empty."""
    try:
        return BOOT_ID.read_text(encoding='ascii').strip() or 'unknown'
    except OSError:
        return 'unknown'


class Sysfs:
    """
    Reads and writes the kernel's files below a root folder.

    `load`, `store` and `writable` are all that touches a file, so a test can put a kernel of its
    own behind them.
    """

    def __init__(self, root: str | Path = '/') -> None:
        self.root = Path(root).absolute()  # the guard runs in another folder

    @staticmethod
    def of(root: str | Path | Sysfs) -> Sysfs:
        """Return the files below a folder; what is one already stays as it is."""
        return root if isinstance(root, Sysfs) else Sysfs(root)

    def load(self, path: Path) -> str:
        """
        Return the content of a file.

        :raises OSError: as the kernel has it
        """
        return path.read_text(encoding='ascii', errors='replace')

    def store(self, path: Path, value: str) -> None:
        """
        Write a file that is there, in one go.

        :raises OSError: as the kernel has it
        """
        descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
        with os.fdopen(descriptor, 'w', encoding='ascii') as file:
            file.write(value)

    def writable(self, path: Path) -> bool:
        """Return whether this user may write a file; a write may be refused all the same."""
        return os.access(path, os.W_OK)

    def path(self, absolute: str) -> Path:
        """Return where a file of the computer lies below the root."""
        return self.root / absolute.lstrip('/')

    def glob(self, pattern: str) -> list[Path]:
        """Return the paths that match an absolute pattern, in natural order."""
        paths = self.root.glob(pattern.lstrip('/'))
        return sorted(paths, key=lambda path: (len(path.name), str(path)))

    def text(self, path: Path) -> str | None:
        """Return a file's content without surrounding space, None where it cannot be read."""
        try:
            return self.load(path).strip()
        except OSError:
            return None

    def number(self, path: Path) -> float | None:
        """Return a file's content as number, None where it cannot be read or is none."""
        try:
            return float(self.text(path) or '')
        except ValueError:
            return None

    def numbers(self, path: Path) -> tuple[float, ...]:
        """Return the numbers in a file, ascending and each once; empty where there are none."""
        values = set()
        for word in (self.text(path) or '').split():
            try:
                values.add(float(word))
            except ValueError:
                continue
        return tuple(sorted(values))

    def write(self, path: Path, value: str) -> None:
        """
        Write a file.

        :raises HardwareError: when the kernel refuses, with what to do about it
        """
        try:
            self.store(path, value)
        except PermissionError as error:
            raise self.denied(path) from error
        except OSError as error:
            raise HardwareError(
                path,
                f'{value!r} cannot be written ({error.strerror or error})',
                'Look into the kernel log; the limits found at start are restored',
            ) from error

    @staticmethod
    def denied(path: Path) -> HardwareError:
        """Return the error that says that this user may not write a file."""
        return HardwareError(
            path,
            'cannot be written (permission denied)',
            "Give the node's user write access by the udev rule in this package's share/deploy "
            '(docs/hardware.md); do not run the node as root',
        )


class FrequencyFiles:
    """The minimum and maximum file of one frequency control, in the kernel's own unit."""

    def __init__(self, sysfs: Sysfs, minimum: Path, maximum: Path, unit: float) -> None:
        """
        Describe the control.

        :param unit: hertz that one unit of the files stands for: 1000 for cpufreq, 1 for devfreq
        """
        self._sysfs = sysfs
        self.minimum_file = minimum
        self.maximum_file = maximum
        self._unit = unit

    def read(self) -> tuple[float, float] | None:
        """Return minimum and maximum in Hz; None where one cannot be read."""
        minimum = self._sysfs.number(self.minimum_file)
        maximum = self._sysfs.number(self.maximum_file)
        if minimum is None or maximum is None:
            return None
        return minimum * self._unit, maximum * self._unit

    def found(self) -> LimitsFound | None:
        """Return what the files hold now, to be restored later; None where one is unreadable."""
        minimum = self._sysfs.text(self.minimum_file)
        maximum = self._sysfs.text(self.maximum_file)
        if not minimum or not maximum or self.read() is None:
            return None
        return LimitsFound(str(self.minimum_file), str(self.maximum_file), minimum, maximum)

    def write(self, minimum: float, maximum: float) -> tuple[float, float]:
        """
        Write a range in Hz in the order that the kernel accepts, and read back what it keeps.

        Raising: first the maximum; lowering: first the minimum. The other order would make the
        minimum exceed the maximum in between, which the kernel refuses or clamps.

        :raises HardwareError: when a file cannot be written or read
        """
        present = self.read()
        if present is None:
            raise HardwareError(
                self.minimum_file.parent,
                'its limits cannot be read',
                'The CPU or device may be offline; bring it online or restart the platform node',
            )
        low, high = f'{minimum / self._unit:.0f}', f'{maximum / self._unit:.0f}'
        if maximum >= present[1]:
            order = ((self.maximum_file, high), (self.minimum_file, low))
        else:
            order = ((self.minimum_file, low), (self.maximum_file, high))
        try:
            self._write(order)
        except HardwareError as error:
            # What is read may be less than what was asked for, while the temperature holds it
            # down: then the order that suits the request is the other one.
            if not isinstance(error.__cause__, OSError) or error.__cause__.errno != errno.EINVAL:
                raise
            self._write(order[::-1])
        kept = self.read()
        return kept if kept is not None else (minimum, maximum)

    def _write(self, order: Sequence[tuple[Path, str]]) -> None:
        for path, value in order:
            self._sysfs.write(path, value)


def nearest_below(value: float, table: Sequence[float]) -> float:
    """Return the highest frequency of a table that is not above a value, else its lowest."""
    return max((f for f in table if f <= value * (1 + 1e-9)), default=table[0])
