# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which cascades are made, and of which sub-networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dynamic_dnn_ros.bundles.manifest import Manifest, SubNetwork
from dynamic_dnn_ros.engines.registry import AUTO
from dynamic_dnn_ros.exits.errors import ExitError


def check_losses(values: Sequence[float]) -> None:
    """
    Check losses of accuracy that are promised.

    :raises ExitError: for one outside of 0..1, or none at all
    """
    for value in values:
        if not 0.0 <= value < 1.0:
            raise ExitError(
                f'at most {value:g} below: a loss of accuracy is a number in 0..1, half a '
                'point is 0.005'
            )
    if not values:
        raise ExitError('no loss of accuracy is given: name at least one, as 0.005')


def check_counts(*counts: tuple[str, int, int]) -> None:
    """
    Check whole numbers, each with its name and the least that it may be.

    :raises ExitError: naming the first one that is below
    """
    for name, number, least in counts:
        if number < least:
            raise ExitError(f'{name} is {number}: at least {least} is needed')


@dataclass(frozen=True)
class CascadeSettings:
    """
    Which cascades are made.

    :param stages: ids of the sub-networks that run one after the other; empty: those that take
        the least time are found, ending in the most accurate one
    :param at_most_below: losses of accuracy that are promised, 0..1, against the last stage
        alone; a cascade is made for each
    :param longest: stages at most, where they are found
    :param engine: that will serve the bundle
    :param threads: of one inference on the CPU
    :param turns: measurements of the latency of each sub-network
    """

    stages: tuple[str, ...] = ()
    at_most_below: tuple[float, ...] = (0.005,)
    longest: int = 3
    engine: str = AUTO
    threads: int = 1
    turns: int = 60

    def __post_init__(self) -> None:
        check_losses(self.at_most_below)
        check_counts(
            ('longest', self.longest, 2), ('threads', self.threads, 1), ('turns', self.turns, 1)
        )


def candidate_stages(
    manifest: Manifest, stages: Sequence[str], say: Callable[[str], None]
) -> list[SubNetwork]:
    """Return sub-networks to make cascades of; of those that are named, all in their order."""
    if stages:
        entries = [manifest.sub_network(name) for name in stages]
        if len(set(stages)) < len(stages) or len(stages) < 2:
            raise ExitError(
                f'stages {",".join(stages)}: name two sub-networks or more, each once, the '
                'fastest first'
            )
        for entry in entries:
            if entry.stages:
                raise ExitError(
                    f'stage {entry.id!r} has stages itself: name sub-networks of one piece, '
                    f'of {", ".join(e.id for e in manifest.sub_networks if not e.stages)}'
                )
            if entry.size != entries[-1].size:
                raise ExitError(
                    f'stage {entry.id!r} takes pictures of {entry.size}, and {stages[-1]!r} of '
                    f'{entries[-1].size}: all stages of a cascade take the same picture'
                )
        return entries
    whole = [entry for entry in manifest.sub_networks if not entry.stages]
    known = [entry for entry in whole if entry.accuracy_is_known]
    if not known:
        raise ExitError(
            f'bundle {manifest.name!r}: nobody knows the accuracy of its sub-networks, nor which '
            "is the best. Name the stages with --stages, or measure it with 'dynamic-dnn profile "
            "--data'"
        )
    last = max(known, key=lambda entry: entry.accuracy)
    others = [entry for entry in whole if entry.size == last.size and entry is not last]
    left_out = [entry.id for entry in whole if entry.size != last.size]
    if left_out:
        say(
            f'left out, since the most accurate sub-network {last.id} takes pictures of '
            f'{last.size} and all stages take the same one: {", ".join(left_out)}'
        )
    if not others:
        raise ExitError(
            f'bundle {manifest.name!r}: no other sub-network takes pictures of {last.size} as the '
            f'most accurate one does, {last.id!r}. Add smaller sub-networks of that size, or name '
            'stages of another size with --stages'
        )
    return [*others, last]
