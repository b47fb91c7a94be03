# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From designs to a bundle: backbones with the heads of their exits, profile and model card."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
from pathlib import Path
from typing import Any

from dynamic_dnn_ros.bundles.manifest import SubNetwork, SuperNetwork
from dynamic_dnn_ros.bundles.profile import OperatingPoints
from dynamic_dnn_ros.bundles.reader import Bundle, Weights
from dynamic_dnn_ros.bundles.stages import Stage
from dynamic_dnn_ros.bundles.writer import MODEL_CARD_NAME, weights_content
from dynamic_dnn_ros.engines.verification import write_recorded_bundle
from dynamic_dnn_ros.networks.contract import Arrays, DynamicNetwork
from dynamic_dnn_ros.networks.exit_heads import HeadLayout
from dynamic_dnn_ros.networks.exits import EXITS, ExitConfiguration, ExitNetwork
from dynamic_dnn_ros.networks.registry import create
from dynamic_dnn_ros.profiling.simulated import simulated_profile
from dynamic_dnn_ros.search.joint.backbones import TrainedHeads
from dynamic_dnn_ros.search.joint.board_costs import BoardCosts, Setting
from dynamic_dnn_ros.search.joint.designs import Design
from dynamic_dnn_ros.search.joint.exit_answers import Mixture
from dynamic_dnn_ros.search.results import stored_type
from dynamic_dnn_ros.training.export import manifest_entry

#: Digits of a number in a manifest: works and shares are measured no better.
_DIGITS = 6


@dataclasses.dataclass(frozen=True, eq=False)
class KeptDesign:
    """
    A design that is written.

    :param tested: its mixture on the test pictures
    :param heads: of its backbone
    :param statistics: of its batch-norm layers
    """

    identifier: str
    design: Design
    tested: Mixture
    heads: TrainedHeads
    statistics: Arrays


class Heads:
    """The heads of several backbones in one network, each only where some design has its exit."""

    def __init__(self, kept: Sequence[KeptDesign]) -> None:
        """Number the heads that are needed."""
        self.layouts: list[HeadLayout] = []
        self.tensors: Arrays = {}
        self._numbers: dict[tuple[Any, str], int] = {}
        for each in kept:
            for place in places_of(each.design):
                self._take(each, place)

    def _take(self, kept: KeptDesign, place: str) -> None:
        key = kept.design.backbone.configuration, place
        if key in self._numbers:
            return
        heads = kept.heads
        old = heads.network.exits_of(heads.configuration)[place]
        new = self._numbers[key] = len(self.layouts)
        self.layouts.append(heads.network.heads[old])
        before, after = f'{EXITS}.{old}.', f'{EXITS}.{new}.'
        for name, array in heads.tensors.items():
            if name.startswith(before):
                self.tensors[after + name[len(before) :]] = array

    def configuration(self, design: Design) -> ExitConfiguration:
        """Return the configuration of a design in the network with all these heads."""
        flags = [0] * len(self.layouts)
        for place in places_of(design):
            flags[self._numbers[design.backbone.configuration, place]] = 1
        return ExitConfiguration(design.backbone.configuration, tuple(flags))


def places_of(design: Design) -> tuple[str, ...]:
    """Return the places of a design's exits."""
    return tuple(design.backbone.places[each] for each in design.mixture.exits)


def write_joint_bundle(
    folder: Path,
    bundle: Bundle,
    network: DynamicNetwork[Any],
    kept: Sequence[KeptDesign],
    board: BoardCosts,
    tested: str,
    card: bytes,
) -> Bundle:
    """
    Write a bundle whose sub-networks are designs, the cheapest first, with a profile of the board.

    :param bundle: that the backbones are of
    :param tested: what the accuracies are of
    :raises BundleError: when the folder cannot be written
    """
    heads = Heads(kept)
    layout = network.layout_mapping()
    made = network
    if heads.layouts:
        layout = {**layout, EXITS: [each.to_mapping() for each in heads.layouts]}
        made = create(network.family, layout)
    entries = tuple(_entry(each, made, heads) for each in kept)
    manifest = dataclasses.replace(
        bundle.manifest,
        name=folder.name,
        source=SuperNetwork(network.family, layout),
        sub_networks=entries,
        accuracy_data=tested,
        profiles=(),
        files={},
    )
    weights = Weights(
        {**network.state(), **heads.tensors}, {each.identifier: each.statistics for each in kept}
    )
    return write_recorded_bundle(
        folder,
        manifest,
        weights_content(weights, stored_type(bundle)),
        (_profile(board, entries, kept),),
        {MODEL_CARD_NAME: card},
    )


def _entry(kept: KeptDesign, network: DynamicNetwork[Any], heads: Heads) -> SubNetwork:
    design = kept.design
    configuration: Any = design.backbone.configuration
    if isinstance(network, ExitNetwork):
        configuration = heads.configuration(design)
    names = [each.replace('.', '_') for each in places_of(design)]
    stages = tuple(
        Stage(name, '', threshold, round(work, _DIGITS), round(share, _DIGITS))
        for name, threshold, work, share in zip(
            [*names, 'rest'],
            (*design.mixture.thresholds, None),
            design.works,
            design.mixture.taken,
        )
    )
    accuracy = round(kept.tested.accuracy, _DIGITS)
    entry = manifest_entry(network, configuration, kept.identifier, accuracy)
    return dataclasses.replace(entry, stages=stages if names else ())


def _profile(
    board: BoardCosts, entries: Sequence[SubNetwork], kept: Sequence[KeptDesign]
) -> OperatingPoints:
    points = simulated_profile(board.board, board.board.platform, entries)
    found = '; '.join(
        f'{each.identifier} {clocks(each.design.setting)}'
        for each in kept
        if each.design.setting is not None
    )
    return dataclasses.replace(
        points, description=f'{points.description}. Clocks with the least energy: {found}'
    )


def clocks(setting: Setting | None) -> str:
    """Return a setting in words."""
    if setting is None:
        return "the board's governors"
    return ', '.join(f'{name} {hertz / 1e6:.0f} MHz' for name, hertz in setting.items())
