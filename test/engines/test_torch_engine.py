# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from dynamic_dnn_ros.bundles.errors import BundleError
from dynamic_dnn_ros.bundles.manifest import SubNetwork
from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.engines.torch_engine import TorchEngine


def with_first(bundle: Bundle, **changes: Any) -> Bundle:
    first, *others = bundle.manifest.sub_networks
    sub_networks = (replace(first, **changes), *others)
    return replace(bundle, manifest=replace(bundle.manifest, sub_networks=sub_networks))


def with_configuration(bundle: Bundle, **changes: Any) -> Bundle:
    first: SubNetwork = bundle.manifest.sub_networks[0]
    return with_first(bundle, configuration={**first.configuration, **changes})


def test_all_sub_networks_share_one_copy_of_the_weights(bundle: Bundle) -> None:
    engine = TorchEngine(bundle, 1)
    prepared = [engine.prepare(entry, 'cpu') for entry in bundle.manifest.sub_networks]
    owners = [
        {p.untyped_storage().data_ptr() for p in entry._module.parameters()} for entry in prepared
    ]
    shared = owners[0] & owners[1] & owners[2]
    # Kernels made by a learned transform are the only weights that cannot be views.
    assert len(shared) >= 0.7 * len(owners[0])


def test_runs_with_the_threads_it_was_given(bundle: Bundle) -> None:
    TorchEngine(bundle, 1)
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize(
    ('changes', 'named'),
    [
        ({'depth': [9, 9]}, 'depth'),
        ({'kernel_size': [4]}, 'kernel_size'),
        ({'colour': 'red'}, 'colour'),
    ],
)
def test_illegal_configuration_is_named(
    bundle: Bundle, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(BundleError, match=rf"'s0' has an illegal configuration.*{named}"):
        TorchEngine(with_configuration(bundle, **changes), 1)


def test_resolution_of_manifest_and_configuration_agree(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match='says resolution 40'):
        TorchEngine(with_first(bundle, resolution=40), 1)


def test_unknown_family_and_weights_of_another_layout(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match='family'):
        TorchEngine(replace(bundle, manifest=replace(bundle.manifest, family='resnet')), 1)
    layout = {**bundle.manifest.layout, 'stem_width': 16}
    with pytest.raises(BundleError, match='do not fit the network'):
        TorchEngine(replace(bundle, manifest=replace(bundle.manifest, layout=layout)), 1)
