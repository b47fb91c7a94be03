# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The average of weights over the steps of a training, which is better than the last ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import contextlib
from typing import Any

import torch
from torch import nn


class AveragedWeights:
    """
    Exponential average of a module's parameters.

    In the first steps it follows faster, so that it does not remember where they began.

    :param share: of the average that each step keeps, 0..1; 0 for no average.
    """

    def __init__(self, module: nn.Module, share: float) -> None:
        self._module = module
        self._share = share
        self._steps = 0
        self._averages: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights after a step."""
        if not self._share:
            return
        parameters = dict(self._module.named_parameters())
        if not self._averages:
            self._averages = {name: each.detach().clone() for name, each in parameters.items()}
        kept = min(self._share, (1 + self._steps) / (10 + self._steps))
        self._steps += 1
        torch._foreach_lerp_(list(self._averages.values()), list(parameters.values()), 1 - kept)

    def begin(self) -> None:
        """Forget what was averaged: weights may have changed places since."""
        self._steps = 0
        self._averages = {}

    @torch.no_grad()
    def put_in_place(self) -> None:
        """Give the module the averages, for good."""
        for name, parameter in self._module.named_parameters():
            if name in self._averages:
                parameter.copy_(self._averages[name])

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Give the module the averages while the context lasts."""
        own = {
            name: each.detach().clone()
            for name, each in self._module.named_parameters()
            if name in self._averages
        }
        self.put_in_place()
        try:
            yield
        finally:
            with torch.no_grad():
                for name, parameter in self._module.named_parameters():
                    if name in own:
                        parameter.copy_(own[name])

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {'steps': self._steps, 'averages': self._averages}

    def load_state(self, state: Mapping[str, Any] | None) -> None:
        """Take over what a checkpoint kept; nothing where it is older than this."""
        if state is None:
            return
        self._steps = state['steps']
        parameters = dict(self._module.named_parameters())
        self._averages = {
            name: average.to(parameters[name].device, copy=True)
            for name, average in state['averages'].items()
        }
