# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A family whose sub-networks have an exit in the middle, and a bundle of it; random weights."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from dynamic_dnn_ros.bundles.reader import Bundle
from dynamic_dnn_ros.bundles.stages import Stage
from dynamic_dnn_ros.bundles.writer import write_bundle
from dynamic_dnn_ros.networks import registry
from dynamic_dnn_ros.networks.elastic_layers import parameter_from
from dynamic_dnn_ros.networks.mobile_layers import MobileNetV3
from dynamic_dnn_ros.networks.ofa_layouts import MobileNetV3Configuration, MobileNetV3Layout
from dynamic_dnn_ros.networks.ofa_mobilenet_v3 import OfaMobileNetV3
from support.bundles import LAYOUT, make_bundle

FAMILY = 'staged_mobile'

#: With an exit after the first stage, as in a manifest.
STAGES = (Stage('early', '', 0.5, 0.4, 0.6), Stage('late', '', None, 1.0, 0.4))


class StagedMobile(OfaMobileNetV3):
    """A network of two stages of blocks, with a head after the first."""

    family = FAMILY

    def __init__(self, layout: MobileNetV3Layout) -> None:
        super().__init__(layout)
        self.early = nn.Linear(layout.stages[0].width, layout.classes)

    def extract_stages(
        self, configuration: MobileNetV3Configuration, share_weights: bool = False
    ) -> tuple[nn.Module, ...]:
        static = self.extract(configuration, share_weights)
        early = nn.Linear(self.early.in_features, self.early.out_features, device='meta')
        early.weight = parameter_from(self.early.weight, share_weights)
        early.bias = parameter_from(self.early.bias, share_weights)
        return First(static, early).eval(), Last(static).eval()


class First(nn.Module):
    """The stem, the first stage of blocks and a head."""

    def __init__(self, static: MobileNetV3, early: nn.Linear) -> None:
        super().__init__()
        self.stem = static.stem
        self.first_block = static.first_block
        self.stages = nn.Sequential(OrderedDict({'0': static.stages[0]}))
        self.early = early

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.stages(self.first_block(self.stem(images)))
        return self.early(features.mean((2, 3))), features


class Last(nn.Module):
    """The second stage of blocks and the classifier."""

    def __init__(self, static: MobileNetV3) -> None:
        super().__init__()
        self.stages = nn.Sequential(OrderedDict({'1': static.stages[1]}))
        self.final_expand = static.final_expand
        self.feature_mix = static.feature_mix
        self.feature_activation = nn.Hardswish()
        self.classifier = static.classifier

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor]:
        features = self.final_expand(self.stages(features)).mean((2, 3), keepdim=True)
        features = self.feature_activation(self.feature_mix(features))
        return (self.classifier(features.flatten(1)),)


def register(patch: pytest.MonkeyPatch) -> None:
    """Have the family known, in this process."""
    patch.setitem(registry._FAMILIES, FAMILY, (__name__, StagedMobile.__name__))


def make_staged_bundle(folder: Path) -> Bundle:
    """Write a bundle of two sub-networks, ``s0`` and ``s1``, of two stages each."""
    torch.manual_seed(0)
    network = StagedMobile(LAYOUT)
    with torch.no_grad():
        network.classifier.weight.mul_(20.0)
        network.early.weight.mul_(20.0)
    plain = make_bundle(folder, 'staged', network=network)
    entries = tuple(replace(each, stages=STAGES) for each in plain.manifest.sub_networks)
    manifest = replace(plain.manifest, sub_networks=entries)
    return write_bundle(folder, manifest, plain.source_content)
