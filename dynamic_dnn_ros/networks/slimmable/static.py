# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Static sub-networks of the family `slimmable`, and parts of them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from dynamic_dnn_ros.networks.contract import Section
from dynamic_dnn_ros.networks.slimmable.program import Program


class SlimNetwork(Section):
    """A static sub-network, or a part of it: plain layers, and the operators between them."""

    def __init__(
        self,
        program: Program,
        layers: Mapping[str, nn.Module],
        tensors: Mapping[str, nn.Parameter],
    ) -> None:
        super().__init__()
        self._program = program
        self._layers, self._tensors = tuple(layers), tuple(tensors)
        put(self, layers, tensors)

    def mount(self, root: nn.Module) -> None:
        """Have the layers under their names in another module too."""
        put(
            root,
            {name: self.get_submodule(name) for name in self._layers},
            {name: self.get_parameter(name) for name in self._tensors},
        )

    def run(self, root: nn.Module, value: torch.Tensor) -> torch.Tensor:
        """Return what the network says of N x 3 x H x W, or what the part makes of its input."""
        return self._program.run(
            value, lambda name, inputs: root.get_submodule(name)(inputs), root.get_parameter
        )


def put(
    root: nn.Module, layers: Mapping[str, nn.Module], tensors: Mapping[str, nn.Parameter]
) -> None:
    """Put layers and parameters under their names into a module."""
    for name, layer in layers.items():
        parent, last = _parent(root, name)
        parent.add_module(last, layer)
    for name, tensor in tensors.items():
        parent, last = _parent(root, name)
        parent.register_parameter(last, tensor)


def _parent(root: nn.Module, name: str) -> tuple[nn.Module, str]:
    path, _, last = name.rpartition('.')
    module = root
    for part in path.split('.') if path else ():
        if part not in module._modules:
            module.add_module(part, nn.Module())
        module = module.get_submodule(part)
    return module, last
