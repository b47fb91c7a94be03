# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A sub-network that begins as another one does."""

from __future__ import annotations

from collections.abc import Sequence

from dynamic_dnn_ros.networks.slimmable.configuration import SlimmableConfiguration
from dynamic_dnn_ros.networks.slimmable.layout import SlimmableLayout, Stage
from dynamic_dnn_ros.networks.slimmable.steps import Step


def begun_as(
    layout: SlimmableLayout,
    configuration: SlimmableConfiguration,
    beginning: SlimmableConfiguration,
    before: Sequence[Step],
    value: str,
) -> SlimmableConfiguration:
    """
    Return a sub-network that begins as another one, up to a value; see the contract.

    It has the widths of whatever the beginning has a layer of, and is as deep as that up to
    the place; a stage in which the place lies has at least the blocks before it. It has the
    patches of the beginning where these are fewer before the place.

    :param before: the steps of the beginning up to the place
    :param value: what is handed on there
    """
    knobs = {
        layout.axes[int(factor[1:])].knob
        for step in before
        for tensor in (f'{step.layer}.weight', f'{step.layer}.bias', step.layer)
        for factors in layout.tensors.get(tensor, ())
        for factor in factors
        if isinstance(factor, str) and factor.startswith('a')
    }
    width = tuple(
        beginning.width[knob] if knob in knobs else percent
        for knob, percent in enumerate(configuration.width)
    )
    # The steps of the layout are in the order in which they run.
    order = {step.name: index for index, step in enumerate(layout.steps)}
    at = order[value]
    depth = tuple(
        _deep_enough(
            layout, stage, sum(max(map(order.__getitem__, b)) <= at for b in stage.blocks), *both
        )
        for stage, *both in zip(layout.stages, configuration.depth, beginning.depth)
    )
    patches = layout.patches
    fewer = patches is not None and order[patches.after] < at
    source = beginning if fewer else configuration
    return SlimmableConfiguration(width, depth, beginning.resolution, source.patches)


def _deep_enough(
    layout: SlimmableLayout, stage: Stage, passed: int, own: int, of_beginning: int
) -> int:
    """Return how deep a stage is, percent, given how many of its blocks lie before a place."""
    if passed == len(stage.blocks):
        return of_beginning
    needed = min(passed, stage.active(of_beginning))
    enough = (each for each in layout.depths if stage.active(each) >= needed)
    return max(own, min(enough))
