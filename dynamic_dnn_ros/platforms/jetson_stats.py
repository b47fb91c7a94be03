# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What jetson-stats (jtop) tells of a Jetson, where a user has installed it.

It is licensed under the AGPL-3.0-or-later, so this package neither needs nor contains it: it is
imported here alone, when it is asked for. Only its public Python interface is used, and only to
read; clocks are set through files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
import importlib
import importlib.util
import math
import multiprocessing
import threading
import time
from typing import Any

from dynamic_dnn_ros.platforms.contract import HardwareError

INTERVAL = 0.2
"""Seconds between two samples that are asked for; the first client of the service decides."""

RETRY = 10.0
"""Seconds between two tries to reach the service."""

STALE = 3.0
"""Seconds after which a sample is none of now."""

_OFFLINE = -200.0


@dataclass(frozen=True)
class Statistics:
    """One sample: hertz, 0..1, watts, degrees Celsius; NaN or no entry where it says nothing."""

    gpu_clock: float = math.nan
    gpu_load: float = math.nan
    memory_clock: float = math.nan
    memory_load: float = math.nan
    power: Mapping[str, float] = field(default_factory=dict)
    total_power_rail: str = ''
    temperatures: Mapping[str, float] = field(default_factory=dict)


def is_installed() -> bool:
    """Return whether jetson-stats can be imported, without importing it."""
    return importlib.util.find_spec('jtop') is not None


class JetsonStats:
    """
    The newest sample of the jtop service, read in a thread: a lost service delays nobody.

    A service that is not active, or goes away, is tried again from time to time.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin to read."""
        self._clock = clock
        self._newest: tuple[float, Statistics] | None = None
        self._problem = 'the service has not answered yet'
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name='jetson_stats', daemon=True)
        self._thread.start()

    def read(self) -> Statistics:
        """
        Return the newest sample.

        :raises HardwareError: when there is none, or an old one
        """
        newest = self._newest
        if newest is None or self._clock() - newest[0] > STALE:
            raise HardwareError(
                'jetson-stats',
                self._problem or 'the service has fallen silent',
                "Look at `systemctl status jtop.service` and that the node's user is in group "
                "jtop, or set parameter 'jetson_stats' to false",
            )
        return newest[1]

    def close(self) -> None:
        """Stop reading."""
        self._stop.set()
        self._thread.join(timeout=2.0 * STALE)

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
            except Exception as error:  # whatever a library of another house raises
                self._problem = ' '.join(str(error).split()).rstrip('.') or type(error).__name__
            self._stop.wait(RETRY)

    def _follow(self) -> None:
        # The import sets the way in which all of this process starts further ones: undo that.
        method = multiprocessing.get_start_method(allow_none=True)
        try:
            library = importlib.import_module('jtop')
        finally:
            multiprocessing.set_start_method(method, force=True)
        with library.jtop(interval=INTERVAL) as client:
            while not self._stop.is_set() and client.ok():
                self._newest = (self._clock(), statistics_of(client))
                self._problem = ''


def statistics_of(client: Any) -> Statistics:
    """Return the sample that a client of jtop holds now, in SI units."""
    gpu = next((dict(entry) for entry in dict(client.gpu or {}).values()), {})
    memory = dict((client.memory or {}).get('EMC') or {})
    power = dict(client.power or {})
    total = dict(power.get('tot') or {})
    rails = {name: _rail(entry) for name, entry in dict(power.get('rail') or {}).items()}
    name = str(total.get('name', ''))
    if name:
        rails[name] = _rail(total)
    return Statistics(
        gpu_clock=_number(gpu.get('freq'), 'cur') * 1e3,
        gpu_load=_number(gpu.get('status'), 'load') / 100.0,
        memory_clock=_number(memory, 'cur') * 1e3,
        memory_load=_number(memory, 'val') / 100.0,
        power=rails,
        total_power_rail=name,
        temperatures={
            str(zone): _temperature(entry) for zone, entry in (client.temperature or {}).items()
        },
    )


def _rail(entry: Mapping[str, Any]) -> float:
    return _number(entry, 'power') / 1e3


def _temperature(entry: Mapping[str, Any]) -> float:
    value = _number(entry, 'temp')
    return value if value > _OFFLINE else math.nan


def _number(entry: Mapping[str, Any] | None, key: str) -> float:
    value = (entry or {}).get(key)
    return float(value) if isinstance(value, (int, float)) else math.nan
