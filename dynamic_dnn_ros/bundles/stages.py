# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The stages of a sub-network, as a manifest holds them.

After a stage with an exit the answer may be good enough, so that an easy picture takes a part of
the sub-network only. After one with a gate, the gate's scores say which stage runs next. Stages
are parts of one network, or other sub-networks of the bundle: a cascade, the small one first.
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

_NAME = {
    'type': 'string',
    'pattern': r'^[a-z0-9_]{1,32}\Z',
    'description': '1 to 32 small letters, digits and underscores',
}

#: The schema of one stage, without what all names of a manifest have in common.
SCHEMA: dict[str, Any] = {
    'type': 'object',
    'required': ['name', 'work', 'taken'],
    'additionalProperties': False,
    'properties': {
        'name': _NAME,
        'sub_network': {'type': 'string', 'minLength': 1},
        'exit': {
            'type': 'object',
            'required': ['threshold'],
            'additionalProperties': False,
            'properties': {'threshold': _SHARE},
        },
        'gate': {
            'type': 'object',
            'required': ['next'],
            'additionalProperties': False,
            'properties': {'next': {'type': 'array', 'items': _NAME, 'minItems': 1}},
        },
        'then': _NAME,
        'last': {'type': 'boolean'},
        'cost': _SHARE,
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
    `work` is the share of the largest path's cost, 0..1, for a picture that leaves after it, the
    mean over calibration pictures where several paths lead there; `taken` the share of the
    calibration pictures that leave.

    `choices` names the stages of which a gate picks one; none: it has no gate. `then` names the
    stage that runs after it, empty: the next one in the list. After one that is `last` the answer
    is final; that at the end of the list always is.

    `cost` is the share of the largest path's cost that lies in this stage alone. Where all stages
    have one, the work of a picture is the sum over the stages that it took, not `work`.
    """

    name: str
    sub_network: str = ''
    threshold: float | None = None
    work: float = 1.0
    taken: float = 0.0
    choices: tuple[str, ...] = ()
    then: str = ''
    last: bool = False
    cost: float | None = None

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
            choices=tuple(entry['gate']['next']) if 'gate' in entry else (),
            then=entry.get('then', ''),
            last=entry.get('last', False),
            cost=None if entry.get('cost') is None else float(entry['cost']),
        )

    def to_mapping(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        mapping: dict[str, Any] = {'name': self.name}
        if self.sub_network:
            mapping['sub_network'] = self.sub_network
        if self.threshold is not None:
            mapping['exit'] = {'threshold': self.threshold}
        if self.choices:
            mapping['gate'] = {'next': list(self.choices)}
        if self.then:
            mapping['then'] = self.then
        if self.last:
            mapping['last'] = True
        if self.cost is not None:
            mapping['cost'] = self.cost
        return {**mapping, 'work': self.work, 'taken': self.taken}


def routes(stages: Sequence[Stage]) -> tuple[tuple[int, ...], ...]:
    """
    Return the numbers of the stages that may run after each one; none: its answer is final.

    Of a gate in the order of its scores.

    :param stages: without a problem, see `problems_of`
    """
    numbers = {stage.name: number for number, stage in enumerate(stages)}
    found: list[tuple[int, ...]] = []
    for number, stage in enumerate(stages):
        if number == len(stages) - 1 or stage.last:
            found.append(())
        elif stage.choices:
            found.append(tuple(numbers[name] for name in stage.choices))
        else:
            found.append((numbers[stage.then] if stage.then else number + 1,))
    return tuple(found)


def branches(stages: Sequence[Stage]) -> bool:
    """Tell whether something other than the next one in the list may run after a stage."""
    return any(stage.choices or stage.then or stage.last for stage in stages)


def work_of(stages: Sequence[Stage], taken: Sequence[int]) -> float:
    """
    Return the share of the largest path's cost of a picture, 0..1.

    :param taken: the numbers of the stages that it took, at least one
    """
    if stages[0].cost is None:
        return stages[taken[-1]].work
    return min(1.0, math.fsum(stages[number].cost or 0.0 for number in taken))


def largest_path(stages: Sequence[Stage]) -> tuple[int, ...]:
    """Return the numbers of the stages of the largest path: of a gate the last choice."""
    following = routes(stages)
    path = [0]
    while following[path[-1]]:
        path.append(following[path[-1]][-1])
    return tuple(path)


def leaving(stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """
    Return the stages as the paths that pictures take, by rising work.

    Where stages branch, those alone after which pictures leave: as if they ran one after the
    other, which costs each path what it costs.
    """
    if not branches(stages):
        return tuple(stages)
    ends = [stage for stage, onward in zip(stages, routes(stages)) if not onward or _leaves(stage)]
    return tuple(sorted(ends, key=lambda stage: stage.work))


@dataclass(frozen=True)
class Flow:
    """
    How pictures flow through stages, as the shares of the calibration pictures say.

    `reached` is the share of all pictures that gets to each stage; `onward` of each stage says
    what share of the pictures that ran it goes on to which; `parts` is the share of the largest
    path's cost that lies in it.
    """

    reached: tuple[float, ...]
    onward: tuple[Mapping[int, float], ...]
    parts: tuple[float, ...]


def flow(stages: Sequence[Stage]) -> Flow:
    """
    Return how pictures flow through stages.

    Where the branches of a gate meet again, shares do not tell how many took which: equally many.
    """
    following = routes(stages)
    # What leaves after a stage or any that it leads to.
    behind = [0.0] * len(stages)
    for number in reversed(range(len(stages))):
        reachable = _reachable(following, number)
        behind[number] = math.fsum(stages[each].taken for each in reachable)
    reached = [1.0, *[0.0] * (len(stages) - 1)]
    onward: list[Mapping[int, float]] = []
    into: list[list[float]] = [[] for _ in stages]
    for number, stage in enumerate(stages):
        stays = max(0.0, reached[number] - stage.taken)
        total = math.fsum(behind[each] for each in following[number])
        shares: dict[int, float] = {}
        for each in following[number]:
            part = behind[each] / total if total else 1.0 / len(following[number])
            reached[each] += stays * part
            shares[each] = (stays / reached[number] if reached[number] else 1.0) * part
            into[each].append(stage.work)
        onward.append(shares)
    parts = [
        max(0.0, stage.work - (math.fsum(before) / len(before) if before else 0.0))
        if stage.cost is None
        else stage.cost
        for stage, before in zip(stages, into)
    ]
    return Flow(tuple(reached), tuple(onward), tuple(parts))


def _reachable(following: Sequence[Sequence[int]], start: int) -> set[int]:
    """Return the stages that a picture may get to from one of them, that one included."""
    found, pending = {start}, [start]
    while pending:
        for each in following[pending.pop()]:
            if each not in found:
                found.add(each)
                pending.append(each)
    return found


def _leaves(stage: Stage) -> bool:
    return stage.threshold is not None


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
    wrong = [*_names(stages), *_order(stages)]
    yield from wrong
    if wrong:
        return  # which stages lead to which is not known
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


def _order(stages: Sequence[Stage]) -> Iterator[str]:
    """Yield what is wrong with the order in which stages run."""
    names = [stage.name for stage in stages]
    sound = True
    for number, stage in enumerate(stages):
        named = [('gate', name) for name in stage.choices]
        if stage.then:
            named.append(('field "then"', stage.then))
        for what, name in named:
            if name not in names:
                sound = False
                yield (
                    f'has a {what} after stage {stage.name!r} that chooses the stage {name!r}, '
                    f'which is not there. It has: {", ".join(names)}'
                )
            elif names.index(name) <= number:
                sound = False
                yield (
                    f'has stages that form a loop: after {stage.name!r} runs {name!r}, which is '
                    'not later in the list. Name only later stages'
                )
        for name in dict.fromkeys(stage.choices):
            if stage.choices.count(name) > 1:
                yield f'has a gate after stage {stage.name!r} that names {name!r} twice'
        if stage.choices and stage.sub_network:
            yield (
                f'has a gate after stage {stage.name!r}, which is a whole sub-network and gives '
                'no scores: a cascade has exits'
            )
        is_last = stage.last or number == len(stages) - 1
        has = [
            what
            for what, there in (
                ('a gate', stage.choices),
                ('an exit', stage.threshold is not None),
                ('a field "then"', stage.then),
            )
            if there
        ]
        if is_last and (stage.choices or stage.then):
            yield (
                f'has {" and ".join(has)} after stage {stage.name!r}, whose answer is final: '
                'leave it out, or the mark "last"'
            )
        elif stage.choices and len(has) > 1:
            yield (
                f'has {" and ".join(has)} after stage {stage.name!r}: a gate alone says what '
                'runs next, so leave the others out'
            )
    if sound:
        reachable = _reachable(routes(stages), 0)
        for number, stage in enumerate(stages):
            if number not in reachable:
                yield (
                    f'has the stage {stage.name!r}, to which no other one leads: leave it out, '
                    'or name it in a gate or in "then"'
                )


def _exits(stages: Sequence[Stage]) -> Iterator[str]:
    following = routes(stages)
    earlier = [stage for stage, onward in zip(stages, following) if onward]
    for stage, onward in zip(stages, following):
        if not onward and stage.threshold is not None:
            yield (
                f'has a threshold after its last stage {stage.name!r}, whose answer is always '
                'taken: leave its exit out'
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
    following = routes(stages)
    into: dict[int, list[float]] = {}
    for stage, onward in zip(stages, following):
        for each in onward:
            into.setdefault(each, []).append(stage.work)
    for number, stage in enumerate(stages):
        # Where paths meet, work is the mean over them.
        before = min(into.get(number, [0.0]))
        if not stage.work >= before:
            yield (
                f'has works that fall, {stage.work:g} after {before:g} at stage {stage.name!r}: '
                'the work of a stage counts all stages before it'
            )
    path = largest_path(stages)
    end = path[-1]
    meet = any(len(works) > 1 for works in into.values())
    if not meet and not abs(stages[end].work - 1) <= _WORK_TOLERANCE:
        yield (
            f'has the work {stages[end].work:g} after its last stage {stages[end].name!r}: work '
            'is a share of the largest path, whose own is 1'
        )
    without = [stage.name for stage in stages if stage.cost is None]
    if without and len(without) < len(stages):
        yield f'gives a cost for some stages, not for {without[0]!r}: give it for all or none'
    elif not without:
        whole = math.fsum(stages[number].cost or 0.0 for number in path)
        if not abs(whole - 1) <= _SHARE_TOLERANCE:
            yield (
                f'has costs that are {whole:g} along the largest path, taken together: a cost is '
                'a share of that path, so they sum to 1'
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
