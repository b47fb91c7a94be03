# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Which channels of a network belong together.

Every dimension of every tensor is a product of *factors*, outermost first: the channels of a
grouped convolution are groups times channels of a group, the rows of an attention's first matrix
are three times heads times channels of a head. Where an operator needs two dimensions to be alike,
their factors become the same; where it needs part of a dimension, a factor is split. What is left
in the end, and may get smaller, is an axis: all dimensions that have it get smaller together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import math


class Factor:
    """
    A factor of dimensions.

    :param size: a whole number above 1.
    :param kept: why it has to stay as it is; empty where it may get smaller.
    """

    def __init__(self, size: int, kept: str = '') -> None:
        self.size = size
        self._kept = kept
        self._same: Factor | None = None
        self._parts: tuple[Factor, ...] = ()

    @property
    def root(self) -> Factor:
        """Return what stands for all factors that are the same as this one."""
        factor = self
        while factor._same is not None:
            factor = factor._same
        return factor

    @property
    def kept(self) -> str:
        """Return why it has to stay as it is; empty where it may get smaller."""
        return self.root._kept

    def keep(self, why: str) -> None:
        """Let it stay as it is, parts and all; the first reason counts."""
        root = self.root
        root._kept = root._kept or why
        for part in root._parts:
            part.keep(why)

    def leaves(self) -> list[Factor]:
        """Return the factors that it was split into, or itself."""
        root = self.root
        return factors_of(root._parts) if root._parts else [root]

    def split(self, outer: int) -> None:
        """Split it into a factor of this size and the rest."""
        root = self.root
        root._parts = (Factor(outer, root._kept), Factor(root.size // outer, root._kept))

    def join(self, other: Factor) -> None:
        """Make it and another leaf of its size the same."""
        one, two = self.root, other.root
        if one is two:
            return
        two._same = one
        one._kept = one._kept or two._kept


Dimension = list[Factor]
"""Factors, the outermost first; none: the size is 1."""


def dimension(size: int, kept: str = '') -> Dimension:
    """Return a dimension of one factor."""
    return [Factor(size, kept)] if size > 1 else []


def factors_of(factors: Iterable[Factor]) -> list[Factor]:
    """Return all leaves, in order."""
    return [leaf for factor in factors for leaf in factor.leaves()]


def size_of(factors: Iterable[Factor]) -> int:
    """Return the product of sizes."""
    return math.prod(factor.size for factor in factors)


def keep(factors: Iterable[Factor], why: str) -> None:
    """Let a dimension stay as it is."""
    for factor in factors:
        factor.keep(why)


def unite(one: Dimension, two: Dimension, why_not: str) -> None:
    """
    Make two dimensions of equal size the same.

    :param why_not: the reason by which both are kept where their factors do not fit.
    """
    while True:
        ones, twos = factors_of(one), factors_of(two)
        pair = next(((a, b) for a, b in zip(ones, twos) if a is not b), None)
        if pair is None:
            return
        a, b = pair
        if a.size == b.size:
            a.join(b)
        elif a.size % b.size == 0:
            a.split(b.size)
        elif b.size % a.size == 0:
            b.split(a.size)
        else:
            keep([*ones, *twos], why_not)
            return


def regrouped(factors: Dimension, sizes: Sequence[int], why_not: str) -> list[Dimension]:
    """
    Return the factors of a tensor's dimensions, one after the other, as dimensions of new sizes.

    :param why_not: the reason by which all are kept where a border lies inside of a factor.
    """
    whole = list(factors)
    result: list[Dimension] = []
    rest = factors_of(whole)
    for size in sizes:
        taken: Dimension = []
        needed = size
        while needed > 1:
            if not rest:
                return _kept_anew(whole, sizes, why_not)
            head = rest[0]
            if needed % head.size == 0:
                taken.append(rest.pop(0))
                needed //= head.size
            elif head.size % needed == 0:
                head.split(needed)
                rest = factors_of(rest)
            else:
                return _kept_anew(whole, sizes, why_not)
        result.append(taken)
    return result if not rest else _kept_anew(whole, sizes, why_not)


def _kept_anew(factors: Dimension, sizes: Sequence[int], why: str) -> list[Dimension]:
    keep(factors, why)
    return [dimension(size, why) for size in sizes]
