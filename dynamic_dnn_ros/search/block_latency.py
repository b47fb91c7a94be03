# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
How long a residual block takes that runs as a whole, for some patches, or for some channels.

A sum of parts, each an amount of work times what a unit of it takes: starting, multiply-adds in
whole vectors of channels, numbers that are moved. What units take is fitted to measured blocks,
for each way of running to those that run so. Clocks are arguments: starting and computing go with
that of the processor, moving with that of the memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import math

import numpy as np
from numpy.typing import NDArray

from dynamic_dnn_ros.networks.adaptive_layouts import CHANNELS, LAYERS, PATCHES
from dynamic_dnn_ros.platforms.board_model import BoardModel, NetworkCost

UNDIVIDED = 'undivided'

#: Channels that a vector holds; others of the last vector are computed for nothing.
_VECTOR = 16

#: Steps of the fit, which is convex and small.
_STEPS = 4000

#: Kernels of a block: as a whole, and with what gathers and scatters.
_KERNELS = {UNDIVIDED: 3, PATCHES: 9, CHANNELS: 8}


@dataclass(frozen=True)
class BlockCase:
    """
    A block and how it runs.

    :param width: channels outside of it
    :param middle: channels within
    :param side: of its features, pixels
    :param mode: undivided, layers, patches or channels
    :param granularity: side of a patch, or channels of a group
    :param rate: share of patches, groups or pictures that run, 0..1
    """

    width: int
    middle: int
    side: int
    mode: str = UNDIVIDED
    granularity: int = 0
    rate: float = 1.0

    @property
    def patches(self) -> int:
        """Return the number of patches that run."""
        return round(self.rate * (self.side // self.granularity) ** 2)

    @property
    def channels(self) -> int:
        """Return the number of channels that run within."""
        groups = self.middle // self.granularity
        return max(round(self.rate * groups), 1) * self.granularity

    @property
    def multiply_adds(self) -> int:
        """Return the multiply-adds that run, those of halos too."""
        outer, inner = self.width * self.middle, 9 * self.middle**2
        if self.mode == PATCHES:
            with_halo, own = (self.granularity + 2) ** 2, self.granularity**2
            return self.patches * (outer * (with_halo + own) + inner * own)
        if self.mode == CHANNELS:
            outer, inner = self.width * self.channels, 9 * self.channels**2
        return round((2 * outer + inner) * self.side**2)


@dataclass(frozen=True)
class Amounts:
    """What a block has of each kind of work: `computed` by the processor, `moved` in memory."""

    computed: tuple[float, ...]
    moved: tuple[float, ...]


def amounts(case: BlockCase) -> Amounts:
    """Return the amounts of work of a block that runs, in the units of its way of running."""
    places = float(case.side**2)
    width, middle = _vectors(case.width), _vectors(case.middle)
    if case.mode == PATCHES:
        count, own = float(case.patches), float(case.granularity**2)
        halo = float((case.granularity + 2) ** 2)
        # A row of the batch is computed in tiles of places too.
        return Amounts(
            computed=(
                1.0,
                count,
                count * case.width * case.middle * (halo + own),
                count * 9 * middle * middle * own,
                count * 9 * middle * middle * case.granularity,
            ),
            moved=(
                places * case.width,
                count * halo * case.width,
                count * (halo + own) * case.middle,
                count * own * case.width,
            ),
        )
    if case.mode == CHANNELS:
        some = float(case.channels)
        return Amounts(
            computed=(
                1.0,
                2 * some * case.width * places,
                9 * some * some * places,
                9 * some * some,
            ),
            moved=(places * case.width, places * some, 9 * some * case.middle),
        )
    return Amounts(
        computed=(1.0, 2 * width * middle * places, 9 * middle * middle * places),
        moved=(places * case.width, places * case.middle, float(9 * middle * middle)),
    )


@dataclass(frozen=True)
class BlockLatencies:
    """What units of work take, by way of running, s; found by `fitted`."""

    units: Mapping[str, tuple[float, ...]]

    def latency(self, case: BlockCase, processor: float = 1.0, memory: float = 1.0) -> float:
        """
        Return what a block takes, s; of layers the mean over pictures.

        :param processor: its highest clock over the present one, at least 1 mostly
        :param memory: the same of the memory
        """
        if case.mode == LAYERS:
            return case.rate * self.latency(
                BlockCase(case.width, case.middle, case.side), processor, memory
            )
        if case.mode == PATCHES and not case.patches:
            return 0.0
        row = _row(case, processor, memory)
        return float(row @ np.array(self.units[case.mode]))


def fitted(cases: Sequence[BlockCase], seconds: Sequence[float]) -> BlockLatencies:
    """
    Return what units take so that relative errors are least; no unit takes less than nothing.

    :param cases: undivided ones, with patches, with channels; of each as many as it has units
    """
    units = {}
    for mode in dict.fromkeys(case.mode for case in cases):
        rows = [_row(case) / taken for case, taken in zip(cases, seconds) if case.mode == mode]
        units[mode] = tuple(_least_squares(np.array(rows)).tolist())
    return BlockLatencies(units)


def mean_error(
    latencies: BlockLatencies, cases: Sequence[BlockCase], seconds: Sequence[float]
) -> float:
    """Return the mean error, relative and without its sign, on measured blocks."""
    errors = [abs(latencies.latency(c) / taken - 1) for c, taken in zip(cases, seconds)]
    return float(np.mean(errors))


def on_board(
    board: BoardModel, case: BlockCase, processor: str, frequencies: Mapping[str, float]
) -> float:
    """
    Return what a block adds to the latency of a network on a modelled board, s.

    By the board's own law: each kernel is a layer, gathering and scattering are kernels.

    :param frequencies: of the board's domains, Hz
    """
    if case.mode == LAYERS:
        whole = BlockCase(case.width, case.middle, case.side)
        return case.rate * on_board(board, whole, processor, frequencies)
    parameters = 2 * case.width * case.middle + 9 * case.middle**2
    if case.mode == CHANNELS:
        parameters = 2 * case.width * case.channels + 9 * case.channels**2
    cost = NetworkCost(case.multiply_adds, _KERNELS[case.mode], parameters)
    empty = board.latency(NetworkCost(0, 0, 0), processor, frequencies)
    return board.latency(cost, processor, frequencies) - empty


def _row(case: BlockCase, processor: float = 1.0, memory: float = 1.0) -> NDArray[np.float64]:
    found = amounts(case)
    computed = np.array(found.computed) * processor
    return np.concatenate([computed, np.array(found.moved) * memory])


def _vectors(channels: int) -> int:
    return math.ceil(channels / _VECTOR) * _VECTOR


def _least_squares(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the coefficients, none below 0, whose products with the rows are nearest to 1."""
    scale = rows.max(axis=0)
    scale[scale == 0] = 1.0
    scaled = rows / scale
    square, target = scaled.T @ scaled, scaled.sum(axis=0)
    found = np.zeros(len(target))
    for _ in range(_STEPS):
        for index in range(len(found)):
            if square[index, index] > 0:
                step = (target[index] - square[index] @ found) / square[index, index]
                found[index] = max(found[index] + step, 0.0)
    return found / scale
