# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The families by name, those of other packages too (entry points `dynamic_dnn_ros.families`).

A new family of this package is one module that keeps the contract, and one line here.
"""

from __future__ import annotations

from collections.abc import Mapping
import importlib
from typing import Any

from dynamic_dnn_ros.bundles.manifest import Manifest
from dynamic_dnn_ros.extensions import ExtensionError, Extensions
from dynamic_dnn_ros.networks.contract import ConfigurationError, DynamicNetwork
from dynamic_dnn_ros.networks.exits import EXITS, with_exits
from dynamic_dnn_ros.networks.gate_layouts import GATES
from dynamic_dnn_ros.networks.gates import with_gates

#: The group of entry points in which another package offers a family: name = module:class.
ENTRY_POINTS = 'dynamic_dnn_ros.families'

_FAMILIES = {
    'adaptive_resnet': ('dynamic_dnn_ros.networks.adaptive_resnet', 'AdaptiveResNet'),
    'incremental_group': ('dynamic_dnn_ros.networks.incremental_group', 'IncrementalGroup'),
    'ofa_detector': ('dynamic_dnn_ros.networks.ofa_detector', 'OfaDetector'),
    'ofa_mobilenet_v3': ('dynamic_dnn_ros.networks.ofa_mobilenet_v3', 'OfaMobileNetV3'),
    'slimmable': ('dynamic_dnn_ros.networks.slimmable.network', 'Slimmable'),
}

#: The families of this package.
FAMILY_NAMES = tuple(_FAMILIES)

_OTHERS = Extensions(ENTRY_POINTS, 'family', FAMILY_NAMES, DynamicNetwork)


def family_names() -> tuple[str, ...]:
    """Return the names of all families, those of other packages last."""
    return (*FAMILY_NAMES, *_OTHERS.names())


def family_class(family: str) -> type[DynamicNetwork[Any]]:
    """
    Return the class of a family.

    :raises ConfigurationError: for an unknown one, or one that cannot be loaded.
    """
    network_class: type[DynamicNetwork[Any]] | None
    if family in _FAMILIES:
        module_name, class_name = _FAMILIES[family]
        network_class = getattr(importlib.import_module(module_name), class_name)
    else:
        try:
            network_class = _OTHERS.find(family)
        except ExtensionError as error:
            raise ConfigurationError('family', family, f'one that is of use. {error}') from error
    if network_class is None:
        raise ConfigurationError('family', family, f'one of {", ".join(family_names())}')
    return network_class


def network_of(manifest: Manifest) -> DynamicNetwork[Any]:
    """
    Create the network of a bundle's super-network, with fresh weights.

    :raises ConfigurationError: for an unknown family, or a layout that the family refuses.
    :raises BundleError: for a bundle of separate models.
    """
    source = manifest.super_network
    return create(source.family, source.layout)


def network_output(manifest: Manifest) -> str:
    """
    Return the name of the output of a bundle's super-network.

    :raises ConfigurationError: for an unknown family.
    """
    return family_class(manifest.super_network.family).output_name


def create(family: str, layout: str | Mapping[str, Any]) -> DynamicNetwork[Any]:
    """
    Create the network of a family and layout, with fresh weights.

    :param layout: the name of a layout that the family supplies, or its mapping.
        One with the field `exits` is of a network with early exits, see `networks.exits`;
        one with `gates` of a network with gates, see `networks.gates`.
    :raises ConfigurationError: for an unknown family, or a layout that the family refuses.
    """
    known = family_class(family)
    if isinstance(layout, Mapping) and EXITS in layout:
        known = with_exits(known)
    if isinstance(layout, Mapping) and GATES in layout:
        known = with_gates(known)
    return known.from_layout(layout)
