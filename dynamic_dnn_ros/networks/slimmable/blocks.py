# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which blocks of a network may be left out: those that add something to what went in."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

from dynamic_dnn_ros.networks.slimmable.axes import Factor, factors_of
from dynamic_dnn_ros.networks.slimmable.layout import Stage
from dynamic_dnn_ros.networks.slimmable.program import values_of
from dynamic_dnn_ros.networks.slimmable.reading import ReadStep

_PICTURE = 4


@dataclasses.dataclass
class _Block:
    path: str
    trunk: tuple[int, ...]
    additions: dict[str, str]


def stages_of(steps: Sequence[ReadStep]) -> tuple[Stage, ...]:
    """
    Return runs of blocks that may be left out.

    A block ends in an addition of a value to what was computed of it; without the block the value
    itself goes on. Blocks that follow each other and add to the same channels are one stage.
    """
    blocks: list[_Block] = []
    for step, stand_in in _additions(steps):
        trunk = _channels(step)
        if blocks and blocks[-1].path == step.block and blocks[-1].trunk == trunk:
            blocks[-1].additions[step.name] = stand_in
        else:
            blocks.append(_Block(step.block, trunk, {step.name: stand_in}))
    stages: list[list[_Block]] = []
    for block in blocks:
        if stages and stages[-1][-1].trunk == block.trunk:
            stages[-1].append(block)
        else:
            stages.append([block])
    return tuple(Stage(stage[0].path, tuple(each.additions for each in stage)) for stage in stages)


def _additions(steps: Sequence[ReadStep]) -> list[tuple[ReadStep, str]]:
    """Return the additions that end a block, with the value that the block is added to."""
    before: dict[str, set[str]] = {}
    found: list[tuple[ReadStep, str]] = []
    ends: set[str] = set()
    for step in steps:
        names = values_of(step.arguments)
        before[step.name] = {*names}.union(*(before.get(name, set()) for name in names))
        if step.operator != 'add' or len(names) != 2:
            continue
        one, two = names
        for stand_in, branch in ((one, two), (two, one)):
            within = before.get(branch, set())
            # The innermost blocks alone: what ends within would be left out with it.
            inside = {name for name in within if stand_in in before.get(name, ())}
            if stand_in in within and stand_in in before and not inside & ends:
                found.append((step, stand_in))
                ends.add(step.name)
                break
    return found


def _channels(step: ReadStep) -> tuple[int, ...]:
    """Return what tells the channels of a value from others."""
    dimensions = step.dimensions
    channels = dimensions[1] if len(dimensions) == _PICTURE else dimensions[-1]
    factors: list[Factor] = factors_of(channels)
    return tuple(id(factor) for factor in factors)
