# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The stages of a sub-network, as a manifest holds them.

After a stage with an exit the answer may be good enough, so that an easy picture takes a part of
the sub-network only. Stages are parts of one network, or other sub-networks of the bundle: a
cascade, the small one first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
import math
from typing import Any, Protocol

from dynamic_dnn_ros.pictures.placement import Size

#: By which the last work may be off 1, and the sum of shares, as rounded figures leave them.
_WORK_TOLERANCE, _SHARE_TOLERANCE = 1e-6, 1e-3

_SHARE = {'type': 'number', 'minimum': 0, 'maximum': 1}

#: The schema of one stage, without what all names of a manifest have in common.
SCHEMA: dict[str, Any] = {
    'type': 'object',
    'required': ['name', 'work', 'taken'],
    'additionalProperties': False,
    'properties': {
        'name': {
            'type': 'string',
            'pattern': r'^[a-z0-9_]{1,32}\Z',
            'description': '1 to 32 small letters, digits and underscores',
        },
        'sub_network': {'type': 'string', 'minLength': 1},
        'exit': {
            'type': 'object',
            'required': ['threshold'],
            'additionalProperties': False,
            'properties': {'threshold': _SHARE},
        },
        'work': {'type': 'number', 'exclusiveMinimum': 0, 'maximum': 1},
        'taken': _SHARE,
    },
}


@dataclass(frozen=True)
class Stage:
    """
    A part of a sub-network that runs without a decision.

    `sub_network` is the id of another one that is this stage of a cascade, empty for a part of a
    family's network. The answer after it is taken where the task's confidence, 0..1, is at least
    `threshold`; None: there is no exit, or it is the last stage, whose answer is always taken.
    `work` is the share of the largest path's cost, 0..1, for a picture that leaves after it;
    `taken` the share of the calibration pictures that do.
    """

    name: str
    sub_network: str = ''
    threshold: float | None = None
    work: float = 1.0
    taken: float = 0.0

    @classmethod
    def from_mapping(cls, entry: Mapping[str, Any]) -> Stage:
        """Return the stage of an entry that keeps the schema."""
        leaving = entry.get('exit')
        return cls(
            name=entry['name'],
            sub_network=entry.get('sub_network', ''),
            threshold=None if leaving is None else float(leaving['threshold']),
            work=float(entry['work']),
            taken=float(entry['taken']),
        )

    def to_mapping(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        mapping: dict[str, Any] = {'name': self.name}
        if self.sub_network:
            mapping['sub_network'] = self.sub_network
        if self.threshold is not None:
            mapping['exit'] = {'threshold': self.threshold}
        return {**mapping, 'work': self.work, 'taken': self.taken}


class Staged(Protocol):
    """What is to be known of a sub-network to check stages."""

    @property
    def id(self) -> str:
        """Return its id."""

    @property
    def size(self) -> Size:
        """Return the size of its input."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Return its stages; none: it is one piece."""


def problems_of(
    sub_network: Staged, others: Mapping[str, Staged], has_parts: bool
) -> Iterator[str]:
    """
    Yield what is wrong with the stages of a sub-network, each with the remedy in the sentence.

    :param others: all sub-networks of the bundle by their ids
    :param has_parts: whether sub-networks of the bundle may have parts: not separate models
    """
    stages = sub_network.stages
    if not stages:
        return
    if len(stages) == 1:
        yield (
            f'has the one stage {stages[0].name!r}, and a sub-network of one piece has none: '
            'leave it out, or give two'
        )
        return
    yield from _names(stages)
    yield from _exits(stages)
    yield from _figures(stages)
    named = [stage for stage in stages if stage.sub_network]
    if not named:
        if not has_parts:
            yield (
                'has stages that are parts of its network, and separate models have none: let '
                'each stage name a sub_network'
            )
    elif len(named) < len(stages):
        missing = next(stage for stage in stages if not stage.sub_network)
        yield (
            f'names a sub-network for {len(named)} of {len(stages)} stages, not for '
            f'{missing.name!r}: either all stages are sub-networks or none is'
        )
    else:
        yield from _cascade(sub_network, others)


def _names(stages: Sequence[Stage]) -> Iterator[str]:
    names = [stage.name for stage in stages]
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            yield f'has two stages {name!r}: give each its own name'


def _exits(stages: Sequence[Stage]) -> Iterator[str]:
    *earlier, last = stages
    if last.threshold is not None:
        yield (
            f'has a threshold after its last stage {last.name!r}, whose answer is always taken: '
            'leave its exit out'
        )
    for stage in stages:
        if stage.threshold is not None and not 0 <= stage.threshold <= 1:
            yield (
                f'has the threshold {stage.threshold:g} after stage {stage.name!r}: a confidence '
                'is 0..1, and so is a threshold'
            )
    for stage in earlier:
        if stage.sub_network and stage.threshold is None:
            yield (
                f'has no exit after stage {stage.name!r}, though that is a whole sub-network '
                'whose answer would be lost: give its exit a threshold, or leave the stage out'
            )
        if stage.threshold is None and stage.taken:
            yield (
                f'says that {stage.taken:g} of all pictures leave after stage {stage.name!r}, '
                'which has no exit: let it take 0'
            )


def _figures(stages: Sequence[Stage]) -> Iterator[str]:
    before = 0.0
    for stage in stages:
        if not stage.work >= before:
            yield (
                f'has works that fall, {stage.work:g} after {before:g} at stage {stage.name!r}: '
                'the work of a stage counts all stages before it'
            )
        before = stage.work
    if not abs(stages[-1].work - 1) <= _WORK_TOLERANCE:
        yield (
            f'has the work {stages[-1].work:g} after its last stage: work is a share of the '
            'largest path, so the last is 1'
        )
    total = math.fsum(stage.taken for stage in stages)
    if not abs(total - 1) <= _SHARE_TOLERANCE:
        yield (
            f'has stages that {total:g} of all pictures leave after, taken together: the shares '
            'sum to 1'
        )


def _cascade(sub_network: Staged, others: Mapping[str, Staged]) -> Iterator[str]:
    named = [stage.sub_network for stage in sub_network.stages]
    for stage in sub_network.stages:
        other = others.get(stage.sub_network)
        if other is None:
            known = ', '.join(name for name, one in others.items() if not one.stages)
            yield (
                f'has the stage {stage.name!r} of sub-network {stage.sub_network!r}, which the '
                f'bundle has not. It has: {known}'
            )
        elif other.stages:
            loop = _loop(sub_network.id, other, others)
            what = f'form a loop, {" -> ".join(loop)}' if loop else f'name {other.id!r}'
            yield (
                f'has stages that {what}, which has stages itself: the stages of a cascade are '
                'sub-networks of one piece'
            )
        elif other.size != sub_network.size:
            yield (
                f'takes pictures of {sub_network.size}, and its stage {stage.name!r}, sub-network '
                f'{other.id!r}, of {other.size}: all stages of a cascade take one picture'
            )
    for name in dict.fromkeys(named):
        if named.count(name) > 1:
            yield f'names sub-network {name!r} in two stages: the second answers as the first did'


def _loop(identifier: str, through: Staged, others: Mapping[str, Staged]) -> list[str]:
    """Return the ids along which a cascade comes back to itself; none where it does not."""
    pending: list[tuple[str, ...]] = [(identifier, through.id)]
    seen = {through.id}
    while pending:
        path = pending.pop()
        if path[-1] == identifier:
            return list(path)
        for stage in others[path[-1]].stages if path[-1] in others else ():
            if stage.sub_network == identifier or stage.sub_network not in seen:
                seen.add(stage.sub_network)
                pending.append((*path, stage.sub_network))
    return []
