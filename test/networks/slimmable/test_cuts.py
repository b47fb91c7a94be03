# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where slimmable networks can be cut."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dynamic_dnn_ros.networks.contract import ConfigurationError
from dynamic_dnn_ros.networks.cutting import part
from dynamic_dnn_ros.networks.slimmable.capture import capture
from support.slimmable import convolutions, transformer

#: Networks are so small that threads only wait for each other.
pytestmark = pytest.mark.usefixtures('one_thread')


def convolution(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU())


class Bottlenecks(nn.Module):
    """Two blocks that widen within, as those of MobileNetV2; what follows the last is no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            nn.Sequential(convolution(3, 32), convolution(32, 8)),
            nn.Sequential(convolution(8, 48), convolution(48, 16)),
        )
        self.head = nn.Linear(16, 3)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.head(self.blocks(pictures).mean((2, 3)))
        return answer


def test_places_are_ends_of_blocks_with_what_they_hand_on() -> None:
    network = convolutions().network
    assert network.places(network.largest()) == {
        'stem': (8, 20, 20),
        'layer1.0': (8, 20, 20),
        'layer1': (8, 20, 20),
        'layer2.0': (16, 10, 10),
    }


def test_a_block_that_is_left_out_has_no_end() -> None:
    network = convolutions().network
    assert network.places(network.smallest()) == {'stem': (4, 16, 16), 'layer1.0': (4, 16, 16)}


def test_tokens_are_handed_on_before_they_are_normalised() -> None:
    network = transformer().network
    places = network.places(network.largest())
    assert set(places.values()) == {(17, 24)}
    assert list(places) == [
        'patches',
        *(f'blocks.{n}{end}' for n in (0, 1) for end in ('.proj', '')),
        'blocks.2.proj',
        'blocks',
    ]


def test_what_lies_within_a_block_that_widens_is_no_place() -> None:
    network = capture(Bottlenecks(), 'bottlenecks', (16,)).network
    assert list(network.places(network.largest())) == ['blocks.0']


@pytest.mark.parametrize('number', range(3))
@torch.inference_mode()
def test_a_network_begins_as_another_one(number: int) -> None:
    network = transformer().network
    beginning = network.smallest()
    made = network.with_beginning(network.largest(), beginning, number)
    place, other = (list(network.places(each))[number] for each in (beginning, made))
    images = torch.randn(2, 3, *beginning.size)
    (expected,) = part(network, beginning, end=place)(images)
    assert torch.equal(part(network, made, end=other)(images)[0], expected)


def test_it_goes_on_as_deep_and_wide_as_it_was() -> None:
    network = transformer().network
    whole = network.largest()
    made = network.with_beginning(whole, network.smallest(), 1)
    assert made.depth == whole.depth
    assert made.width[2:] == whole.width[2:] and made.width != whole.width


def test_a_place_that_is_not_there_is_named() -> None:
    network = transformer().network
    with pytest.raises(ConfigurationError, match='place'):
        network.with_beginning(network.largest(), network.smallest(), 99)
