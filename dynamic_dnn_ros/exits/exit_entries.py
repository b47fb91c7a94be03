# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a manifest says of a sub-network with early exits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from dynamic_dnn_ros.bundles.manifest import LONGEST_ID, SubNetwork
from dynamic_dnn_ros.bundles.stages import Stage
from dynamic_dnn_ros.networks.contract import DynamicNetwork
from dynamic_dnn_ros.training.export import manifest_entry

#: Digits of a number in a manifest: works and shares are measured no better.
_DIGITS = 6


def exit_entry(
    network: DynamicNetwork[Any],
    configuration: Any,
    identifier: str,
    names: Sequence[str],
    thresholds: Sequence[float],
    work: Sequence[float],
    taken: Sequence[float],
    accuracy: float,
) -> SubNetwork:
    """
    Return what a manifest says of a sub-network with exits.

    :param configuration: with the exits that it has
    :param names: of its stages
    :param thresholds: of the exits, 0..1, in the order of their stages
    :param work: share of the cost of all stages that is spent after each stage, the last is 1
    :param taken: share of the calibration pictures that leave after each stage
    :param accuracy: of the mixture, 0..1
    """
    return replace(
        manifest_entry(network, configuration, identifier, round(accuracy, _DIGITS)),
        stages=tuple(
            Stage(name, '', threshold, round(spent, _DIGITS), round(share, _DIGITS))
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
