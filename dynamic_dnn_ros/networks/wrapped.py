# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a network of a family becomes by having something put onto it: exits, gates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy.typing as npt

from dynamic_dnn_ros.networks.contract import ConfigurationT, DynamicNetwork


class WrappedNetwork(DynamicNetwork[ConfigurationT]):
    """
    A network that has all layers and parameters of another one, under their names.

    :param network: of a family; its children and parameters are part of this one then
    """

    base: ClassVar[type[DynamicNetwork[Any]]]
    """The family."""

    def __init__(self, network: DynamicNetwork[Any]) -> None:
        super().__init__()
        # No child of this one: its children are, so that tensors keep their names.
        self.__dict__['_network'] = network
        for name, child in network.named_children():
            self.add_module(name, child)
        self.take_parameters()

    @property
    def backbone(self) -> DynamicNetwork[Any]:
        """Return the family's network, whose layers are those of this one."""
        network: DynamicNetwork[Any] = self.__dict__['_network']
        return network

    def take_parameters(self) -> None:
        """Have the parameters and buffers that the family's network has outside of children."""
        for name, parameter in self.backbone.named_parameters(recurse=False):
            self.register_parameter(name, parameter)
        for name, buffer in self.backbone.named_buffers(recurse=False):
            self.register_buffer(name, buffer)

    def load_state(
        self, arrays: Mapping[str, npt.NDArray[Any]], share_memory: bool = False
    ) -> None:
        """Take over what `state` returned; see the contract."""
        super().load_state(arrays, share_memory)
        # Children are the family's own; what it has besides was exchanged here alone.
        for name, parameter in self.named_parameters(recurse=False):
            setattr(self.backbone, name, parameter)
        for name, buffer in self.named_buffers(recurse=False):
            setattr(self.backbone, name, buffer)
