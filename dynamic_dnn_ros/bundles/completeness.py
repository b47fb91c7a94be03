# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a profile lacks that a manager could miss, though every figure in it is sound."""

from __future__ import annotations

import numpy as np

from dynamic_dnn_ros.bundles.manifest import Manifest
from dynamic_dnn_ros.bundles.profile import OperatingPoints


def missing_from(profile: OperatingPoints, manifest: Manifest) -> list[str]:
    """
    Return what is incomplete or out of date in a profile, a sentence each; empty: nothing.

    Complete is a profile that has each sub-network of the bundle once at each setting of the
    frequency domains on each processor that it knows, and each quantity for all points or none.
    """
    problems = []
    known = {entry.id for entry in manifest.sub_networks}
    if absent := sorted(known - set(profile.sub_networks)):
        problems.append(f'has no point for {", ".join(absent)}')
    for name in ('domains', 'processors', 'sub_networks'):
        values = getattr(profile, name)
        if len(set(values)) < len(values):
            problems.append(f'names one of its {name} twice')
    problems += _settings(profile)
    for name in ('power', 'idle_power', 'energy'):
        unknown = int(np.isnan(getattr(profile, name)).sum())
        if 0 < unknown < len(profile):
            problems.append(f'has no {name} for {unknown} of {len(profile)} points')
    disorder = (profile.latency_p50 > profile.latency_p95) | (
        profile.latency_p95 > profile.latency_p99
    )
    if disorder.any():
        problems.append(
            f'has {int(disorder.sum())} points whose latency p50, p95 and p99 are not in order'
        )
    if is_older_than_weights(profile, manifest):
        problems.append('was made with other weights than the bundle has now')
    return problems


def is_older_than_weights(profile: OperatingPoints, manifest: Manifest) -> bool | None:
    """Tell whether a profile was made with other weights; None where it does not say which."""
    if not profile.weights_sha256:
        return None
    return profile.weights_sha256 != manifest.weights_sha256


def _settings(profile: OperatingPoints) -> list[str]:
    problems = []
    for number, processor in enumerate(profile.processors):
        on_processor = profile.processor == number
        wanted = {tuple(row) for row in profile.frequencies[on_processor].tolist()}
        for index, name in enumerate(profile.sub_networks):
            rows = profile.frequencies[on_processor & (profile.sub_network == index)].tolist()
            found = {tuple(row) for row in rows}
            if len(found) < len(rows):
                problems.append(f'has {name} twice at one setting on {processor!r}')
            if len(found) < len(wanted):
                problems.append(
                    f'has {name} on {processor!r} at {len(found)} of {len(wanted)} settings'
                )
    return problems
