# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A computer whose clocks are files, and an engine that is as fast as these files say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import math
import os
from pathlib import Path
import time
from typing import Any

import numpy as np
import pytest

from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.contract import (
    Engine,
    EngineError,
    Outputs,
    Picture,
    PreparedSubNetwork,
)
from dynamic_dnn_ros.platforms.contract import (
    DomainLimits,
    DomainRange,
    DomainState,
    HardwareError,
    LimitsFound,
    Platform,
    PlatformKind,
    PlatformSample,
)
from dynamic_dnn_ros.platforms.sysfs import FrequencyFiles, Sysfs
from dynamic_dnn_ros.profiling.plan import MeasurementPlan
from support.cpufreq import CpufreqTree, kernel_write

TREE_VARIABLE = 'DYNAMIC_DNN_TEST_TREE'


class Time:
    """A clock that stands still unless somebody works or sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, duration: float) -> None:
        self.now += duration


class Computer(CpufreqTree):
    """
    A tree of clocks with a kernel behind it: the clock follows the limits, and the temperature.

    :param throttled_to: kHz that no clock exceeds, whatever the limits are
    :param refused: indices of the policies that the user may not write
    """

    def __init__(
        self,
        root: Path,
        *,
        policies: int = 1,
        throttled_to: int = 10**9,
        refused: Sequence[int] = (),
    ) -> None:
        if not root.is_dir():
            super().__init__(root, policies)
        else:
            self.root = root
            self.folders = sorted(root.glob('sys/devices/system/cpu/cpufreq/policy*'))
        self.throttled_to = throttled_to
        self.refused = [self.folders[index] for index in refused]

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have the kernel take writes from now on."""

        def write(sysfs: Sysfs, path: Path, value: str) -> None:
            if path.parent in self.refused:
                raise HardwareError(path, 'permission denied', 'Add a udev rule')
            kernel_write(sysfs, path, value)
            limit = int((path.parent / 'scaling_max_freq').read_text())
            clock = min(limit, self.throttled_to)
            (path.parent / 'scaling_cur_freq').write_text(f'{clock}\n')

        monkeypatch.setattr(Sysfs, 'write', write)

    def clocks(self) -> list[float]:
        """Return the present clock of each policy, Hz."""
        return [1e3 * int((f / 'scaling_cur_freq').read_text()) for f in self.folders]


class Board(Platform):
    """Three domains, one a policy of the tree, and a power rail."""

    id = 'board'
    kind = PlatformKind.MEASURED
    processors = ('gpu',)
    NAMES = ('cpu', 'gpu', 'memory')

    def __init__(self, computer: Computer) -> None:
        self.computer = computer
        self.running = False
        sysfs = Sysfs(computer.root)
        self._files = {
            name: FrequencyFiles(
                sysfs, folder / 'scaling_min_freq', folder / 'scaling_max_freq', 1e3
            )
            for name, folder in zip(self.NAMES, computer.folders)
        }
        self._found: dict[str, LimitsFound] = {}

    def limits(self) -> tuple[DomainLimits, ...]:
        sysfs = Sysfs()
        rows = []
        for name, folder in zip(self.NAMES, self.computer.folders):
            table = sysfs.numbers(folder / 'scaling_available_frequencies')
            available = tuple(1e3 * f for f in table)
            rows.append(DomainLimits(name, available, available[0], available[-1]))
        return tuple(rows)

    def observe(
        self,
        now: float,
        application: str,
        instance: str,
        processor: str,
        busy: Mapping[str, float],
        frames: int = 0,
    ) -> None:
        pass

    def read(self, now: float) -> PlatformSample:
        clocks = dict(zip(self.NAMES, self.computer.clocks()))
        watts = self.idle_power(clocks) + (2.0 if self.running else 0.0)
        return PlatformSample(
            domains=tuple(
                DomainState(name, (), math.nan, math.nan, None, clock, 0.0, 0.0, '')
                for name, clock in clocks.items()
            ),
            power={'VDD_IN': watts},
            total_power_rail='VDD_IN',
        )

    @staticmethod
    def idle_power(clocks: Mapping[str, float]) -> float:
        """Return the power at some clocks when nothing runs, W."""
        return 3.0 + sum((clock / 1e9) ** 2 for clock in clocks.values())

    def limits_found(self) -> tuple[LimitsFound, ...]:
        rows = [self._found.get(name, files.found()) for name, files in self._files.items()]
        return tuple(row for row in rows if row is not None)

    def apply(self, now: float, setting: Sequence[DomainRange]) -> tuple[DomainRange, ...]:
        try:
            for row in setting:
                found = self._files[row.name].found()
                assert found is not None
                self._found.setdefault(row.name, found)
                self._files[row.name].write(row.minimum, row.maximum)
        except HardwareError:
            self.restore(now)
            raise
        return tuple(setting)

    def restore(self, now: float) -> None:
        errors = []
        for name, row in list(self._found.items()):
            try:
                if self._files[name].found() != row:
                    self._files[name].write(1e3 * float(row.minimum), 1e3 * float(row.maximum))
                del self._found[name]
            except HardwareError as error:
                errors.append(error)
        if errors:
            raise errors[0]


def law(index: int, clocks: Sequence[float]) -> float:
    """Return the latency of s<index>, s: a part that no clock changes, and work."""
    return 1e-3 + sum((index + 1) * 4e6 / clock for clock in clocks)


class ClockedEngine(Engine):
    """
    An engine whose latency is a law of the tree's clocks.

    :param spend: lets time pass, s
    :param slow_down: a factor by which all of it takes longer now
    :param fails_after: runs after which it fails once
    """

    name = 'clocked'
    processors = ('cpu',)

    def __init__(
        self,
        computer: Computer,
        spend: Callable[[float], None],
        slow_down: Callable[[], float] = lambda: 1.0,
        board: Board | None = None,
        fails_after: float = math.inf,
    ) -> None:
        self.computer = computer
        self.spend = spend
        self.slow_down = slow_down
        self.board = board
        self.fails_after = fails_after
        self.runs = 0

    def prepare(self, sub_network: SubNetwork, processor: str) -> PreparedSubNetwork:
        return _Clocked(self, sub_network, processor)


class _Clocked(PreparedSubNetwork):
    def __init__(self, engine: ClockedEngine, sub_network: SubNetwork, processor: str) -> None:
        super().__init__(sub_network, processor)
        self._engine = engine

    def run(self, picture: Picture) -> Outputs:
        engine = self._engine
        engine.runs += 1
        if engine.runs > engine.fails_after:
            engine.fails_after = math.inf
            raise EngineError('the engine broke')
        if engine.board is not None:
            engine.board.running = True
        index = int(self.sub_network.id[1:])
        engine.spend(law(index, engine.computer.clocks()) * engine.slow_down())
        if engine.board is not None:
            engine.board.running = False
        return {'logits': np.zeros((1, 10), np.float32)}


class SleepingEngine(ClockedEngine):
    """The engine for a process of its own, on the tree that an environment variable names."""

    def __init__(self, bundle: Bundle, threads: int, *_: object) -> None:
        super().__init__(Computer(Path(os.environ[TREE_VARIABLE])), time.sleep)


PLAN_DOMAIN = DomainLimits('gpu', (1e8, 2e8, 4e8, 8e8), 1e8, 8e8)


def make_plan(number: int | None = 3, **changes: Any) -> MeasurementPlan:
    """Return a plan for three sub-networks on two processors."""
    values: dict[str, Any] = {
        'platform': 'board',
        'hardware': 'board (4 cores)',
        'sub_networks': ('s0', 's1', 's2'),
        'processors': ('gpu', 'cpu'),
        'seconds': 2.0,
        'idle_seconds': 1.0,
        'rail': False,
    }
    return MeasurementPlan.of((PLAN_DOMAIN,), number, **{**values, **changes})
