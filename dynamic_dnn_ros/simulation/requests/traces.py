# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What each layer of a network took for each of many inputs, in the files of Sparse-DySta.

A file has a row for each layer of each input, with the columns `batch-indx` (the input),
`layer-indx`, `overall-sparsity`, and `sim_lat` (s) for the accelerator Eyeriss-V2, or `50%-skip`
(load balance) for Sanger, where `overall-sparsity` is the share that is *not* zero and latency
follows from a formula. Other columns are left alone.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dynamic_dnn_ros.simulation.scenario import ScenarioError

SEQUENCE = 512
"""Tokens of an input on Sanger, as published."""

INPUT, LAYER, SPARSITY = 'batch-indx', 'layer-indx', 'overall-sparsity'
LATENCY, BALANCE = 'sim_lat', '50%-skip'


@dataclass(frozen=True, eq=False)
class Trace:
    """
    A network, pruned in one pattern.

    :param network: its name
    :param pattern: of pruning, empty where there is only one
    :param latency: inputs x layers, s, above 0
    :param density: inputs x layers, share that is not zero, above 0
    """

    network: str
    pattern: str
    latency: NDArray[np.float64]
    density: NDArray[np.float64]

    @property
    def isolated(self) -> float:
        """Return the mean latency of an input alone, s."""
        return float(self.latency.sum(axis=1).mean())

    @cached_property
    def paths(self) -> list[tuple[list[float], list[float], list[float]]]:
        """
        Return of each input three lists by layer.

        These are its latency, s; what is left before the layer, s; and what the layers before it
        tell of its pace: the published gamma, the mean of its density over the mean density.
        """
        left = np.cumsum(self.latency[:, ::-1], axis=1)[:, ::-1]
        relative = self.density / self.density.mean(axis=0)
        layers = np.arange(1, relative.shape[1])
        pace = np.ones_like(relative)
        pace[:, 1:] = np.cumsum(relative, axis=1)[:, :-1] / layers
        return list(zip(self.latency.tolist(), left.tolist(), pace.tolist()))


def sanger_latency(
    density: ArrayLike, balance: ArrayLike, sequence: int = SEQUENCE
) -> NDArray[np.float64]:
    """
    Return what an attention layer takes on Sanger, s.

    An array of 64 x 64 processing elements at 1 GHz, 16 of them in a row for linear layers, a
    hidden width of 768. The linear layers of query, key and value are dense. The attention
    matrix is packed and split into sub-rows, and goes in tiles of 64 x 64 through two pipelines,
    as deep as the hidden width and as there are sub-rows. The last linear layer is as sparse as
    the attention.

    :param density: share of the attention matrix that is not zero
    :param balance: share of the processing elements that have work, 0..1
    :param sequence: tokens
    """
    tile, width, frequency = 64, 768, 1e9
    operations = tile * 16 * 2 * frequency  # a multiply-add is two
    share = np.asarray(density, dtype=np.float64) / np.asarray(balance, dtype=np.float64)
    linear = 2.0 * sequence * width * width / operations
    rows = share / 0.25 * sequence
    deep = (width + tile) + (rows + tile)
    attention = (rows / tile) * deep * (sequence / tile) / frequency
    return np.asarray(3 * linear + linear * share + attention, dtype=np.float64)


def read_trace(path: Path, network: str, pattern: str = '') -> Trace:
    """
    Read a file.

    :raises ScenarioError: when it cannot be read, lacks a column or a layer, or holds no latency
    """
    try:
        with path.open(newline='', encoding='utf-8') as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ScenarioError(path, f'cannot be read ({error})', 'Give a CSV file') from error
    if not rows:
        raise ScenarioError(path, 'has no rows', 'Give a trace of at least one input')
    kind = next((name for name in (LATENCY, BALANCE) if name in rows[0]), None)
    missing = [name for name in (INPUT, LAYER, SPARSITY) if name not in rows[0]]
    if kind is None or missing:
        raise ScenarioError(
            path,
            f'lacks the column {(missing or [f"{LATENCY} or {BALANCE}"])[0]!r}',
            f'Columns are {INPUT}, {LAYER}, {SPARSITY}, and {LATENCY} (s) or {BALANCE}',
        )
    table = np.full((len(rows), 4), np.nan)
    for index, row in enumerate(rows):
        try:
            table[index] = [float(row[name]) for name in (INPUT, LAYER, SPARSITY, kind)]
        except (TypeError, ValueError) as error:
            raise ScenarioError(
                f'{path}: row {index + 2}', f'is no row of numbers ({error})', 'Mend the file'
            ) from error
    inputs, place = np.unique(table[:, 0], return_inverse=True)
    layers = table[:, 1].astype(np.int64)
    shape = (len(inputs), int(layers.max(initial=0)) + 1)
    if (
        len(rows) != shape[0] * shape[1]
        or layers.min() < 0
        or len(set(zip(place.tolist(), layers.tolist()))) != len(rows)
    ):
        raise ScenarioError(
            path,
            f'does not hold each of {shape[1]} layers once for each of {shape[0]} inputs',
            'Give whole inputs, layers counted from 0',
        )
    sparsity, last = np.empty(shape), np.empty(shape)
    sparsity[place, layers], last[place, layers] = table[:, 2], table[:, 3]
    density = sparsity if kind == BALANCE else 1.0 - sparsity
    good = np.isfinite(last) & (last > 0) & (density > 0) & (density <= 1)
    if not good.all():
        raise ScenarioError(
            path,
            f'{int((~good).sum())} rows have a {kind} or an {SPARSITY} that cannot be',
            f'{kind} is above 0, {SPARSITY} within 0 and 1',
        )
    latency = sanger_latency(density, last) if kind == BALANCE else last
    return Trace(network, pattern, latency, density)
