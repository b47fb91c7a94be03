# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Fewer patches behind a place of a transformer: squares of them become their mean.

Li et al., DS-Net++, TPAMI 2023, let a gate choose of them, beside depth, heads and perceptron.
Here the first layers see all patches, so that a gate may look at them first. It takes no weights:
steps that average are inserted, and sizes that count tokens are those of fewer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

from dynamic_dnn_ros.networks.checks import ConfigurationError, as_sequence, require_positive
from dynamic_dnn_ros.networks.slimmable.operators import LAYERS
from dynamic_dnn_ros.networks.slimmable.steps import Step

_WHOLE = 100

#: Operators whose sizes may be numbers of tokens.
_SIZED = ('expand', 'reshape')


@dataclasses.dataclass(frozen=True)
class Patches:
    """
    Where a transformer may go on with fewer patches.

    :param after: the value of tokens behind which they are fewer, N x tokens x channels
    :param lead: tokens before those of patches, as that of the class
    :param side: of the square that the patches form
    :param shares: of the patches, percent, rising to 100: squares of 2x2 leave 25, of 3x3 11
    """

    after: str
    lead: int
    side: int
    shares: tuple[int, ...]

    def __post_init__(self) -> None:
        require_positive('patches.side', self.side)
        if isinstance(self.lead, bool) or not isinstance(self.lead, int) or self.lead < 0:
            raise ConfigurationError('patches.lead', self.lead, 'a number of tokens')
        allowed = shares_of(self.side)
        shares = list(self.shares)
        known = all(type(share) is int and share in allowed for share in shares)
        if not known or shares != sorted(set(shares)) or shares[-1:] != [_WHOLE]:
            raise ConfigurationError(
                'patches.shares', shares, f'rising numbers of {sorted(allowed)} that end with 100'
            )

    @classmethod
    def from_mapping(cls, mapping: Any) -> Patches | None:
        """Return what a layout says; None: it says nothing."""
        if mapping is None:
            return None
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(mapping, Mapping) or set(mapping) != names:
            raise ConfigurationError('patches', mapping, f'a mapping of {sorted(names)}')
        return cls(**{**mapping, 'shares': as_sequence('patches.shares', mapping['shares'])})

    def to_mapping(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {**dataclasses.asdict(self), 'shares': list(self.shares)}

    @property
    def merged(self) -> str:
        """Return the name of the value that has fewer tokens."""
        return f'{self.after}__merged'

    def fewer(
        self,
        steps: Sequence[Step],
        tensors: Mapping[str, tuple[Sequence[int | str], ...]],
        share: int,
    ) -> tuple[Step, ...]:
        """
        Return the steps of a sub-network that goes on with a share of its patches.

        :param tensors: of the layout, with their dimensions
        :param share: percent
        :raises ConfigurationError: where the place is not among the steps, or no layer follows
        """
        names = [step.name for step in steps]
        if self.after not in names:
            raise ConfigurationError('patches.after', self.after, 'a value that every depth has')
        index = names.index(self.after) + 1
        before, behind = steps[:index], steps[index:]
        merge = shares_of(self.side)[share]
        tokens = self.lead + self.side**2, self.lead + (self.side // merge) ** 2
        return (
            *before,
            *self._merging(self._channels(behind, tensors), merge),
            *(self._moved(step, *tokens) for step in behind),
        )

    def _channels(
        self, behind: Sequence[Step], tensors: Mapping[str, tuple[Sequence[int | str], ...]]
    ) -> list[int | str]:
        """Return the factors of the number of channels: what the next layer takes."""
        for step in behind:
            if step.operator in LAYERS:
                dimensions = tensors.get(f'{step.layer}.weight', ())
                if step.operator in ('layer_norm', 'linear') and dimensions:
                    return list(dimensions[-1])
                break
        raise ConfigurationError('patches.after', self.after, 'a value of tokens before a layer')

    def _merging(self, channels: list[int | str], merge: int) -> list[Step]:
        few = (self.side // merge) ** 2
        names = ('lead', 'patches', 'turned', 'square', 'pooled', 'row', 'back')
        lead, patches, turned, square, pooled, row, back = (f'{self.merged}_{n}' for n in names)
        width = {'size': channels}
        value = {'value': self.after}
        return [
            Step(lead, 'slice', (value, 1, 0, self.lead, 1)),
            Step(patches, 'slice', (value, 1, self.lead, None, 1)),
            Step(turned, 'transpose', ({'value': patches}, 1, 2)),
            Step(square, 'reshape', ({'value': turned}, [-1, width, self.side, self.side])),
            Step(pooled, 'average_pool', ({'value': square}, merge)),
            Step(row, 'reshape', ({'value': pooled}, [-1, width, few])),
            Step(back, 'transpose', ({'value': row}, 1, 2)),
            Step(self.merged, 'concatenate', ([{'value': lead}, {'value': back}], 1)),
        ]

    def _moved(self, step: Step, before: int, after: int) -> Step:
        """Return a step behind the place: what it takes of there, and how many tokens."""
        arguments = _renamed(step.arguments, self.after, self.merged)
        if step.operator in _SIZED:
            given, sizes, *rest = arguments
            arguments = (given, _counted(sizes, before, after), *rest)
        return dataclasses.replace(step, arguments=arguments)


def shares_of(side: int) -> dict[int, int]:
    """Return the shares of patches that a square can have, percent, with what is averaged."""
    merges = (each for each in range(1, side) if side % each == 0)
    found: dict[int, int] = {}
    for merge in merges:
        found.setdefault(max(1, round(_WHOLE / merge**2)), merge)
    return found


def _renamed(argument: Any, old: str, new: str) -> Any:
    if isinstance(argument, (list, tuple)):
        return type(argument)(_renamed(each, old, new) for each in argument)
    if argument == {'value': old}:
        return {'value': new}
    return argument


def _counted(sizes: Sequence[Any], old: int, new: int) -> list[Any]:
    """
    Return sizes with another number of tokens.

    The first size that is their number counts them: tokens stand before their channels, and the
    channels of a head may be as many.
    """
    found = list(sizes)
    for index, size in enumerate(found):
        factors = size['size'] if isinstance(size, Mapping) and 'size' in size else [size]
        whole = [type(each) is int and each == old for each in factors]
        if any(whole):
            place = whole.index(True)
            factors = [*factors[:place], new, *factors[place + 1 :]]
            found[index] = {'size': factors} if isinstance(size, Mapping) else factors[0]
            break
    return found
