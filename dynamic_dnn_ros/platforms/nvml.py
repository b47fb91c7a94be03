# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
NVIDIA cards through NVML, NVIDIA's management library, by the package `nvidia-ml-py`.

It is a part of the driver. The package, which NVIDIA keeps (BSD licence, 60 kB), only calls it;
it is an extra, `pip install dynamic_dnn_ros[nvidia]`, and imported here alone, when it is asked
for. Names, units and error codes: NVML API Reference Guide. Nothing here has run on a card: it is
tested through the real package against a stand-in for the driver's library.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import importlib
import math
from typing import Any

from dynamic_dnn_ros.platforms.contract import HardwareError, LimitsFound
from dynamic_dnn_ros.platforms.frequency_control import FrequencyControl, Range
from dynamic_dnn_ros.platforms.guard_process import CARD
from dynamic_dnn_ros.platforms.sysfs import nearest_below

MEGAHERTZ = 1e6
"""The unit of NVML's clocks, Hz."""

UNLOCKED = 'unlocked'
"""What is restored: NVML does not tell whether clocks were locked before, it can only unlock."""

#: What NVML calls a value that it does not have, in the widths that it returns (0xffffffff...).
_NOT_AVAILABLE = (2**32 - 1, 2**64 - 1)

#: NVML_CLOCK_GRAPHICS, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU.
_GRAPHICS, _MEMORY, _ON_CHIP = 0, 2, 0

_NOT_FOUND, _NO_PERMISSION, _LOST, _NOT_SUPPORTED = 6, 4, 15, 3
_GONE = (1, _NOT_FOUND, 9, _LOST, 16, 28, 999)
"""
Codes of a card that does not answer any more: not initialised, not found, driver not loaded, lost
("fell off the bus"), reset required, GPU not found, unknown.
"""

_SLOWING = {
    0x04: 'its power limit',
    0x08: 'a hardware slow-down',
    0x20: 'its temperature',
    0x40: 'its temperature (hardware)',
    0x80: 'the power brake of the power supply',
}
"""Reasons for which a card runs slower than asked, by their bit (NvmlClocksEventReasons)."""


class Card:
    """
    One NVIDIA GPU. What NVML cannot tell is NaN or empty, whatever error it has for that.

    :param library: the module `pynvml`, initialised
    :param uuid: `GPU-...`, which stays the same over restarts
    """

    def __init__(self, library: Any, uuid: str) -> None:
        self._library = library
        self.uuid = uuid
        self.name = self._ask(library.nvmlDeviceGetName, '') or 'NVIDIA GPU'
        self._table: tuple[float, ...] = ()

    def _ask(self, function: Callable[..., Any], default: Any, *arguments: Any) -> Any:
        try:
            return function(self._handle(), *arguments)
        except self._library.NVMLError:
            return default

    def _handle(self) -> Any:
        return self._library.nvmlDeviceGetHandleByUUID(self.uuid)

    def _number(self, function: Callable[..., Any], *arguments: Any) -> float:
        value = self._ask(function, math.nan, *arguments)
        if not isinstance(value, (int, float)) or value in _NOT_AVAILABLE or not value >= 0:
            return math.nan
        return float(value)

    def is_there(self) -> bool:
        """Tell whether it answers; a card may fall off the bus."""
        try:
            self._library.nvmlDeviceGetClockInfo(self._handle(), _GRAPHICS)
        except self._library.NVMLError as error:
            return error.value not in _GONE
        return True

    def utilisation(self) -> float:
        """Return the share of time in which something runs on it, 0..1."""
        return min(self._number(self._gpu_rate) / 100.0, 1.0)  # NaN stays NaN in this order

    def _gpu_rate(self, handle: Any) -> Any:
        return self._library.nvmlDeviceGetUtilizationRates(handle).gpu

    def power(self) -> float:
        """Return what the card takes, W."""
        return self._number(self._library.nvmlDeviceGetPowerUsage) / 1e3

    def temperature(self) -> float:
        """Return the temperature of the GPU, degrees Celsius."""
        return self._number(self._library.nvmlDeviceGetTemperature, _ON_CHIP)

    def clock(self) -> float:
        """Return what its graphics clock runs at, Hz."""
        return self._number(self._library.nvmlDeviceGetClockInfo, _GRAPHICS) * MEGAHERTZ

    def memory_clock(self) -> float:
        """Return what its memory runs at, Hz."""
        return self._number(self._library.nvmlDeviceGetClockInfo, _MEMORY) * MEGAHERTZ

    def table(self) -> tuple[float, ...]:
        """Return the graphics clocks that it has at its highest memory clock, Hz, ascending."""
        if not self._table:
            memory = self._ask(self._library.nvmlDeviceGetSupportedMemoryClocks, ())
            clocks: Sequence[int] = ()
            if memory:
                function = self._library.nvmlDeviceGetSupportedGraphicsClocks
                clocks = self._ask(function, (), max(memory))
            self._table = tuple(sorted({clock * MEGAHERTZ for clock in clocks}))
        return self._table

    def slowed_by(self) -> tuple[str, ...]:
        """Return why it runs slower than asked now."""
        reasons = self._number(self._library.nvmlDeviceGetCurrentClocksEventReasons)
        known = int(reasons) if math.isfinite(reasons) else 0
        return tuple(text for bit, text in _SLOWING.items() if known & bit)

    def lock(self, lowest: float, highest: float) -> None:
        """
        Keep the graphics clock between two frequencies, Hz.

        :raises HardwareError: when NVML refuses
        """
        megahertz = round(lowest / MEGAHERTZ), round(highest / MEGAHERTZ)
        self._do(self._library.nvmlDeviceSetGpuLockedClocks, *megahertz)

    def unlock(self) -> None:
        """
        Give the graphics clock back to the driver.

        :raises HardwareError: when NVML refuses
        """
        self._do(self._library.nvmlDeviceResetGpuLockedClocks)

    def _do(self, function: Callable[..., Any], *arguments: Any) -> None:
        try:
            function(self._handle(), *arguments)
        except self._library.NVMLError as error:
            raise self._refusal(error) from error

    def _refusal(self, error: Any) -> HardwareError:
        remedies = {
            _NO_PERMISSION: 'Only root may: run the platform node as a service with that right, '
            "or leave the clock alone by parameter 'manage_gpu'",
            _NOT_SUPPORTED: 'Cards before the Volta generation, and some of notebooks, do not '
            "have it: leave the clock alone by parameter 'manage_gpu'",
        }
        default = (
            f'{GONE_REMEDY}, and the card comes back with clocks of its own'
            if error.value in _GONE
            else 'Look into the kernel log'
        )
        return HardwareError(
            f'{self.name} ({self.uuid})',
            f'its clock cannot be locked or unlocked ({error})',
            remedies.get(error.value, default),
        )


GONE_REMEDY = (
    'Look for "Xid 79" in `dmesg`, at the power cables and the slot; restart the computer'
)


def open_cards() -> tuple[Card, ...]:
    """
    Return the cards of this computer.

    :raises HardwareError: when NVML cannot be asked
    """
    try:
        library = importlib.import_module('pynvml')
    except ImportError as error:
        raise HardwareError(
            'NVML', 'its Python package is not installed', '`pip install nvidia-ml-py`'
        ) from error
    try:
        library.nvmlInit()
        handles = [
            library.nvmlDeviceGetHandleByIndex(i) for i in range(library.nvmlDeviceGetCount())
        ]
        return tuple(Card(library, _text(library.nvmlDeviceGetUUID(each))) for each in handles)
    except library.NVMLError as error:
        raise HardwareError(
            'NVML',
            f'it cannot be asked for cards ({error})',
            'Install the driver of NVIDIA and look whether `nvidia-smi` works; in a container, '
            'give it the GPU (`--gpus all`)',
        ) from error


def cards_of() -> tuple[Card, ...]:
    """Return the cards of this computer, none where NVML cannot be asked."""
    try:
        return open_cards()
    except HardwareError:
        return ()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value  # bytes before release 11


class CardClock(FrequencyControl):
    """
    The graphics clock of a card, which NVML locks into a range or leaves to the driver.

    NVML does not tell whether it is locked. So what an operator locked before (`nvidia-smi -lgc`)
    is not seen, and after a lease the clock is the driver's.
    """

    def __init__(self, card: Card) -> None:
        self.name = card.uuid
        self._card = card
        self._locked: Range | None = None

    def key(self) -> object:
        """Return the card's id."""
        return self._card.uuid

    def table(self) -> tuple[float, ...]:
        """Return the clocks that the card has."""
        return self._card.table()

    def range(self) -> Range | None:
        """Return what it was locked into, else all; None for a card that does not answer."""
        table = self._card.table()
        if not table or not self._card.is_there():
            return None
        return self._locked or (table[0], table[-1])

    def current(self) -> float | None:
        """Return what it runs at."""
        clock = self._card.clock()
        return clock if clock > 0 else None

    def governor(self) -> str:
        """Return nothing: the driver has no name for what it does."""
        return ''

    def found(self) -> LimitsFound | None:
        """Return that the clock is to be unlocked, or what it was locked into by us."""
        if self.range() is None:
            return None
        file = f'{CARD}{self._card.uuid}'
        low, high = (f'{f:.0f}' for f in self._locked) if self._locked else (UNLOCKED, UNLOCKED)
        return LimitsFound(file, file, low, high)

    def found_for(self, limits: Range, before: LimitsFound) -> LimitsFound:
        """Return what was found: others' limits cannot be read."""
        return before

    def limits_of(self, found: LimitsFound) -> Range:
        """Return all clocks that the card has."""
        table = self._card.table()
        return table[0], table[-1]

    def denied(self) -> HardwareError | None:
        """Return nothing: NVML tells only when it is asked to."""
        return None

    def rounded(self, wanted: Range) -> Range:
        """Return what its table has nearest below."""
        table = self._card.table()
        return nearest_below(wanted[0], table), nearest_below(wanted[1], table)

    def write(self, wanted: Range) -> Range:
        """Lock the clock into a range."""
        lowest, highest = self.rounded(wanted)
        self._card.lock(lowest, highest)
        self._locked = lowest, highest
        return self._locked

    def put_back(self, found: LimitsFound) -> None:
        """Unlock the clock."""
        self._card.unlock()
        self._locked = None
