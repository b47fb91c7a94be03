# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The check of families finds stages that are not kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from dynamic_dnn_ros.networks.family_checks import _Suite
from support.bundles import LAYOUT
from support.staged_network import StagedMobile

Stages = tuple[nn.Module, ...]


def check(change: Callable[[Stages], Stages]) -> None:
    class Changed(StagedMobile):
        def extract_stages(self, *arguments: Any, **options: Any) -> Stages:
            return change(super().extract_stages(*arguments, **options))

    _Suite(Changed, LAYOUT.to_mapping(), 0).check_stages()


class Doubled(nn.Module):
    """The last stage, whose answer is doubled."""

    def __init__(self, last: nn.Module) -> None:
        super().__init__()
        self.last = last
        self.eval()

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor]:
        return (2 * self.last(features)[0],)


class Bare(Doubled):
    def forward(self, features: torch.Tensor) -> Any:
        return self.last(features)[0]


class Same(Doubled):
    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor]:
        return self.last(features)


def test_a_family_with_stages() -> None:
    check(lambda stages: stages)


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (lambda stages: stages[:1], 'what has one stage is one piece'),
        (lambda stages: (stages[0].train(), stages[1]), 'a stage is in eval mode'),
        (lambda stages: (stages[0], Doubled(stages[1])), 'the answer is that of the extracted'),
        (lambda stages: (stages[0], Bare(stages[1])), 'the last stage gives its answer'),
        (lambda stages: (stages[0], Same(stages[1])), 'bear their names in the dynamic network'),
    ],
)
def test_finds_what_is_not_kept(change: Callable[[Stages], Stages], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check(change)
