# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The parts of a network that decides by the picture, as served: what is not needed is not run.

A *group* is the blocks of one size. What of them runs is decided once, where the group begins. A
stage is one choice of blocks of a group, with the convolution that begins the next group and the
decision for that; those of the last group end with the answer. So a picture takes one stage a
group, whatever it needs, and blocks that run together are one graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
import dataclasses
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from dynamic_dnn_ros.networks.adaptive_gathering import run_channels, run_patches
from dynamic_dnn_ros.networks.adaptive_layers import Masker, ResidualBlock
from dynamic_dnn_ros.networks.adaptive_layouts import CHANNELS, LAYERS, AdaptiveLayout
from dynamic_dnn_ros.networks.decisions import advantage


@dataclasses.dataclass(frozen=True)
class PartOfNetwork:
    """
    What one stage runs: blocks of a group, and then what begins the next.

    :param group: its number, -1 of the part before the first
    :param blocks: the numbers of the blocks that run
    """

    name: str
    group: int
    blocks: tuple[int, ...]


def parts_of(layout: AdaptiveLayout) -> tuple[PartOfNetwork, ...]:
    """Return the stages of a layout, in order; the last of a group runs all of its blocks."""
    parts = [PartOfNetwork('begin', -1, ())]
    for group, stage in enumerate(layout.stages):
        for choice in range(2**stage.blocks):
            blocks = tuple(each for each in range(stage.blocks) if choice >> each & 1)
            named = ''.join(map(str, blocks)) or 'none'
            parts.append(PartOfNetwork(f'group_{group}_{named}', group, blocks))
    return tuple(parts)


def routes_of(layout: AdaptiveLayout) -> tuple[tuple[int, ...], ...]:
    """Return the numbers of the stages that may run after each stage."""
    parts = parts_of(layout)
    of_group = {
        group: tuple(number for number, part in enumerate(parts) if part.group == group)
        for group in range(len(layout.stages))
    }
    return tuple(of_group.get(part.group + 1, ()) for part in parts)


class AdaptivePart(nn.Module):
    """
    One stage.

    The first takes pictures, the others features. It gives the scores of its gate and features;
    those of the last group logits.
    """

    def __init__(
        self, network: Any, layout: AdaptiveLayout, part: PartOfNetwork, threshold: float
    ) -> None:
        """
        Take its modules out of a static network.

        :param network: with `stem`, `stages` and `classifier`
        """
        super().__init__()
        self._part = part
        self._threshold = threshold
        self._last = part.group == len(layout.stages) - 1
        held: dict[str, nn.Module] = {}
        if part.group < 0:
            self.stem = network.stem
        else:
            blocks = network.stages[part.group].blocks
            chosen = {str(number): blocks[number] for number in part.blocks}
            held[str(part.group)] = nn.ModuleDict({'blocks': nn.ModuleDict(chosen)})
        if self._last:
            self.classifier = network.classifier
        else:
            following = network.stages[part.group + 1]
            maskers: dict[str, nn.Module] = {
                str(number): nn.ModuleDict({'masker': block.masker})
                for number, block in enumerate(following.blocks)
            }
            held[str(part.group + 1)] = nn.ModuleDict(
                {'shrink': following.shrink, 'blocks': nn.ModuleDict(maskers)}
            )
        self.stages = nn.ModuleDict(held)

    def forward(self, values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return what it gives of pictures or features."""
        part = self._part
        stages: Any = self.stages
        if part.group < 0:
            features = self.stem(values)
        else:
            features = self._blocks(stages[str(part.group)]['blocks'], values)
        if self._last:
            return (self.classifier(features.mean((2, 3))),)
        following = stages[str(part.group + 1)]
        features = following['shrink'](features)
        return gate_scores(following['blocks'].values(), features, self._threshold), features

    def _blocks(self, blocks: Any, features: torch.Tensor) -> torch.Tensor:
        """Run what is needed of the blocks, by what the group began with."""
        begun = features
        for number in self._part.blocks:
            block: ResidualBlock = blocks[str(number)]
            if block.mode == LAYERS:
                features = block(features)
                continue
            assert block.masker is not None
            runs = advantage(block.masker(begun), self._threshold) > 0
            features = run_needed(block, features, runs)
        return features


def gate_scores(blocks: Iterable[Any], features: torch.Tensor, threshold: float) -> torch.Tensor:
    """
    Return the scores of a gate, N x choices of blocks.

    That of a choice is the sum of what its blocks have above what they need to run: so the highest
    is that of exactly those that are to run. What is no number makes no score a number.

    :param blocks: of the group, each with its masker
    :param features: that the group begins with
    """
    maskers: list[Masker] = [block['masker'] for block in blocks]
    chosen = torch.tensor(
        [
            [float(choice >> block & 1) for block in range(len(maskers))]
            for choice in range(2 ** len(maskers))
        ],
        device=features.device,
    )
    pooled = maskers[0].pool(features)
    if not maskers[0].is_linear:
        above = [advantage(each.scores(pooled), threshold).flatten(1) for each in maskers]
        return torch.stack([each.amax(1) for each in above], 1) @ chosen.t()
    # One product says all, since its matrix is known before any picture.
    weight = torch.cat([each.decide.weight[1:] - each.decide.weight[:1] for each in maskers])
    bias = torch.stack([advantage(each.bias[None], threshold)[0] for each in maskers])
    return functional.linear(pooled.flatten(1), chosen @ weight.flatten(1), chosen @ bias)


def run_needed(block: ResidualBlock, features: torch.Tensor, runs: torch.Tensor) -> torch.Tensor:
    """
    Run the patches, or the groups of channels, of a block that are to run, and nothing else.

    :param runs: N x rows x columns of patches, or N x groups x 1; true runs
    """
    if block.mode == CHANNELS:
        return run_channels(block, features, runs[:, :, 0])
    return run_patches(block, features, runs)


def extracted_parts(
    network: Any, layout: AdaptiveLayout, threshold: float
) -> Iterator[AdaptivePart]:
    """Yield the stages of a static network with maskers."""
    for part in parts_of(layout):
        yield AdaptivePart(network, layout, part, threshold).requires_grad_(False).eval()
