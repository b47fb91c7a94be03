# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a manifest says of a cascade."""

from __future__ import annotations

from collections.abc import Sequence

from dynamic_dnn_ros.bundles.manifest import (
    LONGEST_ID,
    AccuracySource,
    Manifest,
    SeparateModels,
    SubNetwork,
)
from dynamic_dnn_ros.bundles.stages import Stage
from dynamic_dnn_ros.exits.selection import Cascade

#: Digits of a number in a manifest: works and shares are measured no better.
_DIGITS = 6


def cascade_entry(
    manifest: Manifest, cascade: Cascade, taken_ids: Sequence[str], accuracy: float, below: float
) -> SubNetwork:
    """
    Return what a manifest says of a cascade.

    Its accuracy is that of its last stage in the manifest less what was lost on the test pictures:
    where these are those that the manifest's figures are of, it is the accuracy that was measured;
    where they are others, it still compares with the other sub-networks of the bundle. It is never
    above that of the last stage.
    """
    members = [manifest.sub_network(name) for name in cascade.stages]
    last = members[-1]
    if last.accuracy_is_known:
        # Where a mixture does better than its last stage, that is chance or these pictures.
        accuracy = max(0.0, last.accuracy - max(0.0, below))
    parameters = sum(entry.parameters for entry in members)
    if isinstance(manifest.source, SeparateModels):
        by_file = {manifest.model_file(entry): entry.parameters for entry in members}
        parameters = sum(by_file.values())
    return SubNetwork(
        id=_identifier(manifest, cascade, taken_ids),
        configuration={},
        size=last.size,
        accuracy=round(accuracy, _DIGITS),
        multiply_adds=sum(entry.multiply_adds for entry in members),
        parameters=parameters,
        layers=sum(entry.layers for entry in members),
        accuracy_source=AccuracySource.MEASURED,
        stages=tuple(
            Stage(name, name, threshold, round(work, _DIGITS), round(share, _DIGITS))
            for name, threshold, work, share in zip(
                cascade.stages, (*cascade.thresholds, None), cascade.work, cascade.taken
            )
        ),
    )


def _identifier(manifest: Manifest, cascade: Cascade, taken: Sequence[str]) -> str:
    """Return an id: stages and thresholds, in thousandths; a number where that is too long."""
    parts = [*cascade.stages, *(f'{round(each * 1000)}' for each in cascade.thresholds)]
    name = '_'.join(parts)
    known = {entry.id: entry for entry in manifest.sub_networks}
    if len(name) <= LONGEST_ID and (name not in known or known[name].is_cascade):
        return name
    number = 1
    while f'cascade_{number}' in known or f'cascade_{number}' in taken:
        number += 1
    return f'cascade_{number}'
