# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which gates are made, of which sub-networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import Any

from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork
from dynamic_dnn_ros.engines.registry import AUTO
from dynamic_dnn_ros.exits.errors import ExitError
from dynamic_dnn_ros.exits.settings import check_counts, check_losses
from dynamic_dnn_ros.networks.contract import ConfigurationError, DynamicNetwork


@dataclass(frozen=True)
class GateSettings:
    """
    Which gates are made.

    :param choices: ids of sub-networks, the fastest first, whose parts behind the shared beginning
        the gate chooses of; empty: the fastest and the most accurate of one size
    :param shared: places up to which all begin as the first one does
    :param after: the place of the gate in the first one, from 0; None: at the end of what is
        shared, as published
    :param complexities: weights of the loss on costs; a sub-network is made for each
    :param at_most_below: in place of complexities: losses of accuracy that are promised, 0..1,
        against the last choice as it is in the bundle; a sub-network is made for each
    :param squeeze: channels of the gate's hidden layer
    :param pictures: that the gate is trained on
    :param views: ways in which each of these is altered
    :param epochs: of the gate's training
    :param alone: write the choices and what is behind gates, without the others of the bundle
    :param engine: that will serve the bundle
    :param threads: of one inference on the CPU
    :param turns: measurements of the latency of each path
    """

    choices: tuple[str, ...] = ()
    shared: int = 1
    after: int | None = None
    complexities: tuple[float, ...] = (0.0,)
    at_most_below: tuple[float, ...] = ()
    squeeze: int = 64
    pictures: int = 10_000
    views: int = 1
    epochs: int = 8
    alone: bool = False
    engine: str = AUTO
    threads: int = 1
    turns: int = 40

    def __post_init__(self) -> None:
        for value in self.complexities:
            if not math.isfinite(value):
                raise ExitError(f'complexity {value:g}: a weight is a finite number, as 0.1')
        if self.at_most_below:
            check_losses(self.at_most_below)
        elif not self.complexities:
            raise ExitError('no complexity is given: name at least one, as 0.1')
        if self.after is not None and self.after < self.shared - 1:
            raise ExitError(
                f'after is {self.after}: a gate lies at the end of the {self.shared} places that '
                f'are shared, {self.shared - 1}, or behind it'
            )
        check_counts(
            ('shared', self.shared, 1),
            ('squeeze', self.squeeze, 1),
            ('pictures', self.pictures, 1000),
            ('views', self.views, 1),
            ('epochs', self.epochs, 1),
            ('threads', self.threads, 1),
            ('turns', self.turns, 1),
        )

    @property
    def place(self) -> int:
        """Return the number of the place after which the gate lies."""
        return self.shared - 1 if self.after is None else self.after


def chosen_entries(manifest: Manifest, choices: Sequence[str]) -> list[SubNetwork]:
    """
    Return the sub-networks that a gate is to choose of.

    :raises BundleError: for an unknown id
    :raises ExitError: where they cannot be behind one gate
    """
    if choices:
        entries = [manifest.sub_network(name) for name in choices]
    else:
        whole = [entry for entry in manifest.own_sub_networks if not entry.stages]
        best = max(whole, key=lambda entry: entry.accuracy_for_targets)
        of_size = [entry for entry in whole if entry.size == best.size]
        entries = [min(of_size, key=lambda entry: entry.multiply_adds), best]
    for entry in entries:
        if entry.stages:
            raise ExitError(f'{entry.id!r} has stages itself: name sub-networks of one piece')
        if entry.size != entries[0].size:
            raise ExitError(
                f'{entry.id!r} takes pictures of {entry.size}, and {entries[0].id!r} of '
                f'{entries[0].size}: name sub-networks of one size'
            )
    if len({entry.id for entry in entries}) < max(2, len(entries)):
        raise ExitError(
            f'choices are {", ".join(entry.id for entry in entries)}: two different sub-networks '
            'are needed at least'
        )
    return entries


def grafted(
    network: DynamicNetwork[Any], entries: Sequence[SubNetwork], settings: GateSettings
) -> list[Any]:
    """
    Return the configurations of sub-networks that all begin as the first one does.

    :raises ExitError: where the family cannot be cut, or has no such place
    """
    found = [network.configuration(entry.configuration) for entry in entries]
    try:
        others = [
            network.with_beginning(each, found[0], settings.shared - 1) for each in found[1:]
        ]
    except ConfigurationError as error:
        raise ExitError(f'no gate can be put on {entries[0].id!r}: {error}') from error
    return [found[0], *others]
