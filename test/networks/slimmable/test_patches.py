# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A transformer that goes on with fewer patches behind a place."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dynamic_dnn_ros.networks.contract import ConfigurationError
from dynamic_dnn_ros.networks.gates import with_gates
from dynamic_dnn_ros.networks.slimmable.capture import capture
from dynamic_dnn_ros.networks.slimmable.network import Slimmable
from dynamic_dnn_ros.networks.slimmable.patches import Patches, shares_of
from dynamic_dnn_ros.networks.slimmable.reading import CaptureError
from support.slimmable import layout_of, with_patches
from support.small_networks import Convolutions, Transformer, randomised

#: Networks are so small that threads only wait for each other.
pytestmark = pytest.mark.usefixtures('one_thread')


class Fewer(torch.nn.Module):
    """The transformer, written down: after its first layer 4x4 patches are 2x2 means."""

    def __init__(self, module: Transformer) -> None:
        super().__init__()
        self.module = module

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        own = self.module
        tokens = own.patches(pictures).flatten(2).transpose(1, 2)
        tokens = torch.cat((own.cls_token.expand(len(tokens), -1, -1), tokens), 1)
        tokens = own.blocks[0](tokens + own.pos_embed)
        square = tokens[:, 1:].reshape(len(tokens), 4, 4, -1)
        few = square.reshape(len(tokens), 2, 2, 2, 2, square.shape[-1]).mean((2, 4)).flatten(1, 2)
        tokens = own.blocks[1:](torch.cat((tokens[:, :1], few), 1))
        answer: torch.Tensor = own.head(own.norm(tokens)[:, 0])
        return answer


@torch.inference_mode()
# With 51 channels each of three heads has 17, as many as there are tokens.
@pytest.mark.parametrize('width', [24, 51])
def test_fewer_patches_are_means_of_squares_of_them(width: int) -> None:
    torch.manual_seed(3)
    module = Transformer(width=width).eval()
    network = capture(module, 'transformer', (32,), patches=(25, 100)).network
    images = torch.randn(3, 3, 32, 32)
    for share, expected in ((100, module(images)), (25, Fewer(module)(images))):
        configuration = network.largest({'patches': (share,)})
        assert configuration.to_mapping()['patches'] == share
        network.activate(configuration)
        torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-5)


def test_all_patches_are_handed_on_up_to_the_place() -> None:
    network = with_patches().network
    whole, fewer = (network.largest({'patches': (share,)}) for share in (100, 25))
    places = network.places(fewer)
    assert list(places) == list(network.places(whole))
    assert [tokens for tokens, _ in places.values()] == [17, 17, 17, 5, 5, 5, 5]
    assert network.multiply_adds(fewer) < network.multiply_adds(whole)
    assert network.parameter_count(fewer) == network.parameter_count(whole)


def test_a_gate_chooses_patches_width_and_depth() -> None:
    network = with_patches().network
    first = network.smallest()
    place = list(network.places(network.largest())).index('blocks.0')
    grafted = network.with_beginning(network.largest(), first, place)
    assert (first.patches, grafted.patches) == (25, 100), 'the place lies before they get fewer'
    fewer = network.largest({'patches': (25,)})
    later = network.with_beginning(network.largest(), fewer, place + 1)
    assert later.patches == 25, 'behind it they are as many as they were'
    few = network.with_beginning(fewer, first, place)
    choices = [each.to_mapping() for each in (first, few, grafted)]
    gate = {'after': place, 'squeeze': 4, 'choices': choices}
    gated = with_gates(Slimmable).from_layout({**layout_of(with_patches()), 'gates': [gate]})
    assert gated._departures == [(place,) * 3]
    # The same layers in all places, on other patches: no choice departs behind the gate.
    whole = network.largest()
    same = [whole.to_mapping() | {'patches': share} for share in (25, 100)]
    late = {'after': place + 2, 'squeeze': 4, 'choices': same}
    gated = with_gates(Slimmable).from_layout({**layout_of(with_patches()), 'gates': [late]})
    assert gated._departures == [(place + 2, place)]


def test_shares_are_of_squares() -> None:
    assert shares_of(14) == {100: 1, 25: 2, 2: 7}
    assert shares_of(12) == {100: 1, 25: 2, 11: 3, 6: 4, 3: 6}


@pytest.mark.parametrize(
    ('changes', 'field'),
    [
        ({'shares': (30, 100)}, 'patches.shares'),
        ({'shares': (25,)}, 'patches.shares'),
        ({'shares': (100, 25)}, 'patches.shares'),
        ({'shares': (True, 100)}, 'patches.shares'),
        ({'side': 0}, 'patches.side'),
        ({'lead': -1}, 'patches.lead'),
    ],
)
def test_what_cannot_be_is_refused_by_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Patches(**{'after': 'add', 'lead': 1, 'side': 4, 'shares': (25, 100), **changes})
    assert caught.value.field == field


@pytest.mark.parametrize(
    ('patches', 'field'),
    [
        ({'after': 'nonesuch'}, 'patches.after'),
        ({'side': 8, 'shares': [25, 100]}, 'patches'),
        ({'extra': 1}, 'patches'),
    ],
)
def test_a_layout_whose_patches_do_not_fit_is_refused(patches: dict[str, Any], field: str) -> None:
    layout = layout_of(with_patches())
    with pytest.raises(ConfigurationError) as caught:
        Slimmable.from_layout({**layout, 'patches': {**layout['patches'], **patches}})
    assert caught.value.field == field


def test_a_network_without_patches_says_so() -> None:
    with pytest.raises(CaptureError, match='hands on no patches'):
        capture(randomised(Convolutions()), 'convolutions', (32,), patches=(25, 100))


@pytest.mark.parametrize('patches', [(30, 100), (25,)])
def test_shares_that_cannot_be_are_said_with_those_that_can(patches: tuple[int, ...]) -> None:
    with pytest.raises(CaptureError, match=r'patches\.shares .*25, 100.*others with --patches'):
        capture(Transformer(), 'transformer', (32,), patches=patches)
