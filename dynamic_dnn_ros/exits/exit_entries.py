# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a manifest says of a sub-network with early exits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from dynamic_dnn_ros.bundles.manifest import LONGEST_ID, SubNetwork
from dynamic_dnn_ros.bundles.stages import Stage
from dynamic_dnn_ros.exits.heads import stage_names
from dynamic_dnn_ros.networks.exits import ExitConfiguration, ExitNetwork
from dynamic_dnn_ros.training.export import manifest_entry

#: Digits of a number in a manifest: works and shares are measured no better.
DIGITS = 6


def exit_entry(
    network: ExitNetwork,
    configuration: ExitConfiguration,
    identifier: str,
    thresholds: Sequence[float],
    work: Sequence[float],
    taken: Sequence[float],
    accuracy: float,
) -> SubNetwork:
    """
    Return what a manifest says of a sub-network with exits.

    :param configuration: with the exits that it has
    :param thresholds: of the exits, 0..1, in the order of their places
    :param work: share of the cost of all stages that is spent after each stage, the last is 1
    :param taken: share of the calibration pictures that leave after each stage
    :param accuracy: of the mixture, 0..1
    """
    names = stage_names(network, configuration)
    return replace(
        manifest_entry(network, configuration, identifier, round(accuracy, DIGITS)),
        stages=tuple(
            Stage(name, '', threshold, round(spent, DIGITS), round(share, DIGITS))
            for name, threshold, spent, share in zip(names, (*thresholds, None), work, taken)
        ),
    )


def exit_identifier(backbone: str, thresholds: Sequence[float], known: Collection[str]) -> str:
    """Return an id: backbone and thresholds, in thousandths; a number where that does not do."""
    name = '_'.join([backbone, 'exits', *(f'{round(each * 1000)}' for each in thresholds)])
    if len(name) <= LONGEST_ID and name not in known:
        return name
    number = 1
    while f'exits_{number}' in known:
        number += 1
    return f'exits_{number}'
